"""Draws docs/pictures/town.jpg, the picture of README and of the first page: vehicles of a drawn town.

usage: python docs/picture.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import sodslice
from sodslice.synthetic import SceneSpec, draw_scene

PICTURE = Path(__file__).resolve().parent / "pictures" / "town.jpg"
SPEC = SceneSpec(width=1280, height=640, gsd_m=0.12, seed=0, nodata=False)


def main() -> None:
    """Draw the town, find its vehicles, and keep the picture of them."""
    with TemporaryDirectory() as folder:
        scene = Path(folder) / "town.tif"
        draw_scene(scene, SPEC)
        sodslice.run(scene, output=PICTURE)


if __name__ == "__main__":
    main()
