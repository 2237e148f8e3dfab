"""Sources of pictures: COCO sets, large scenes read by windows, drawn scenes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from sodslice._opencv import opencv
from sodslice.errors import DataError, SceneError
from sodslice.scene import RasterScene
from sodslice.training.coco import CocoImage, raise_problems, read_coco
from sodslice.training.pictures import NO_OBJECT_SIDE, Objects, Picture, Pixels, picture_of, typical_side
from sodslice.training.scenes import open_scene_source
from sodslice.training.settings import SourceSettings, TrainSettings

DRAWN_GSD_M = (0.07, 0.16)
DRAWN_CAR_M = 4.5
DRAWN_CLASS = "vehicle"


class Source(Protocol):
    """Something pictures can be drawn from; anyone's class fits."""

    @property
    def weight(self) -> float:
        """How often it is drawn from, next to others."""

    @property
    def background(self) -> bool:
        """Whether its pictures have no objects."""

    def draw(self, rng: np.random.Generator) -> Picture:
        """A picture, chosen by the dice alone."""


class PictureCache:
    """The pictures used last, up to a number of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._pictures: OrderedDict[tuple[int, int], Picture] = OrderedDict()

    def get(self, key: tuple[int, int], make: Callable[[], Picture]) -> Picture:
        """The picture of that key, made where it is not held."""
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        picture = make()
        self._pictures[key] = picture
        self._bytes += _size(picture)
        while self._bytes > self._limit and len(self._pictures) > 1:
            _, oldest = self._pictures.popitem(last=False)
            self._bytes -= _size(oldest)
        return picture


class CocoSource:
    """Images of a COCO set, all equally often."""

    def __init__(
        self, images: Sequence[CocoImage], settings: SourceSettings, cache: PictureCache, number: int
    ) -> None:
        self._images = images
        self._settings = settings
        self._cache = cache
        self._number = number
        self._typical = typical_side([image.objects for image in images], NO_OBJECT_SIDE)

    @property
    def weight(self) -> float:
        """How often it is drawn from, next to others."""
        return self._settings.weight

    @property
    def background(self) -> bool:
        """Whether its pictures have no objects."""
        return self._settings.background

    def draw(self, rng: np.random.Generator) -> Picture:
        """One of the images."""
        row = int(rng.integers(len(self._images)))
        return self._cache.get((self._number, row), lambda: self._load(self._images[row]))

    def _load(self, image: CocoImage) -> Picture:
        pixels = read_image(image.path)
        side = typical_side([image.objects], self._typical)
        return picture_of(pixels, image.objects, side, self._settings)


class DrawnSource:
    """Towns of `sodslice.synthetic`, with exact truth; as a background source, towns without vehicles.

    Each scene has its own ground sampling distance, traffic, light and blur.
    """

    def __init__(self, settings: SourceSettings, label: int, cache: PictureCache, number: int) -> None:
        self._settings = settings
        self._label = label
        self._cache = cache
        self._number = number

    @property
    def weight(self) -> float:
        """How often it is drawn from, next to others."""
        return self._settings.weight

    @property
    def background(self) -> bool:
        """Whether its pictures have no objects."""
        return self._settings.background

    def draw(self, rng: np.random.Generator) -> Picture:
        """One of the scenes."""
        row = int(rng.integers(self._settings.synthetic))
        return self._cache.get((self._number, row), lambda: self._load(self._settings.synthetic_seed + row))

    def _load(self, seed: int) -> Picture:
        from sodslice.synthetic import SceneSpec, render, truth

        rng = np.random.default_rng(seed)
        spec = SceneSpec(
            width=self._settings.window,
            height=self._settings.window,
            gsd_m=float(rng.uniform(*DRAWN_GSD_M)),
            seed=seed,
            vehicles=0.0 if self.background else float(rng.choice([1.0, 2.0])),
            nodata=bool(rng.random() < 0.3),
            blur_px=float(rng.uniform(0.3, 1.0)),
            noise=float(rng.uniform(1.0, 5.0)),
        )
        boxes = truth(spec).boxes
        objects = Objects(boxes, np.full(len(boxes), self._label), np.zeros(len(boxes), dtype=np.bool_))
        side = typical_side([objects], DRAWN_CAR_M / spec.gsd_m)
        return picture_of(render(spec), objects, side, self._settings)


def read_image(path: Path) -> Pixels:
    """An image file as `(H, W, 3)` uint8 RGB.

    Raises:
        DataError: the file is no image that OpenCV reads.
    """
    cv2 = opencv()
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    if pixels is None:
        raise DataError(f"{path} is not an image that can be read; replace it or take it out of the json")
    return np.ascontiguousarray(pixels[:, :, ::-1])


def open_sources(
    settings: TrainSettings, class_names: Sequence[str], cache_bytes: int, *, open_files: bool = False
) -> list[Source]:
    """All sources of a training, checked together.

    Args:
        settings: of the training.
        class_names: in the order of the class ids.
        cache_bytes: memory for decoded pictures.
        open_files: whether to open each image and compare its size with the json's, once before training.

    Raises:
        DataError: lists everything that is wrong with any of them.
    """
    cache = PictureCache(cache_bytes)
    opened: list[Source] = []
    problems: list[str] = []
    for number, source in enumerate(settings.sources):
        made, found = _open_source(source, settings, class_names, (cache, number), open_files=open_files)
        opened.extend([] if made is None else [made])
        problems.extend(found)
    if not problems and not any(source.weight > 0 and not source.background for source in opened):
        problems.append("no source has objects to learn from; list at least one that is not background")
    raise_problems(problems)
    return opened


def _open_source(
    source: SourceSettings,
    settings: TrainSettings,
    class_names: Sequence[str],
    place: tuple[PictureCache, int],
    *,
    open_files: bool,
) -> tuple[Source | None, list[str]]:
    """One source, or what is wrong with it; `place` is the cache and its number there."""
    kinds = [bool(source.annotations or source.images), bool(source.scene), bool(source.synthetic)]
    if sum(kinds) != 1 or bool(source.annotations) != bool(source.images):
        name = source.name or f"number {place[1] + 1}"
        return None, [f"source {name}: give images and annotations, or scene and truth, or synthetic"]
    root = Path(settings.data_root)
    if source.scene:
        return open_scene_source(source, root, class_names, settings.near_object)
    if source.synthetic:
        if DRAWN_CLASS not in class_names:
            known = ", ".join(class_names)
            return None, [f"drawn scenes hold the class {DRAWN_CLASS!r}, class_names has {known}"]
        return DrawnSource(source, list(class_names).index(DRAWN_CLASS), *place), []
    images, problems = coco_images(source, root, class_names)
    if problems:
        return None, problems
    return CocoSource(images, source, *place), wrong_files(images) if open_files else []


def wrong_files(images: Sequence[CocoImage]) -> list[str]:
    """Image files that cannot be opened, or have another size than their json says."""
    problems = []
    for image in images:
        try:
            with RasterScene(image.path) as scene:
                size = (scene.width, scene.height)
        except SceneError as error:
            problems.append(str(error))
            continue
        if size != (image.width, image.height):
            stated = f"{image.width} x {image.height}"
            problems.append(f"{image.path} is {size[0]} x {size[1]} pixels, its json says {stated}")
    return problems


def coco_images(
    settings: SourceSettings, root: Path, class_names: Sequence[str]
) -> tuple[list[CocoImage], list[str]]:
    """Images of one COCO source that can be used, and what is wrong with it."""
    images, problems = read_coco(
        root / settings.annotations, root / settings.images, class_names, files=settings.files
    )
    if problems:
        return [], problems
    usable = [image for image in images if not len(image.objects)] if settings.background else images
    if settings.background and not usable:
        return [], [f"{settings.annotations}: background wants images without boxes, all have some"]
    if not settings.background and not any(len(image.objects) for image in usable):
        return [], [f"{settings.annotations}: it has no boxes; say `background: true` if that is meant"]
    return usable, []


def _size(picture: Picture) -> int:
    return sum(level.nbytes for level in picture.levels)
