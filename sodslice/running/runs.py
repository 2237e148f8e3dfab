"""`run`: plan, execute, finish, write, for one scene."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from sodslice.errors import OptionError, OutputError
from sodslice.inference import ModelSpec, as_ready
from sodslice.results import RunResult, Timings, check_heeded, check_output, check_replaceable, write
from sodslice.running.events import Events, watching
from sodslice.running.execution import carry_out, hands_for
from sodslice.running.finishing import finish_seen
from sodslice.running.hands import Hands, Here
from sodslice.running.plan import RunPlan
from sodslice.running.planning import ModelLike, OptionsLike, SceneLike, make_plan
from sodslice.running.processes import Processes
from sodslice.running.store import FileStore, MemoryStore
from sodslice.running.travel import check_reopens
from sodslice.scene import as_scene
from sodslice.settings import Options, as_options, names_settings
from sodslice.system.files import remove_leftovers

JOURNAL_SUFFIX = ".journal"
RAW_SUFFIX = ".raw"


@names_settings
def run(
    scene: SceneLike,
    *,
    model: ModelLike | None = None,
    options: OptionsLike | None = None,
    output: str | Path | Sequence[str | Path] = (),
    events: Events | None = None,
) -> RunResult:
    """Find the objects in a scene.

    Args:
        scene: path of a raster, its http or https address, the bytes of an encoded image, an array (RGB, see
            `sodslice.scene.given`), an image of Pillow, or a `Scene`.
        model: a name, folder or file, or any `Detector`; None takes the options' model.
        options: settings, a mapping of some of them, or the path of a YAML file or of a former output.
        output: files to write; the suffix chooses the format. They are checked before the work begins.
        events: told how it goes; left out, a notebook shows a bar.

    Returns:
        Detections in scene pixels, and how they came to be.

    Raises:
        SodsliceError: something is wrong with the scene, model, options or outputs; one line says what.
    """
    settings = as_options(options)
    outputs = [output] if isinstance(output, (str, Path)) else list(output)
    opened = as_scene(scene, settings.rendering)
    given = None if model is None or isinstance(model, (str, Path, ModelSpec)) else as_ready(model)
    here = Here(opened, given)
    hands: Here | Processes = here
    try:
        plan = make_plan(opened, model=given or model, options=settings)
        check_outputs(outputs, plan, settings)
        check_heeded(outputs, settings.writing)
        hands = hands_for(plan, settings.work.workers, here=here)
        if isinstance(hands, Processes):
            check_reopens(opened, plan)
        hands.load(plan)
        with watching(events) as watcher:
            return run_plan(plan, settings, hands=hands, outputs=outputs, events=watcher)
    finally:
        hands.close()
        if opened is not scene:
            opened.close()


def run_plan(
    plan: RunPlan,
    options: Options,
    *,
    hands: Hands,
    outputs: Sequence[str | Path] = (),
    events: Events | None = None,
) -> RunResult:
    """Carry out a plan and write the outputs; see `run`.

    What was seen is kept in a journal beside the first output until all outputs are written, so that a run
    that was interrupted goes on when it is run again.

    Args:
        plan: of the run.
        options: that it was made with; `fresh` and `keep_raw` apply.
        hands: who looks at the tiles.
        outputs: files to write, which `check_outputs` has passed.
        events: told how it goes.
    """
    with store_of(plan, outputs, fresh=options.work.fresh) as store:
        return run_into(
            store, plan, hands=hands, outputs=outputs, events=events, keep_raw=options.work.keep_raw
        )


def run_into(
    store: MemoryStore | FileStore,
    plan: RunPlan,
    *,
    hands: Hands,
    outputs: Sequence[str | Path] = (),
    events: Events | None = None,
    keep_raw: bool = False,
) -> RunResult:
    """See `run_plan`; into a store of the plan, which is put away when all outputs are written.

    Args:
        store: that `store_of` gave.
        plan: of the run.
        hands: who looks at the tiles.
        outputs: files to write, which `check_outputs` has passed.
        events: told how it goes.
        keep_raw: keep what was seen, to finish it again.
    """
    watcher = events or Events()
    for note in plan.notes:
        watcher.note(note)
    began = time.perf_counter()
    facts = carry_out(plan, store, hands=hands, events=watcher)
    merging = time.perf_counter()
    result = finish_seen(plan, store.seen, events=watcher)
    now = time.perf_counter()
    seconds = {"sweep": facts["seconds"], "merge": round(now - merging, 4), "all": round(now - began, 4)}
    result = replace(result, timings=_timings(plan, facts, seconds))
    for path in outputs:
        write(result, path)
    if isinstance(store, FileStore):
        _put_away(store, keep=keep_raw)
    return result


def check_outputs(outputs: Sequence[str | Path], plan: RunPlan, options: Options) -> None:
    """Make sure, before the work is done, that the outputs can be written and overwrite nothing that is read.

    Raises:
        OutputError: see `check_output`; or an output is the scene, the area of interest, or a file that
            sodslice did not write.
        OptionError: what was seen is to be kept, and cannot be.
    """
    for path in outputs:
        for read in (plan.scene.name, options.coverage.aoi):
            if read and Path(path).resolve() == Path(read).resolve():
                raise OutputError(
                    f"`output={path}` would overwrite {read}, which the run reads; give another name"
                )
        chosen = check_output(path, georef=plan.scene.georef, writing=options.writing)
        if chosen.needs_scene:
            _check_read_again(path, plan, options)
        check_replaceable(path)
    if options.work.keep_raw and not (outputs and plan.resumable):
        raise OptionError("`keep_raw` needs an output file, a scene from a file and a model with a sha256")


def _check_read_again(path: str | Path, plan: RunPlan, options: Options) -> None:
    """Make sure that a scene can be read once more, for a picture of it.

    Raises:
        OutputError: it cannot.
    """
    if not Path(plan.scene.name).is_file():
        raise OutputError(f"{path}: a picture needs its scene as a file, and {plan.scene.name} is none")
    if options.rendering.allow_vrt:
        raise OutputError(
            f"{path}: no picture is drawn of a scene that may read other folders; leave `allow_vrt` out, or "
            "write .json"
        )


def journal_of(output: str | Path) -> Path:
    """Where a run keeps what was seen until its first output is written."""
    return Path(f"{output}{JOURNAL_SUFFIX}")


def store_of(
    plan: RunPlan, outputs: Sequence[str | Path], *, fresh: bool = False
) -> AbstractContextManager[MemoryStore | FileStore]:
    """The journal of a run, to be entered; in memory where nothing is written, or nothing could be resumed.

    Raises:
        HeldError: another process is at the same run.
        StoreError: there is a journal of another run.
    """
    if not (outputs and plan.resumable):
        return nullcontext(MemoryStore(plan))
    store = FileStore(journal_of(outputs[0]), plan, fresh=fresh)
    remove_leftovers(Path(outputs[0]))  # the store is ours alone, and so is what it is for
    return store


def _timings(plan: RunPlan, facts: dict[str, Any], seconds: dict[str, float]) -> Timings:
    return Timings(
        facts["started"], seconds, facts["readers"], facts["resumed"], plan.sha256, facts["workers"]
    )


def _put_away(store: FileStore, *, keep: bool) -> None:
    """A finished run needs its journal no more, unless it is to be finished again."""
    if keep:
        store.keep_as(store.path.with_suffix(RAW_SUFFIX))
    else:
        store.remove()
