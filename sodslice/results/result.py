"""`RunResult`: what one scene gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.place.georef import GeoRef
from sodslice.results.provenance import Provenance, SceneFacts, Timings
from sodslice.results.writing import BOX, WGS84
from sodslice.tables.boxes import Boxes
from sodslice.tables.detections import Detections

MOST_NAMED = 5
"""Classes that are counted in a line."""
BOX_DECIMALS = 3
SCORE_DECIMALS = 6


class Found(NamedTuple):
    """One object.

    Args:
        label: its class.
        score: 0 to 1.
        box: edges x0, y0, x1, y1 in scene pixels.
        cls_id: number of the class.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    cls_id: int


@dataclass(frozen=True, repr=False)
class RunResult:
    """What one run over one scene gave; its rows are objects, best score first.

    ``result[result.label_names == "car"]`` and ``result[result.detections.scores > 0.8]`` are results with
    some of the rows; ``for found in result`` gives each as `Found`.

    Args:
        detections: boxes in scene pixels, ordered by score, ties by (label, x0, y0, x1, y1).
        class_names: names of the labels.
        georef: where the scene lies on the map.
        scene: facts about it.
        provenance: how it was made, as far as equal runs share it.
        timings: what differs from run to run; None where nobody ran.
    """

    detections: Detections
    class_names: tuple[str, ...]
    georef: GeoRef
    scene: SceneFacts
    provenance: Provenance = field(default_factory=Provenance)
    timings: Timings | None = None

    def __len__(self) -> int:
        return len(self.detections)

    def __iter__(self) -> Iterator[Found]:
        found = self.detections
        rows = zip(
            self.labels, found.scores.tolist(), found.boxes.tolist(), found.labels.tolist(), strict=True
        )
        return (Found(label, score, tuple(box), cls_id) for label, score, box, cls_id in rows)

    def __getitem__(self, rows: Any) -> RunResult:
        """The same result with the rows that a slice, a mask `(N,)`, an index or an index array chooses."""
        return replace(self, detections=self.detections[rows])

    def __repr__(self) -> str:
        counts = Counter(self.labels).most_common()
        listed = ", ".join(f"{label} {count}" for label, count in counts[:MOST_NAMED])
        more = f", {len(counts) - MOST_NAMED} more classes" if len(counts) > MOST_NAMED else ""
        kinds = f" ({listed}{more})" if counts else ""
        scene = f"{self.scene.path or 'a scene'}, {self.scene.width} x {self.scene.height} px"
        return f"<RunResult: {len(self)} object{'' if len(self) == 1 else 's'}{kinds} in {scene}>"

    @property
    def labels(self) -> list[str]:
        """Class name of each row."""
        return [self.class_names[i] for i in self.detections.labels]

    @property
    def label_names(self) -> npt.NDArray[np.object_]:
        """Class name of each row as an array `(N,)`, to choose rows by."""
        return np.array(self.class_names, object)[self.detections.labels]

    def rows(self, part: slice) -> RunResult:
        """The same result with some of its rows."""
        return self[part]

    def _repr_html_(self) -> str:
        """What notebooks show."""
        shown: str = import_module("sodslice.results.html").html_of(self)
        return shown

    def plot(self, *, longest: int = 2000, scene: str | None = None) -> Any:
        """The scene with its boxes, labels and a legend, as a `PIL.Image.Image`.

        Args:
            longest: its longer side in pixels, at the most.
            scene: where the scene lies now; None for where the run found it.

        Raises:
            SceneError: the scene is no file, is no longer there, or is another one.
        """
        return import_module("sodslice.results.picture").picture_of(self, longest=longest, scene=scene)

    def crop(self, row: int, *, scene: str | None = None) -> Any:
        """What is around one detection, outlined, as a `PIL.Image.Image` at the scene's own scale.

        Raises:
            SceneError: see `plot`.
            IndexError: there is no such row.
        """
        return import_module("sodslice.results.picture").crop_of(self, row, scene=scene)

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` of the columns that files have, see `sodslice.results.columns_of`.

        Raises:
            DataError: pandas is not installed.
        """
        return exchange().to_dataframe(self)

    def to_geodataframe(self, *, crs: str = WGS84, geometry: str = BOX) -> Any:
        """A `geopandas.GeoDataFrame` of the columns that files have, each row with its place.

        Args:
            crs: "native", the scene's own, or any that PROJ knows.
            geometry: "box", or "point" for its middle.

        Raises:
            DataError: geopandas is not installed, or the scene has no place in the CRS.
            OptionError: an argument is malformed.
        """
        return exchange().to_geodataframe(self, crs=crs, geometry=geometry)

    def to_supervision(self) -> Any:
        """A `supervision.Detections`, with the names of classes in `data["class_name"]`.

        Raises:
            DataError: supervision is not installed.
        """
        return exchange().to_supervision(self)

    def to_sahi(self) -> list[Any]:
        """A `sahi.prediction.ObjectPrediction` of each row, in pixels of the whole scene."""
        objects: list[Any] = exchange().to_sahi(self)
        return objects

    @classmethod
    def from_sahi(cls, predicted: Any, *, scene: str | None = None) -> RunResult:
        """A result of what SAHI predicted.

        Args:
            predicted: a `sahi.prediction.PredictionResult`, or some `ObjectPrediction`; masks are left out.
            scene: the image, which tells its size and its place on the map.

        Raises:
            DataError: ids of categories are negative, or beyond 100 000.
            SceneError: the scene cannot be read.
        """
        made: RunResult = exchange().from_sahi(predicted, scene=scene)
        return made


def exchange() -> Any:
    """What knows other people's tables and objects, loaded when it is asked for."""
    return import_module("sodslice.results.exchange")


def rounded_boxes(result: RunResult) -> Boxes:
    """Boxes `(N, 4)` as they are written: to 1/1000 pixel."""
    boxes: Boxes = np.round(result.detections.boxes, BOX_DECIMALS)
    return boxes


def rounded_scores(result: RunResult) -> npt.NDArray[np.float64]:
    """Scores `(N,)` as they are written."""
    exact: npt.NDArray[np.float64] = result.detections.scores.astype(np.float64)
    scores: npt.NDArray[np.float64] = np.round(exact, SCORE_DECIMALS)
    return scores


def written_rows(result: RunResult) -> list[tuple[int, str, float, Any]]:
    """Class id, label, score and box of each detection, as they are written."""
    ids = result.detections.labels.tolist()
    scores, boxes = rounded_scores(result).tolist(), rounded_boxes(result).tolist()
    return list(zip(ids, result.labels, scores, boxes, strict=True))
