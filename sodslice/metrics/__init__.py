"""How good detections are: COCO's average precision, precision and recall, against a truth.

In memory: `coco_metrics(truths, found, names)`. From files: `evaluate(read_results([...]), read_truth(...))`.
"""

from sodslice.metrics.cases import Case, Comparison
from sodslice.metrics.coco import SIZE_BANDS, AveragePrecision, ClassMetrics, CocoMetrics, coco_metrics
from sodslice.metrics.curve import Curve, OperatingPoint, precision_recall_curve
from sodslice.metrics.evaluation import Evaluation, evaluate
from sodslice.metrics.frames import PixelGrid
from sodslice.metrics.layer import Layer
from sodslice.metrics.matching import Matching, match
from sodslice.metrics.reading import read_results, read_truth, result_layer
from sodslice.metrics.sizes import size_fault
from sodslice.metrics.table import as_table
from sodslice.metrics.truth import EVERYWHERE, Region, Truth

__all__ = [
    "EVERYWHERE",
    "SIZE_BANDS",
    "AveragePrecision",
    "Case",
    "ClassMetrics",
    "CocoMetrics",
    "Comparison",
    "Curve",
    "Evaluation",
    "Layer",
    "Matching",
    "OperatingPoint",
    "PixelGrid",
    "Region",
    "Truth",
    "as_table",
    "coco_metrics",
    "evaluate",
    "match",
    "precision_recall_curve",
    "read_results",
    "read_truth",
    "result_layer",
    "size_fault",
]
