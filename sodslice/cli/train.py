"""`sodslice train`: learn from a YAML file of settings."""

from __future__ import annotations

import signal
import sys
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sodslice.cli._shared import GroupedCommand, progress_bar, set_up_logging, verbosity_flags
from sodslice.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from sodslice.training.settings import TrainSettings


MANY_IMAGES = 500
"""From here on a look through all of them takes long enough to say so."""


@click.command("train", cls=GroupedCommand)
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder of this training."
)
@click.option(
    "--data-root", type=click.Path(path_type=Path), help="Folder that the paths of the data start from."
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Checkpoint to start from, a file or vehicle-t."
)
@click.option("--steps", type=click.IntRange(1), help="Updates of the weights.")
@click.option("--seed", type=click.IntRange(0), help="Equal seeds give equal weights.")
@click.option("--workers", type=click.IntRange(0), help="Processes that prepare canvases.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the folder.")
@click.option(
    "--max-minutes", type=click.FloatRange(0, min_open=True), help="Stop after this time, to be resumed."
)
@verbosity_flags
def command(
    config: Path,
    output: Path | None,
    *,
    resume: bool,
    max_minutes: float | None,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train or fine-tune a network on COCO data and scenes.

    CONFIG is a YAML file of settings; the flags replace some of them. Its paths start from its own folder,
    those of flags from the current one. The folder (by default runs/<name of CONFIG>) gets the best weights,
    a checkpoint, a log and a picture of the curves.
    """
    set_up_logging(verbose=verbose, quiet=quiet)
    from sodslice.training.machine import prepare_machine
    from sodslice.training.settings import load_training

    changes = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in given.items()
        if value is not None
    }
    settings = load_training(config, changes)
    folder = output or Path("runs") / config.stem
    prepare_machine()

    from sodslice.inference.engines.paddle import import_paddle

    import_paddle()
    warnings.filterwarnings("ignore", message="When training, we now always track")  # as it should
    from sodslice.training.loop import train
    from sodslice.training.progress import Limits

    with _polite_stop() as wish, _Bar(settings, quiet=quiet) as bar:
        limits = Limits(minutes=max_minutes, stop=lambda: wish.signal is not None)
        try:
            result = train(settings, folder, resume=resume, limits=limits, progress=bar)
        except Cancelled as error:
            click.echo(f"stopped: {error}", err=True)
            sys.exit(128 + (wish.signal or signal.SIGINT))
    quality = "" if result.best is None else f", validation AP {100 * result.best:.1f}"
    state = "trained" if result.finished else "stopped, go on with --resume:"
    click.echo(f"{state} {result.step} of {settings.steps} steps{quality}, weights {result.weights}")
    if wish.signal is not None:
        sys.exit(128 + wish.signal)


@dataclass
class _Wish:
    """The signal that asked to stop, if one did."""

    signal: int | None = None


@contextmanager
def _polite_stop() -> Iterator[_Wish]:
    """Ctrl-C and SIGTERM end the training after the step and its checkpoint; a second one at once."""
    wish = _Wish()

    def take(number: int, _frame: FrameType | None) -> None:
        if wish.signal is not None:
            raise KeyboardInterrupt
        wish.signal = number

    before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Bar:
    """A line on stderr: step, losses, last validation; on a terminal only."""

    def __init__(self, settings: TrainSettings, *, quiet: bool) -> None:
        self._settings = settings
        self._quiet = quiet
        self._facts: dict[str, str] = {}

    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        hidden = self._quiet or not sys.stderr.isatty()
        self._files = ExitStack()
        self._bar = tqdm(total=self._settings.steps, unit="step", disable=hidden, file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        self._bar.close()

    def checked(self, done: int, total: int) -> None:
        """Show how many image files were looked through; in words, once, where there is no terminal."""
        if done == 1:
            self._show = self._files.enter_context(progress_bar(quiet=self._quiet, unit="image"))
            if self._show is None and not self._quiet and total >= MANY_IMAGES:
                click.echo(f"looking through {total} images before the training starts", err=True)
        if self._show is not None:
            self._show(done, total)
        if done == total:
            self._files.close()

    def step(self, step: int, facts: Mapping[str, float]) -> None:
        """Show a step that is done."""
        self._facts = {**self._facts, "loss": f"{facts['loss']:.3f}", "rate": f"{facts['rate']:.2g}"}
        self._bar.n = step
        self._bar.set_postfix(self._facts)

    def validated(self, step: int, metrics: Any) -> None:
        """Keep the validation in the line, and say it once where there is no terminal."""
        if self._quiet:
            return
        at = metrics.best
        self._facts["AP"] = f"{100 * metrics.ap:.1f}"
        quality = f"AP {100 * metrics.ap:.1f}, AP50 {100 * metrics.ap50:.1f}"
        balance = f"precision {100 * at.precision:.1f}, recall {100 * at.recall:.1f}"
        self._bar.write(f"step {step}: {quality}, best F1 at {at.threshold:.2f}: {balance}", file=sys.stderr)
