"""Fixtures that many tests share."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.web import Web, web_server

Answer = tuple[int, str, str]


FIRST = (
    "test_cli_streams.py",
    "test_docs.py",
    "test_notebooks.py",
    "test_training_loop.py",
    "test_ppyoloe_onnx.py",
    "test_real_scenes.py",
    "test_jobs_quantising.py",
    "test_export.py",
    "test_shipped_models.py",
    "test_models_translation.py",
    "test_inference_graphs.py",
    "test_fuzz.py",
    "test_running_workers.py",
    "test_packaging.py",
)
"""One that sends signals to its own process, before libraries that others load have had their way with them;
then files that take long: begun last, one process would work on while the other waits."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put some files before all others."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(FIRST)))


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


@pytest.fixture
def web(monkeypatch) -> Iterator[Web]:
    """A web server of this machine, which no proxy stands before."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server() as server:
        yield server


@pytest.fixture
def evaluate(capsys) -> Iterator[Callable[..., Answer]]:
    """Run `sodslice eval` in this process; gives exit code, stdout and stderr."""
    from sodslice.cli import main

    on_terminate = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Answer:
        with pytest.raises(SystemExit) as done:
            main(["eval", *map(str, arguments)])
        printed = capsys.readouterr()
        return done.value.code or 0, printed.out, printed.err

    yield call
    signal.signal(signal.SIGTERM, on_terminate)
