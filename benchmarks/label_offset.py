"""How far the boxes of a model lie from labels, upright and on images turned by half a circle.

    python benchmarks/label_offset.py --truth val.json --images val

What a model copies from labels turns with the image, what the image shows does not: half the sum of both
is how far labels lie from the edges that the model sees. Medians, in pixels of the upright image: x0, y0,
x1, y1.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from sodslice import load_model, run
from sodslice.tables.boxes import iou
from sodslice.training.sources import read_image

SHARED = Path(os.environ.get("SODSLICE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def main() -> None:
    """Parse, measure, print."""
    data = SHARED / "data" / "vehicles"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truth", type=Path, default=data / "val.json")
    parser.add_argument("--images", type=Path, default=data / "val")
    parser.add_argument("--model", default="vehicle-t")
    given = parser.parse_args()
    if not given.truth.is_file():
        raise SystemExit(f"there is no {given.truth}; give --truth and --images")
    document = json.loads(given.truth.read_text())
    labels = defaultdict(list)
    for row in document["annotations"]:
        x, y, width, height = row["bbox"]
        labels[row["image_id"]].append((x, y, x + width, y + height))
    model = load_model(given.model)
    gaps: dict[str, list[np.ndarray]] = {"upright": [], "turned": []}
    for image in document["images"]:
        pixels = read_image(given.images / image["file_name"])
        height, width = pixels.shape[:2]
        truth = np.array(labels[image["id"]], float).reshape(-1, 4)
        gaps["upright"].append(offsets(run(pixels, model=model).detections.boxes, truth))
        turned = run(np.ascontiguousarray(pixels[::-1, ::-1]), model=model).detections.boxes
        back = np.array([width, height, width, height]) - turned[:, [2, 3, 0, 1]]
        gaps["turned"].append(offsets(back, truth))
    medians = {name: np.median(np.concatenate(found), axis=0) for name, found in gaps.items()}
    medians["labels to edges"] = (medians["upright"] + medians["turned"]) / 2
    for name, values in medians.items():
        print(f"{name:<16}" + "".join(f"{value:>8.2f}" for value in values))


def offsets(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Box minus label `(K, 4)` for labels that some box overlaps by half."""
    gaps = []
    for label in truth:
        fit = iou(np.tile(label, (len(found), 1)), found)
        if fit.max(initial=0) >= 0.5:
            gaps.append(found[fit.argmax()] - label)
    return np.array(gaps).reshape(-1, 4)


if __name__ == "__main__":
    main()
