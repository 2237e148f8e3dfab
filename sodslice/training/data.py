"""All that a training reads, opened and checked together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sodslice.scene import NO_WISH
from sodslice.training.coco import CocoImage, ignored_note, raise_problems, read_coco
from sodslice.training.images import ImageFile, Watch, file_faults
from sodslice.training.scenes import SceneSource, open_scene_source
from sodslice.training.settings import TrainSettings
from sodslice.training.source_settings import SourceSettings
from sodslice.training.sources import DRAWN_CLASS, CocoSource, DrawnSource, PictureCache, Source

log = logging.getLogger(__name__)


class Look(NamedTuple):
    """What a look at a set or a source gave.

    Fields: `problems`, a sentence each; `files` that can be looked at more closely; `note` on what does not
    count, "" where all does.
    """

    problems: Sequence[str] = ()
    files: Sequence[ImageFile] = ()
    note: str = ""


class Opened(NamedTuple):
    """A source, None where something is wrong with it."""

    source: Source | None
    look: Look


class CocoSet(NamedTuple):
    """The images of a COCO set, none where something is wrong with it."""

    images: list[CocoImage]
    look: Look


class TrainingData(NamedTuple):
    """What is learned from, and the images by which the best weights are chosen."""

    sources: list[Source]
    validation: list[CocoImage]


def open_data(
    settings: TrainSettings, class_names: Sequence[str], cache_bytes: int, watch: Watch | None = None
) -> TrainingData:
    """Everything that a training is to read, once as a whole, before it starts.

    What nothing is learned from is said in the log.

    Args:
        settings: of the training.
        class_names: in the order of the class ids.
        cache_bytes: memory for decoded pictures.
        watch: is told how many images were looked at, and can end it.

    Raises:
        DataError: lists everything that is wrong with any of it.
        Cancelled: the watcher wished it.
    """
    opened = _open_all(settings, class_names, cache_bytes)
    sets = [_validation_set(source, Path(settings.data_root), class_names) for source in settings.validation]
    looks = [*(one.look for one in opened), *(one.look for one in sets)]
    images = [image for one in sets for image in one.images]
    problems = [*_problems(opened), *chain.from_iterable(one.look.problems for one in sets)]
    if sets and not problems and not any((~image.objects.ignored).any() for image in images):
        problems.append("the validation sets have no object to find; list at least one that has")
    problems += file_faults(list(chain.from_iterable(look.files for look in looks)), watch)
    for one in opened:
        problems += one.source.faults() if isinstance(one.source, SceneSource) else []
    raise_problems(list(dict.fromkeys(problems)))
    for note in dict.fromkeys(look.note for look in looks if look.note):
        log.warning(note)
    return TrainingData([one.source for one in opened if one.source is not None], images)


def open_sources(settings: TrainSettings, class_names: Sequence[str], cache_bytes: int) -> list[Source]:
    """All sources of a training, without a look at the images; arguments as for `open_data`.

    Raises:
        DataError: lists everything that is wrong with any of them.
    """
    opened = _open_all(settings, class_names, cache_bytes)
    raise_problems(_problems(opened))
    return [one.source for one in opened if one.source is not None]


def _open_all(settings: TrainSettings, class_names: Sequence[str], cache_bytes: int) -> list[Opened]:
    cache = PictureCache(cache_bytes)
    return [
        _open_source(source, settings, class_names, (cache, number))
        for number, source in enumerate(settings.sources)
    ]


def _problems(opened: Sequence[Opened]) -> list[str]:
    """What is wrong with the sources, and with all of them together."""
    problems = list(chain.from_iterable(one.look.problems for one in opened))
    sources = [one.source for one in opened if one.source is not None]
    if not problems and not any(source.weight > 0 and not source.background for source in sources):
        problems.append("no source has objects to learn from; list at least one that is not background")
    return problems


def _open_source(
    source: SourceSettings,
    settings: TrainSettings,
    class_names: Sequence[str],
    place: tuple[PictureCache, int],
) -> Opened:
    """One source; `place` is the cache and its number there."""
    kinds = [bool(source.annotations or source.images), bool(source.scene), bool(source.synthetic)]
    if sum(kinds) != 1 or bool(source.annotations) != bool(source.images):
        name = source.name or f"number {place[1] + 1}"
        return _wrong(f"source {name}: give images and annotations, or scene and truth, or synthetic")
    root = Path(settings.data_root)
    if source.scene:
        made, problems = open_scene_source(source, root, class_names, settings.near_object)
        return Opened(made, Look(problems, note="" if made is None else made.note))
    if source.synthetic:
        if source.wish != NO_WISH:
            return _wrong("drawn scenes have scales of their own; leave out `gsd` and `scale`")
        if DRAWN_CLASS not in class_names:
            known = ", ".join(class_names)
            return _wrong(f"drawn scenes hold the class {DRAWN_CLASS!r}, class_names has {known}")
        return Opened(DrawnSource(source, list(class_names).index(DRAWN_CLASS), *place), Look())
    images, look = coco_set(source, root, class_names)
    return Opened(CocoSource(images, source, *place) if images else None, look)


def _wrong(problem: str) -> Opened:
    return Opened(None, Look([problem]))


def _validation_set(source: SourceSettings, root: Path, class_names: Sequence[str]) -> CocoSet:
    if source.annotations and source.images:
        return coco_set(source, root, class_names)
    return CocoSet([], Look(["validation sets must be COCO sets; give images and annotations"]))


def coco_set(settings: SourceSettings, root: Path, class_names: Sequence[str]) -> CocoSet:
    """The images of one COCO set, and what is wrong with it."""
    images, problems, read_note = read_coco(
        root / settings.annotations,
        root / settings.images,
        class_names,
        files=settings.files,
        rendering=settings.rendering,
    )
    images = [replace(image, wish=settings.wish) for image in images]
    usable = [image for image in images if not len(image.objects)] if settings.background else images
    if not problems:
        problems = [f"{settings.annotations}: {fault}" for fault in _nothing_there(usable, settings)]
    looked_at = images if problems else usable
    files = [ImageFile(i.path, (i.width, i.height), i.rendering, i.wish) for i in looked_at]
    notes = [read_note, ignored_note(settings.annotations, *_counts(usable))]
    return CocoSet([] if problems else usable, Look(problems, files, "; ".join(filter(None, notes))))


def _nothing_there(images: Sequence[CocoImage], settings: SourceSettings) -> list[str]:
    """What makes a set useless whose json is right."""
    if settings.background:
        return [] if images else ["background wants images without boxes, all have some"]
    count, ignored = _counts(images)
    if not count:
        return ["it has no boxes; say `background: true` if that is meant"]
    if count == ignored:
        return [
            f"all its {count} boxes are ignored areas (iscrowd or ignore), so there is nothing to learn or "
            "to find; set both to 0 for single objects (some tools write iscrowd 1 for every mask)"
        ]
    return []


def _counts(images: Sequence[CocoImage]) -> tuple[int, int]:
    """How many boxes there are, and how many of them are ignored areas."""
    return sum(len(i.objects) for i in images), sum(int(i.objects.ignored.sum()) for i in images)
