"""What people label in Label Studio and CVAT, as COCO documents."""

from __future__ import annotations

from sodslice.tables.labelled.reading import read_labels

__all__ = ["read_labels"]
