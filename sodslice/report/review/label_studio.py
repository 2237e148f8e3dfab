"""What Label Studio imports: tasks with predictions, and the configuration of the labelling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sodslice.report.review.crops import Crop
from sodslice.results.colours import FIRST
from sodslice.tables.labelled.label_studio import CROP
from sodslice.values.markup import xml_text

LABEL, IMAGE = "label", "image"


def task_of(crop: Crop, file: str, *, before: str, class_names: Sequence[str], model: str) -> dict[str, Any]:
    """A task with what was found as its prediction.

    Args:
        crop: the window.
        file: its picture, in the folder of crops; the way back from an export.
        before: what stands before it in its address, as Label Studio fetches it.
        class_names: of the labels.
        model: which found it; tasks sorted by the score of their prediction begin with the most doubtful.
    """
    found = crop.found
    rows = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    regions = [
        {
            "id": f"box{number}",
            "type": "rectanglelabels",
            "from_name": LABEL,
            "to_name": IMAGE,
            "original_width": crop.width,
            "original_height": crop.height,
            "image_rotation": 0,
            "score": round(score, 4),
            "value": {
                **_shares(box, crop.width, crop.height),
                "rotation": 0,
                "rectanglelabels": [xml_text(class_names[label])],
            },
        }
        for number, (box, label, score) in enumerate(rows, start=1)
    ]
    prediction = {
        "model_version": model,
        "score": round(1 - crop.doubt, 4),
        "result": regions,
    }
    return {
        "data": {IMAGE: before + quote(file), CROP: file, "x": crop.x, "y": crop.y},
        "predictions": [prediction],
    }


def labelling_config(class_names: Sequence[str]) -> str:
    """The configuration of a project with rectangles of these classes."""
    view = Element("View")
    SubElement(view, "Image", name=IMAGE, value=f"${IMAGE}", zoom="true", zoomControl="true")
    labels = SubElement(view, "RectangleLabels", name=LABEL, toName=IMAGE, strokeWidth="2", opacity="0.1")
    for number, name in enumerate(class_names):
        SubElement(labels, "Label", value=xml_text(name), background=FIRST[number % len(FIRST)])
    indent(view)
    return tostring(view, encoding="unicode") + "\n"


def _shares(box: list[float], width: int, height: int) -> dict[str, float]:
    """A box in percent of the picture."""
    x0, y0, x1, y1 = box
    return {"x": 100 * x0 / width, "y": 100 * y0 / height, "width": 100 * (x1 - x0) / width,
            "height": 100 * (y1 - y0) / height}  # fmt: skip
