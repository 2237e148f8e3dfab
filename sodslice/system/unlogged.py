"""Keeps what HTTP's library logs out of the logs: whole addresses, with the keys in their queries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")


@contextmanager
def unlogged() -> Iterator[None]:
    """Drop what those loggers are told, as long as it lasts, from this thread alone."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_SAID)
    token = _DROPPING.set(True)
    try:
        yield
    finally:
        _DROPPING.reset(token)


class _Said(logging.Filter):
    """Lets through what is not ours."""

    def filter(self, _: logging.LogRecord) -> bool:
        return not _DROPPING.get()


_DROPPING: ContextVar[bool] = ContextVar("dropping", default=False)
_SAID = _Said()
