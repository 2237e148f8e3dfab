"""Fixtures that many tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real imagery and reference outputs; tests that need it are skipped without it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("SODSLICE_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip("the real imagery (folder `shared` beside the checkout, or SODSLICE_SHARED) is not here")
    return folder


@pytest.fixture(autouse=True)
def log_put_back() -> Iterator[None]:
    """What the command line does to the log in one test is not there in the next."""
    logger = logging.getLogger("sodslice")
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)
