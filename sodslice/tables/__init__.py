"""Tables and the arithmetic on them: boxes, detections, tiles.

Columns of numbers in scene or tile pixels, as frozen values. Nothing here reads a file or knows a model.
"""
