"""Detectors that other programs exported as one ONNX file: YOLOs and RT-DETRs.

What a file takes and gives, and what its metadata says, tells which layout its answers have. From that follow
how tiles are shown to it and how its boxes come back.
"""
