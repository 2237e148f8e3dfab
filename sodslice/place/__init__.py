"""Where a scene lies on the map: georeferences (affine, control points, RPCs), areas of interest, extents.

Pixel edges go in, places on the ground come out, and back. Nothing here reads pixels.
"""
