"""What CVAT imports: "CVAT for images 1.1", and the labels that its task must have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sodslice.report.review.crops import Crop
from sodslice.values.markup import xml_text

SCORE = "score"


def cvat_xml(crops: Iterable[tuple[str, Crop]], class_names: Sequence[str]) -> str:
    """Annotations of pictures, by their names in CVAT, with the score of each box as an attribute."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for name in class_names:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = xml_text(name)
        attribute = SubElement(SubElement(label, "attributes"), "attribute")
        for key, value in _score_attribute().items():
            SubElement(attribute, key).text = str(value)
    for number, (file, crop) in enumerate(crops):
        image = SubElement(
            root, "image", id=str(number), name=xml_text(file), width=str(crop.width), height=str(crop.height)
        )
        found = crop.found
        rows = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
        for box, label, score in rows:
            edges = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{edge:.2f}" for edge in box), strict=True))
            usual = {"source": "auto", "occluded": "0", "z_order": "0"}
            one = SubElement(image, "box", {"label": xml_text(class_names[label]), **usual, **edges})
            SubElement(one, "attribute", name=SCORE).text = f"{score:.4f}"
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def cvat_labels(class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Labels to paste into the raw view of CVAT's constructor of a task."""
    attribute = {**_score_attribute(), "values": [""]}
    return [{"name": xml_text(name), "type": "rectangle", "attributes": [attribute]} for name in class_names]


def _score_attribute() -> dict[str, Any]:
    return {"name": SCORE, "mutable": False, "input_type": "text", "default_value": "", "values": ""}
