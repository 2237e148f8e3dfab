"""Labels as labelling programs export them, Label Studio and CVAT, read as documents of COCO.

Whatever reads COCO (trainings, evaluations) reads these exports too: `read_labels` in place of `read_json`.
"""

from __future__ import annotations

from sodslice.tables.labelled.gathering import Labels
from sodslice.tables.labelled.reading import read_labels

__all__ = ["Labels", "read_labels"]
