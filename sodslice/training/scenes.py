"""A large scene as a source: cut on the fly, window by window, never read whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sodslice.errors import DataError, GeoRefError, SceneError
from sodslice.metrics import Layer, read_truth
from sodslice.scene import Scene, as_scene, seen_at, seen_size
from sodslice.tables import boxes as box_math
from sodslice.training.cells import LEAST_SIDE
from sodslice.training.coco import ignored_note, unknown_class
from sodslice.training.pictures import NO_OBJECT_SIDE, Objects, Picture, picture_of, typical_side
from sodslice.training.source_settings import SourceSettings


class SceneSource:
    """Windows of one scene: most on an object, the others anywhere.

    Args:
        scene: to read from.
        objects: of the whole scene, in its pixels.
        settings: of this source.
        near_object: share of windows placed on an object.
    """

    def __init__(self, scene: Scene, objects: Objects, settings: SourceSettings, near_object: float) -> None:
        self._scene = scene
        self._objects = objects
        self._settings = settings
        self._near_object = near_object
        self._side = typical_side([objects], NO_OBJECT_SIDE)

    @property
    def note(self) -> str:
        """What the user should know of its objects; "" for nothing."""
        ignored = int(self._objects.ignored.sum())
        return ignored_note(self._settings.truth, len(self._objects), ignored)

    def faults(self) -> list[str]:
        """What keeps windows in its corners and its middle from being read, a sentence each.

        A file that was cut lacks at least one of them; a scene is too large to be read as a whole.
        """
        scene, side = self._scene, self._settings.window
        width, height = min(side, scene.width), min(side, scene.height)
        right, low = scene.width - width, scene.height - height
        found = []
        for x, y in ((0, 0), (right, 0), (right // 2, low // 2), (0, low), (right, low)):
            try:
                scene.read(x, y, width, height)
            except SceneError as error:
                found.append(str(error))
        return found[:1]

    @property
    def weight(self) -> float:
        """How often it is drawn from, next to others."""
        return self._settings.weight

    @property
    def background(self) -> bool:
        """Whether its pictures have no objects."""
        return self._settings.background

    def draw(self, rng: np.random.Generator) -> Picture:
        """A window of the scene, as a picture of its own; what it cuts off heavily is ignored."""
        scene, side = self._scene, self._settings.window
        size = np.array([min(side, scene.width), min(side, scene.height)])
        room = np.array([scene.width, scene.height]) - size
        corner = rng.integers(0, room + 1)
        objects = self._objects
        if len(objects) and rng.random() < self._near_object:
            middle = box_math.centers(objects.boxes[int(rng.integers(len(objects)))][None])[0]
            corner = np.clip(middle - rng.uniform(0.2, 0.8, 2) * size, 0, room).astype(int)
        x, y = (int(value) for value in corner)
        width, height = (int(value) for value in size)
        pixels, _ = scene.read(x, y, width, height)
        return picture_of(pixels, _inside(objects.shifted(-x, -y), width, height), self._side, self._settings)


def _inside(objects: Objects, width: int, height: int) -> Objects:
    """Objects that a window shows; those it cuts are ignored, since a crop may not show why they end."""
    clipped = box_math.clip(objects.boxes, width, height)
    cut = np.abs(clipped - objects.boxes).max(axis=1, initial=0.0) > 1.0
    return Objects(clipped, objects.labels, objects.ignored | cut)[
        (clipped[:, 2:] - clipped[:, :2]).min(axis=1) > LEAST_SIDE
    ]


def open_scene_source(
    settings: SourceSettings, root: Path, class_names: Sequence[str], near_object: float
) -> tuple[SceneSource | None, list[str]]:
    """A scene and its truth, or what is wrong with them.

    Args:
        settings: of the source.
        root: folder that its paths start from.
        class_names: in the order of the class ids.
        near_object: share of windows placed on an object.
    """
    try:
        scene = as_scene(root / settings.scene, settings.rendering)
        size = seen_size(scene, settings.wish)
        if not settings.truth:
            if settings.background:
                return SceneSource(seen_at(scene, size), Objects.none(), settings, near_object), []
            return None, [
                f"{settings.scene}: give its truth, or say `background: true` where it has no objects"
            ]
        layer = _layer_of(scene, read_truth(root / settings.truth, allow_empty=True))
        boxes = layer.pixels if layer.pixels is not None else layer.boxes_on(scene.georef)
    except (SceneError, DataError, GeoRefError) as error:
        return None, [str(error)]
    problems = [*_wrong_names(layer, class_names), *_wrong_boxes(boxes, scene, layer)]
    if settings.background and len(boxes):
        problems.append(f"{settings.truth}: a background scene must have no objects, it has {len(boxes)}")
    elif not settings.background and not len(boxes):
        problems.append(f"{settings.truth}: it has no boxes; say `background: true` if that is meant")
    elif not settings.background and not layer.to_find:
        count = len(boxes)
        problems.append(f"{settings.truth}: all its {count} boxes are ignored areas (iscrowd or ignore)")
    if problems:
        return None, problems
    labels = np.array([list(class_names).index(name) for name in layer.names], dtype=np.int64)
    crowd = np.zeros(len(labels), dtype=np.bool_) if layer.crowd is None else layer.crowd
    clipped = box_math.clip(boxes, scene.width, scene.height)
    ratio = size[0] / scene.width, size[1] / scene.height
    objects = Objects(clipped, labels, crowd).seen_at(ratio, settings.label_offset)
    return SceneSource(seen_at(scene, size), objects, settings, near_object), []


def _layer_of(scene: Scene, layers: Sequence[Layer]) -> Layer:
    """The layer that is about the scene.

    Raises:
        DataError: a truth of several images names none like the scene.
    """
    if len(layers) == 1:
        return layers[0]
    name = Path(scene.name).name
    named = [layer for layer in layers if Path(layer.image).name == name]
    if len(named) != 1:
        raise DataError(
            f"the truth has {len(layers)} images and {len(named)} of them are {name!r}; it needs that one"
        )
    return named[0]


def _wrong_names(layer: Layer, class_names: Sequence[str]) -> list[str]:
    unknown = sorted(set(layer.names) - set(class_names))
    return [f"{layer.source}: {unknown_class(name, class_names)}" for name in unknown]


def _wrong_boxes(boxes: box_math.Boxes, scene: Scene, layer: Layer) -> list[str]:
    clipped = box_math.clip(boxes, scene.width, scene.height)
    lost = (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    if not lost.any():
        return []
    size = f"{scene.width} x {scene.height}"
    first = [round(value, 1) for value in boxes[int(np.argmax(lost))].tolist()]
    return [f"{layer.source}: {int(lost.sum())} boxes lie outside {scene.name} ({size}), first {first}"]
