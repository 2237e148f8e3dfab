"""Engines: named float32 tensors in, raw arrays out. They know nothing of boxes."""

from sodslice.engines.device import Device, parse_device

__all__ = ["Device", "parse_device"]
