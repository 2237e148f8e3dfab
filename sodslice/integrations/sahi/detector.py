"""`SahiDetector`: a model of SAHI as a detector of sodslice."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version
from threading import RLock
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np

from sodslice.errors import ModelError
from sodslice.inference import ModelInfo
from sodslice.inference.answers import check_pixels
from sodslice.inference.detector import Pixels, check_info
from sodslice.integrations.sahi.classes import known_classes
from sodslice.tables.detections import Detections

log = logging.getLogger(__name__)

ULTRALYTICS = "UltralyticsDetectionModel"
ULTRALYTICS_SIDE, ULTRALYTICS_BOXES = 640, 300
"""What models of ultralytics resize images to, and where they stop, unless they are told otherwise."""


class SahiModel(Protocol):
    """What is used of SAHI's `DetectionModel`."""

    confidence_threshold: float
    category_mapping: Any
    category_remapping: Any
    image_size: int | None
    model: Any

    def perform_inference(self, image: Pixels) -> None:
        """Look at an image `(H, W, 3)`."""

    def convert_original_predictions(self, shift_amount: Any, full_shape: Any) -> None:
        """Make objects of what was seen."""

    @property
    def object_prediction_list_per_image(self) -> list[list[Any]]:
        """Those objects, for each image."""


@runtime_checkable
class Batching(Protocol):
    """A model of a SAHI that looks at several images at once."""

    def perform_batch_inference(self, images: list[Pixels]) -> None:
        """Look at images."""


_LOCKS: WeakKeyDictionary[Any, RLock] = WeakKeyDictionary()
"""One for each model of SAHI, which keeps what it saw last in itself: whoever uses it, one at a time does."""


class SahiDetector:
    """A model of SAHI for `sodslice.run`, `run_many` and all else that takes a detector.

    Its boxes are those of its `object_prediction_list_per_image`, as floats and without rounding. Labels
    count from 0 in the order of its category ids, which `category_ids` has. Several threads may use it.

    Args:
        model: a `DetectionModel`: one that `AutoDetectionModel.from_pretrained` gave, or of your own making.
        tile: side in pixels of the tiles that it is to see; None for its `image_size`.
        threshold: score from which on boxes count where a run does not say; None for its
            `confidence_threshold`. Lower ones than that are refused, in a run too, since it keeps those boxes
            to itself.
        max_per_tile: number of boxes at which it stops, or None where it does not say: tiles with so many are
            looked at again in parts. Of ultralytics and torchvision it is known.
        suppressed: whether it removes duplicates within an image, as almost all do.
        sha256: of its weights, so that runs which were interrupted can go on.

    Raises:
        ModelError: it is no such model, does not name its classes, or does not say how large its tiles are.
    """

    def __init__(
        self,
        model: SahiModel,
        *,
        tile: int | None = None,
        threshold: float | None = None,
        max_per_tile: int | None = None,
        suppressed: bool = True,
        sha256: str = "",
    ) -> None:
        kind = type(model).__name__
        _check_model(model)
        known = known_classes(kind, model.category_mapping, model.category_remapping)
        side = _side(model, tile)
        lowest = model.confidence_threshold
        self.category_ids = known.ids
        self.engine = f"SAHI {version('sahi')}"
        self.info = ModelInfo(
            known.names,
            name=kind,
            input_size=(side, side),
            threshold=lowest if threshold is None else threshold,
            suppressed=suppressed,
            max_per_tile=_limit(model) if max_per_tile is None else max_per_tile,
            sha256=sha256,
            scores_from=lowest,
        )
        check_info(self.info)
        self._model = model
        self._rows = {number: row for row, number in enumerate(known.ids)}
        self._lock = _LOCKS.setdefault(model, RLock())
        self._said = False

    def detect(self, pixels: Pixels) -> list[Detections]:
        """Boxes in each tile; see `Detector`.

        Raises:
            ModelError: the pixels are no tiles, its confidence_threshold was raised, or it gave a category
                that it does not name.
        """
        check_pixels(pixels)
        with self._lock:
            if self._model.confidence_threshold > self.info.scores_from:
                raise ModelError(
                    f"the confidence_threshold of the SAHI model {self.info.name} went from "
                    f"{self.info.scores_from:g} to {self._model.confidence_threshold:g}; make a SahiDetector "
                    "of it again"
                )
            predicted = _predicted(self._model, list(pixels))
        return [self._table(found, row) for row, found in enumerate(predicted)]

    def close(self) -> None:
        """Nothing: the model is its owner's."""

    def _table(self, predicted: Sequence[Any], row: int) -> Detections:
        """The rows of a tile."""
        if any(one.mask is not None for one in predicted):
            self._say_boxes_only()
        boxes = np.array([one.bbox.to_xyxy() for one in predicted], np.float64).reshape(-1, 4)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])  # SAHI turns those beside a tile inside out
        scores = np.array([one.score.value for one in predicted], np.float64)
        labels = [self._label(one.category.id) for one in predicted]
        return Detections(boxes, scores, labels, np.full(len(boxes), row))  # type: ignore[arg-type]

    def _label(self, category: int) -> int:
        """The row of a category.

        Raises:
            ModelError: it has no name.
        """
        if category not in self._rows:
            raise ModelError(
                f"the SAHI model {self.info.name} gave the category id {category}, and its category_mapping "
                f"names {', '.join(map(str, self.category_ids[:8]))}; name all of its classes"
            )
        return self._rows[category]

    def _say_boxes_only(self) -> None:
        if not self._said:
            self._said = True
            log.warning(
                "the SAHI model %s gives masks or turned boxes; kept are the upright boxes around them",
                self.info.name,
            )


def _predicted(model: SahiModel, images: list[Pixels]) -> list[list[Any]]:
    """Objects of SAHI in each image, in its pixels."""
    shapes = [list(image.shape[:2]) for image in images]
    if images and isinstance(model, Batching):
        model.perform_batch_inference(images)
        shifts = [[0, 0] for _ in images]
        model.convert_original_predictions(shift_amount=shifts, full_shape=shapes)
        return list(model.object_prediction_list_per_image)
    found = []
    for image, shape in zip(images, shapes, strict=True):
        model.perform_inference(image)
        model.convert_original_predictions(shift_amount=[0, 0], full_shape=shape)
        found.extend(model.object_prediction_list_per_image)
    return found


def _check_model(given: Any) -> None:
    """Refuse what is no model of SAHI.

    Raises:
        ModelError: it lacks something.
    """
    needed = ("perform_inference", "convert_original_predictions", "category_mapping", "confidence_threshold")
    lacking = [name for name in needed if not hasattr(given, name)]
    if lacking:
        raise ModelError(
            "SahiDetector needs a DetectionModel of SAHI, such as AutoDetectionModel.from_pretrained gives, "
            f"got {type(given).__name__}, which lacks {lacking[0]}"
        )


def _side(model: SahiModel, tile: int | None) -> int:
    """Side of the tiles.

    Raises:
        ModelError: nobody says it.
    """
    if tile is not None:
        return tile
    side = model.image_size or _of_ultralytics(model, "imgsz", ULTRALYTICS_SIDE)
    if not side:
        raise ModelError(
            f"the SAHI model {type(model).__name__} has no image_size, so nothing says how large its tiles "
            "are to be; say it, for example SahiDetector(model, tile=640)"
        )
    return int(np.max(side))


def _limit(model: SahiModel) -> int | None:
    """Number of boxes at which a model stops, where that is known."""
    network = model.model
    for part in (network, getattr(network, "roi_heads", None)):
        of_torchvision = getattr(part, "detections_per_img", None)
        if of_torchvision is not None:
            return int(of_torchvision)
    found = _of_ultralytics(model, "max_det", ULTRALYTICS_BOXES)
    return None if found is None else int(found)


def _of_ultralytics(model: SahiModel, setting: str, default: int) -> Any:
    """A setting of a model of ultralytics, which keeps those that differ from its own; None for others."""
    if all(kind.__name__ != ULTRALYTICS for kind in type(model).__mro__):
        return None
    network = model.model
    return (getattr(network, "overrides", None) or {}).get(setting) or default
