"""What the methods are called."""

from __future__ import annotations

METHOD_NAMES = ("seam", "nms", "none", "sahi-nms", "sahi-nmm", "sahi-greedy-nmm")
"""The default first, then plain ones, then those of SAHI."""
