"""Small COCO sets of bright rectangles on noise, which a network can learn in a minute."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def write_set(
    folder: Path, *, images: int = 8, side: int = 128, seed: int = 0, objects: int = 4, empty: int = 0
) -> Path:
    """Write `images/*.png` and `truth.json` into a folder; the last `empty` images have no object.

    Args:
        folder: made here.
        images: how many, those without objects included.
        side: of an image in pixels.
        seed: of the dice.
        objects: in an image.
        empty: images without objects.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows, annotations = [], []
    for number in range(images):
        pixels = rng.integers(40, 90, (side, side, 3)).astype(np.uint8)
        boxes = [] if number >= images - empty else place(rng, side, objects)
        for x, y, width, height in boxes:
            pixels[y : y + height, x : x + width] = rng.integers(200, 256, 3)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": 1,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
        cv2.imwrite(str(folder / "images" / f"{number}.png"), pixels)
        rows.append({"id": number + 1, "file_name": f"{number}.png", "width": side, "height": side})
    content = {"images": rows, "annotations": annotations, "categories": [{"id": 1, "name": "vehicle"}]}
    (folder / "truth.json").write_text(json.dumps(content))
    return folder


def place(rng: np.random.Generator, side: int, count: int) -> list[tuple[int, int, int, int]]:
    """x, y, width, height of rectangles that keep away from each other and from the rim."""
    boxes: list[tuple[int, int, int, int]] = []
    while len(boxes) < count:
        width, height = (int(v) for v in rng.choice([(24, 12), (12, 24), (20, 16)]))
        x, y = (int(v) for v in rng.integers(4, side - 30, 2))
        apart = all(
            x > bx + bw + 3 or bx > x + width + 3 or y > by + bh + 3 or by > y + height + 3
            for bx, by, bw, bh in boxes
        )
        if apart:
            boxes.append((x, y, width, height))
    return boxes


def change_json(folder: Path, change) -> None:
    """Apply a function to the parsed truth of a set."""
    path = folder / "truth.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
