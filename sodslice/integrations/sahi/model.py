"""`SodsliceDetectionModel`: a model of sodslice as SAHI's functions take models."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError, ModelError
from sodslice.inference import KEPT_FROM, Detector, Look, ReadyDetector, as_ready
from sodslice.inference.detector import Pixels
from sodslice.integrations.sahi.arguments import (
    OWN,
    check_arguments,
    check_image,
    check_image_size,
    check_threshold,
    device_word,
)
from sodslice.integrations.sahi.classes import chosen_ids, chosen_names
from sodslice.models import load_model
from sodslice.running.looking import look
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Tile

try:
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction
except ImportError as error:
    raise DeviceError(
        f"SAHI cannot load ({' '.join(str(error).split())}); install the system's libGL, "
        "on Debian: apt install libgl1 libglib2.0-0"
    ) from None

log = logging.getLogger(__name__)


class SodsliceDetectionModel(DetectionModel):  # type: ignore[misc]  # sahi is not followed
    """A model of sodslice for `get_prediction`, `get_sliced_prediction` and `predict` of SAHI.

    Args:
        model_path: whatever `sodslice.load_model` takes: a name, a folder, a file, a URL.
        model: in place of it a detector, loaded or of your own making.
        settings: `device`, `confidence_threshold`, `category_mapping`, `category_remapping`, `load_at_init`
            and `image_size` as SAHI has them; and `engine`, `precision`, `threads` and `batch` of
            `sodslice.load_model`.

    Raises:
        OptionError: an argument that cannot be obeyed.
        ModelError: there is no such model, or it cannot be run.
        DeviceError: the device is not there.
    """

    def __init__(self, model_path: str | None = None, model: Detector | None = None, **settings: Any) -> None:
        own = {name: settings.pop(name) for name in OWN if name in settings}
        check_arguments(model_path, model, settings, own)
        check_threshold(settings.get("confidence_threshold", 1.0))
        self._given, self._own = model, own
        self._asked_device = settings.get("device")
        self._is_own = False
        self.model: ReadyDetector | None
        self.category_mapping: dict[str, str]
        self.category_remapping: dict[str, int] | None
        super().__init__(model_path, model, **settings)

    def set_device(self, device: Any = None) -> None:
        """Choose the device, in SAHI's words or sodslice's; None takes the best there is.

        Raises:
            DeviceError: there is no such device, or the model runs on one already.
        """
        if self.model is not None:
            raise DeviceError("the model is loaded already; call unload_model() before set_device()")
        self.device = device_word(self._asked_device if device is None else device)

    def load_model(self) -> None:
        """Load the model, or take the one that was given.

        Raises:
            ModelError: it is not named, or cannot be run.
            DeviceError: the device is not there.
            OptionError: an argument does not fit the model.
        """
        if self._given is not None:
            self.set_model(self._given)
            return
        if not self.model_path:
            raise ModelError(
                "which model is wanted is not said; give `model_path`, whatever sodslice.load_model takes, "
                "or a loaded `model`"
            )
        loaded = load_model(self.model_path, tile=self.image_size, device=self.device, **self._own)
        try:
            self.set_model(loaded)
        except BaseException:
            loaded.close()
            raise
        self._is_own = True

    def set_model(self, model: Any) -> None:
        """Take a detector that is ready.

        Raises:
            ModelError: it is no detector.
            OptionError: an argument does not fit it.
        """
        detector = as_ready(model)
        check_threshold(self.confidence_threshold, detector.info)
        check_image_size(self.image_size, detector.info)
        self.category_mapping = chosen_names(self.category_mapping, detector.info.class_names)
        self.category_remapping = chosen_ids(self.category_remapping, self.category_mapping)
        self.unload_model()
        self.model = detector

    def unload_model(self) -> None:
        """Give back what the model holds, if it was loaded here."""
        if self.model is not None and self._is_own:
            self.model.close()
        self.model, self._is_own = None, False

    @property
    def category_names(self) -> list[str]:
        """Names of the classes, by id."""
        return list((self.category_mapping or {}).values())

    @property
    def num_categories(self) -> int:
        """Number of classes."""
        return len(self.category_names)

    @property
    def has_mask(self) -> bool:
        """Whether there are masks: there are none."""
        return False

    def perform_inference(self, image: Pixels) -> None:
        """Look at an image.

        Args:
            image: `(H, W, 3)` uint8 RGB.

        Raises:
            ModelError: it is none, or the model is not loaded.
        """
        self.perform_batch_inference([image])

    def perform_batch_inference(self, images: Sequence[Pixels]) -> None:
        """Look at some images; those of one size go through the model in one call.

        Args:
            images: each `(H, W, 3)` uint8 RGB.

        Raises:
            ModelError: one is none, or the model is not loaded.
            OptionError: `confidence_threshold` is none.
        """
        if self.model is None:
            raise ModelError("the model is not loaded; call load_model() first")
        for image in images:
            check_image(image)
        lowest = check_threshold(self.confidence_threshold, self.model.info)
        looks = _looks(self.model, images, min(lowest, KEPT_FROM))
        _say_limits(looks, lowest)
        sizes = [image.shape[1::-1] for image in images]
        self._original_predictions = [
            _above(one.found, lowest, size) for one, size in zip(looks, sizes, strict=True)
        ]

    def _create_object_prediction_list_from_original_predictions(
        self, shift_amount_list: Any = None, full_shape_list: Any = None
    ) -> None:
        """See SAHI's `DetectionModel`."""
        tables: list[Detections] = self._original_predictions
        shifts = _pairs(shift_amount_list, len(tables)) or [[0, 0]] * len(tables)
        shapes: Sequence[list[int] | None] = _pairs(full_shape_list, len(tables)) or [None] * len(tables)
        self._object_prediction_list_per_image = [
            self._predictions(table, shift, shape)
            for table, shift, shape in zip(tables, shifts, shapes, strict=True)
        ]

    def _predictions(
        self, found: Detections, shift: list[int], shape: list[int] | None
    ) -> list[ObjectPrediction]:
        """One object of SAHI a row; it checks that ids are Python's whole numbers."""
        columns = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
        return [
            ObjectPrediction(
                bbox=edges,
                category_id=label,
                category_name=self.category_mapping[str(label)],
                score=score,
                shift_amount=shift,
                full_shape=shape,
            )
            for edges, score, label in columns
        ]


def _looks(detector: ReadyDetector, images: Sequence[Pixels], lowest: float) -> list[Look]:
    """What is seen in each image, in their order."""
    looks: dict[int, Look] = {}
    for shape in dict.fromkeys(image.shape for image in images):
        rows = [row for row, image in enumerate(images) if image.shape == shape]
        tiles = [Tile(row, 0, 0, shape[1], shape[0]) for row in rows]
        found = look(detector, np.stack([images[row] for row in rows]), tiles, lowest)
        looks.update(zip(rows, found, strict=True))
    return [looks[row] for row in range(len(images))]


def _say_limits(looks: Sequence[Look], lowest: float) -> None:
    cut_short = sum(one.whole_from > lowest for one in looks)
    if cut_short:
        log.warning(
            "%d of %d images were cut short: the model gave its most boxes there, all above the threshold, "
            "so objects may be missing; use smaller slices",
            cut_short,
            len(looks),
        )


def _above(found: Detections, lowest: float, size: tuple[int, int]) -> Detections:
    """Boxes of at least a score, cut to their image; what lies beside it is left out, as in a run."""
    cut = box.clip(found.boxes, *size)
    return Detections(cut, found.scores, found.labels, found.tile_ids)[
        (found.scores >= np.float32(lowest)) & (box.area(cut) > 0)
    ]


def _pairs(given: Any, count: int) -> list[list[int]] | None:
    """A pair of numbers for each image, from SAHI's one pair, its list of them, or None.

    Raises:
        ModelError: there are more or fewer pairs than images.
    """
    if given is None:
        return None
    pairs: npt.NDArray[np.int64] = np.asarray(given, np.int64).reshape(-1, 2)
    if len(pairs) not in (1, count):
        raise ModelError(f"{len(pairs)} shifts or shapes were given for {count} images; give one for each")
    return np.broadcast_to(pairs, (count, 2)).tolist()  # type: ignore[no-any-return]
