"""What of a machine each of several worker processes gets: a device, cores, readers, cache."""

from __future__ import annotations

from dataclasses import replace

from sodslice.inference import ModelSpec
from sodslice.inference.engines.device import parse_devices
from sodslice.running.plan import RunPlan
from sodslice.scene.layout import SMALLEST_CACHE
from sodslice.system import chip

MEBI = 2**20
MOST_CACHE = 512 * MEBI
"""Of all workers; the cache that a plan wants is needed by each of them, whatever its part of the tiles."""


def crew_of(model: ModelSpec, workers: int) -> int:
    """How many processes run a model: the workers that are wanted, and at least one a device."""
    return max(workers, len(_devices(model)))


def share_of(plan: RunPlan, number: int, crew: int) -> RunPlan:
    """The plan as one of several workers carries it out.

    Each runs one tile at a time: the workers are what runs several, and one model serves all scenes of a job.
    Cores are shared out to those whose `threads` are not given; so are readers, and GDAL's cache where all of
    them would take more than `MOST_CACHE`.

    Args:
        plan: of all.
        number: of the worker, from 0.
        crew: how many workers there are.
    """
    devices, spec, reading = _devices(plan.model), plan.model, plan.looked_at.reading
    threads = spec.threads or max(1, chip.cores() // crew)
    cache = min(reading.cache_bytes, max(SMALLEST_CACHE, MOST_CACHE // crew))
    return replace(
        plan,
        model=replace(spec, device=devices[number % len(devices)], threads=threads, streams=1),
        looked_at=replace(plan.looked_at, reading=replace(reading, cache_bytes=cache)),
        readers=max(1, plan.readers // crew),
    )


def crowd_note(plan: RunPlan, crew: int) -> str:
    """What to say where the workers have more threads than there are cores; "" where they have not."""
    cores, threads = chip.cores(), plan.model.threads or 1
    on_cpu = {word.partition(":")[0] for word in _devices(plan.model)} <= {"cpu", "auto"}
    if not on_cpu or crew * threads <= cores:
        return ""
    return (
        f"{crew} workers of {threads} thread(s) each share {cores} core(s), so they wait for each other; "
        f"`workers={max(1, cores // threads)}` is as fast"
    )


def _devices(model: ModelSpec) -> tuple[str, ...]:
    """The words of the devices that a model is to run on, one each; what is no list stays as it is."""
    word = model.device
    if "," not in word:
        return (word,)
    return tuple(str(one) for one in parse_devices(word))
