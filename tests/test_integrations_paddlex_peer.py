"""Side by side with PaddleX's own pipeline, oneDNN off, on one exported folder.

PaddleX and sodslice want different OpenCV packages, so PaddleX may live in an environment of its own:
`SODSLICE_PADDLEX_PYTHON` names its interpreter.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sodslice.integrations.paddlex import create_pipeline
from sodslice.models import checkpoint_of
from sodslice.synthetic import SceneSpec, render
from tests import paddlex_process
from tests.command_line import sodslice

THRESHOLD = 0.3
SIZES = {"town.png": (1000, 800), "tall.jpg": (500, 900), "small.png": (400, 300)}
"""Of images above and below the model's input of 640."""


def interpreter() -> str:
    """Of an environment with PaddleX."""
    named = os.environ.get("SODSLICE_PADDLEX_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("paddlex") is None:
        pytest.skip("paddlex is not installed here, and SODSLICE_PADDLEX_PYTHON names no other interpreter")
    return sys.executable


@pytest.fixture(scope="module")
def peers(tmp_path_factory) -> tuple[dict[str, dict], dict[str, dict]]:
    """What PaddleX and sodslice wrote, by the name of the image."""
    python, folder = interpreter(), tmp_path_factory.mktemp("peer")
    words = ("--nms", "--input-size", "640", "--name", "PP-YOLOE_plus_SOD-L", "-o", "model")
    done = sodslice("export", checkpoint_of("vehicle-t"), *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    for seed, (name, (width, height)) in enumerate(SIZES.items()):
        pixels = render(SceneSpec(width=width, height=height, seed=seed, vehicles=2.0, nodata=False))
        Image.fromarray(pixels).save(folder / name, quality=95)
    images = [str(folder / name) for name in SIZES]
    command = [python, paddlex_process.__file__, folder / "model", folder / "theirs", str(THRESHOLD), *images]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=900)
    assert said.returncode == 0, said.stderr[-2000:]
    module = {"model_name": "PP-YOLOE_plus_SOD-L", "model_dir": str(folder / "model"), "threshold": THRESHOLD}
    config = {"pipeline_name": "small_object_detection", "SubModules": {"SmallObjectDetection": module}}
    with create_pipeline(config=config, device="cpu") as pipeline:
        for result in pipeline.predict(images, slice=False):
            result.save_to_json(folder / "ours")
    names = sorted(path.name for path in (folder / "theirs").iterdir())
    assert sorted(path.name for path in (folder / "ours").iterdir()) == names
    read = tuple(
        {name: json.loads((folder / who / name).read_text()) for name in names} for who in ("theirs", "ours")
    )
    shutil.rmtree(folder)
    return read


def in_order(document: dict) -> list[dict]:
    return sorted(document["boxes"], key=lambda box: (box["cls_id"], box["coordinate"]))


@pytest.mark.slow
def test_files_have_the_same_names_keys_and_kinds(peers):
    for theirs, ours in zip(*(one.values() for one in peers), strict=True):
        assert list(theirs) == list(ours)
        assert (theirs["input_path"], theirs["page_index"]) == (ours["input_path"], ours["page_index"])
        kinds = [
            {key: type(value) for key, value in box.items()} for box in (theirs["boxes"][0], ours["boxes"][0])
        ]
        assert kinds[0] == kinds[1]


@pytest.mark.slow
def test_boxes_agree_to_a_hundredth_of_a_pixel(peers):
    for theirs, ours in zip(*(map(in_order, one.values()) for one in peers), strict=True):
        assert len(theirs) == len(ours) > 5
        assert [box["label"] for box in theirs] == [box["label"] for box in ours]
        edges = [np.array([box["coordinate"] for box in one]) for one in (theirs, ours)]
        scores = [np.array([box["score"] for box in one]) for one in (theirs, ours)]
        assert np.abs(edges[0] - edges[1]).max() <= 1e-2
        assert np.abs(scores[0] - scores[1]).max() <= 1e-4


def test_the_script_for_paddlex_turns_onednn_off():
    assert '"run_mode": "paddle"' in Path(paddlex_process.__file__).read_text(encoding="utf-8")
