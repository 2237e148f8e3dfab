"""`Layout`: how the answers of an exported detector are to be read, of the kinds that are known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How the answers of a model are to be read.

    Args:
        key: names it in code.
        words: what it is called.
        iou: two boxes of a class that overlap by more are one object, by NMS; None where boxes are final.
        stretched: whether tiles are stretched to its size, as in its training; else they keep their ratio.
    """

    key: str
    words: str
    iou: float | None = None
    stretched: bool = False


V5 = Layout("v5", "YOLOv5: boxes with objectness and a score for each class", iou=0.45)
V8 = Layout("v8", "YOLOv8, YOLO11: boxes with a score for each class", iou=0.7)
ROWS = Layout("rows", "YOLOv10, YOLO26, or NMS inside: final boxes with score and class")
DETR = Layout("detr", "RT-DETR of Ultralytics: boxes in shares of the image", stretched=True)
SIZED = Layout("sized", "RT-DETR: boxes in pixels of a size that it is told", stretched=True)
