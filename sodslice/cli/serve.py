"""`sodslice serve`: the service."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from sodslice.cli._shared import (
    GroupedCommand,
    GroupedOption,
    gather_options,
    set_up_logging,
    settings_flags,
    typing_errors,
    verbosity_flags,
)
from sodslice.errors import SodsliceError

PRIVATE = 0o077
"""Of what strangers send, and of what is found in it, nobody else of this machine reads anything."""


def _count(usual: int, words: str, unit: str | None = None, *, most: int | None = None) -> dict[str, Any]:
    """A flag for a whole number of 1 or more."""
    kind = click.IntRange(1, most)
    return {"type": kind, "default": usual, "show_default": True, "metavar": unit, "help": words}


FLAGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--host", {"default": "127.0.0.1", "show_default": True, "help": "Address to listen at."}),
    (
        "--port",
        {
            "type": click.IntRange(0, 65535),
            "default": 8080,
            "show_default": True,
            "help": "Port; 0: any that is free.",
        },
    ),
    (
        "--data",
        {
            "type": click.Path(file_okay=False),
            "help": "Folder for uploads, results and the list of jobs.  [default: the user's, of this host]",
        },
    ),
    (
        "--root",
        {
            "type": click.Path(exists=True, file_okay=False),
            "help": "Folder whose scenes jobs may name.  [default: none]",
        },
    ),
    (
        "--token-file",
        {
            "type": click.Path(exists=True, dir_okay=False),
            "help": "File with the token that requests must bring; a --host that others reach needs one.",
        },
    ),
    (
        "--allow-url",
        {
            "multiple": True,
            "metavar": "HOST",
            "help": "Host from which images may be fetched, or *.example.com; repeatable.  [default: none]",
        },
    ),
    ("--jobs", _count(1, "Jobs at once, each in a process of its own.", most=64)),
    ("--jobs-waiting", _count(64, "Jobs that may wait; others are told to come back.", most=100000)),
    ("--waiting", _count(64, "Pictures that may wait; others are told to come back.", most=10000)),
    ("--max-body", _count(64, "Largest request with a picture.", "MIB")),
    ("--max-pixels", _count(178, "Largest picture, in megapixels.", "MPX")),
    ("--max-upload", _count(8, "Largest upload.", "GIB")),
    ("--quota", _count(50, "Uploads and results together.", "GIB")),
    (
        "--keep",
        {
            "type": click.FloatRange(0, min_open=True),
            "default": 7.0,
            "show_default": True,
            "metavar": "DAYS",
            "help": "How long results and unused uploads stay.",
        },
    ),
)


def _service_flags(command: Any) -> Any:
    for name, how in reversed(FLAGS):
        command = click.option(name, cls=GroupedOption, group="Service", **how)(command)
    return command


@click.command(name="serve", cls=GroupedCommand)
@_service_flags
@settings_flags()
@verbosity_flags
def command(config: str | None, verbose: bool, quiet: bool, **flags: Any) -> None:  # noqa: FBT001
    """Serve pictures in PaddleX's words, jobs for scenes, and a page to use them from.

    POST /small-object-detection and GET /health answer as PaddleX does; POST /jobs begins a scene; the page
    is at /. Settings are those of all runs; a job may bring its own. Ctrl-C parks jobs, which go on the next
    time.
    """
    set_up_logging(verbose=verbose, quiet=quiet)
    own = {name: flags.pop(name) for name in _names()}
    options = gather_options(config, flags)
    try:
        from sodslice.service.app import make_app
        from sodslice.service.server import listening, serve
    except ImportError as error:
        raise SodsliceError(
            f"the service needs {error.name}, which is not installed; run: pip install 'sodslice[serve]'"
        ) from None
    with typing_errors():
        settings = _settings(_found_anywhere(options), own)
    sockets = listening(settings)
    os.umask(PRIVATE)
    gate = make_app(settings)
    _log_access(quiet=quiet)
    serve(gate, sockets, ready=lambda where: click.echo(f"sodslice serves at {where}", err=True))


def _names() -> list[str]:
    return [name.lstrip("-").replace("-", "_") for name, _ in FLAGS]


def _settings(options: Any, own: dict[str, Any]) -> Any:
    from platformdirs import user_data_path

    from sodslice.service.settings import GIBIBYTE, MEBIBYTE, ServiceSettings, read_token

    return ServiceSettings(
        data=Path(own["data"]) if own["data"] else user_data_path("sodslice", appauthor=False) / "service",
        options=options,
        host=own["host"],
        port=own["port"],
        token=read_token(Path(own["token_file"])) if own["token_file"] else None,
        root=Path(own["root"]) if own["root"] else None,
        hosts=own["allow_url"],
        waiting=own["waiting"],
        most_body=own["max_body"] * MEBIBYTE,
        most_pixels=own["max_pixels"] * 1_000_000,
        jobs_at_once=own["jobs"],
        jobs_waiting=own["jobs_waiting"],
        most_upload=own["max_upload"] * GIBIBYTE,
        quota=own["quota"] * GIBIBYTE,
        keep_seconds=own["keep"] * 86400.0,
    )


def _found_anywhere(options: Any) -> Any:
    """Options whose files are found from any folder: processes work in that of their scene."""
    from sodslice.models.store import DETECTORS, is_word

    named = options.as_dict()
    texts = {name: named[name] for name in ("model", "aoi") if isinstance(named[name], str)}
    if "model" in texts and (is_word(texts["model"]) or texts["model"] in DETECTORS):
        del texts["model"]
    files = {name: str(Path(text).absolute()) for name, text in texts.items() if _is_there(text)}
    return options.replace(files)


def _is_there(text: str) -> bool:
    """Whether a text names a file or a folder; WKT is too long for that."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _log_access(*, quiet: bool) -> None:
    """Have requests told, in lines of JSON on stderr."""
    log = logging.getLogger("sodslice.access")
    handler: logging.Handler = logging.NullHandler() if quiet else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.INFO)
