"""Models of SAHI for tests: hand-written, as SAHI's manual tells its users to write them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sahi.models.base import DetectionModel
from sahi.prediction import ObjectPrediction

from sodslice import BlobDetector


class BrightModel(DetectionModel):
    """Finds bright blobs; the surer, the brighter. Larger ones are of the second class."""

    large_px = 15

    def set_device(self, device: Any = None) -> None:
        self.device = "cpu"

    def load_model(self) -> None:
        self.set_model(BlobDetector(level=100))

    def set_model(self, model: Any) -> None:
        self.model = model
        self.category_mapping = self.category_mapping or {"1": "small", "4": "large"}

    def perform_inference(self, image: np.ndarray) -> None:
        self._original_predictions = self.model.detect(image[None])[0]

    def segmentation(self, edges: list[float]) -> list[list[float]] | None:
        return None

    def _create_object_prediction_list_from_original_predictions(
        self, shift_amount_list: Any = ((0, 0),), full_shape_list: Any = None
    ) -> None:
        found = self._original_predictions
        ids = [int(key) for key in self.category_mapping]
        listed = []
        for edges, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
            number = ids[-1] if edges[2] - edges[0] > self.large_px else ids[0]
            if score >= self.confidence_threshold:
                listed.append(
                    ObjectPrediction(
                        bbox=edges,
                        category_id=number,
                        category_name=self.category_mapping[str(number)],
                        segmentation=self.segmentation(edges),
                        score=score,
                        shift_amount=shift_amount_list[0],
                        full_shape=None if full_shape_list is None else full_shape_list[0],
                    )
                )
        self._object_prediction_list_per_image = [listed]


class HalfPixelModel(BrightModel):
    """The same with boxes that lie between pixels."""

    def perform_inference(self, image: np.ndarray) -> None:
        super().perform_inference(image)
        found = self._original_predictions
        moved = (found.boxes + 0.3).clip(0, image.shape[0])
        self._original_predictions = type(found)(moved, found.scores, found.labels, found.tile_ids)


class BatchingModel(BrightModel):
    """Looks at several images in one call, and counts calls."""

    calls = 0

    def perform_batch_inference(self, images: list[np.ndarray]) -> None:
        self.calls += 1
        self._seen = self.model.detect(np.stack(images))

    def convert_original_predictions(self, shift_amount: Any, full_shape: Any) -> None:
        every = []
        for found, shift, shape in zip(self._seen, shift_amount, full_shape, strict=True):
            self._original_predictions = found
            self._create_object_prediction_list_from_original_predictions([shift], [shape])
            every += self._object_prediction_list_per_image
        self._object_prediction_list_per_image = every


class MaskModel(BrightModel):
    """Gives masks beside its boxes."""

    def segmentation(self, edges: list[float]) -> list[list[float]] | None:
        x0, y0, x1, y1 = edges
        return [[x0, y0, x1, y0, x1, y1, x0, y1]]
