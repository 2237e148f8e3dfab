"""Sources of pictures: COCO sets, large scenes read by windows, drawn scenes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sodslice.training.coco import CocoImage
from sodslice.training.images import read_image
from sodslice.training.pictures import NO_OBJECT_SIDE, Objects, Picture, picture_of, typical_side
from sodslice.training.source_settings import SourceSettings

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
        pixels = read_image(image.path, image.rendering, image.wish)
        ratio = pixels.shape[1] / image.width, pixels.shape[0] / image.height
        objects = image.objects.seen_at(ratio, self._settings.label_offset)
        side = typical_side([objects], self._typical * max(ratio))
        return picture_of(pixels, objects, side, self._settings)


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


def _size(picture: Picture) -> int:
    return sum(level.nbytes for level in picture.levels)
