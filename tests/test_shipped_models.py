"""What every model that ships must keep: silence where there is nothing, and facts for its users."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sodslice import run
from sodslice.models import MODELS, load_model
from sodslice.synthetic import SceneSpec, render

SHIPPED = [model.name for model in MODELS.values() if model.folder is not None]


@pytest.fixture(scope="module", params=SHIPPED)
def detector(request):
    return load_model(request.param, device="cpu")


def best(detector, pixels: np.ndarray) -> float:
    return float(detector.detect(pixels[None])[0].scores.max(initial=0))


@pytest.mark.parametrize("grey", [0, 1, 32, 64, 96, 128, 160, 192, 224, 255])
def test_one_grey_is_no_object(detector, grey):
    assert best(detector, np.full((320, 320, 3), grey, np.uint8)) < 0.3


@pytest.mark.parametrize("colour", [(200, 60, 60), (60, 140, 60), (50, 70, 150), (230, 220, 180)])
def test_one_colour_is_no_object(detector, colour):
    assert best(detector, np.full((320, 320, 3), colour, np.uint8)) < 0.3


@pytest.mark.parametrize("edge", [3, 40, 160, 300])
@pytest.mark.parametrize("fill", [0, 255])
def test_the_rim_of_the_data_is_no_object(detector, edge, fill):
    ground = np.random.default_rng(edge).normal(110, 8, (320, 320, 3)).clip(0, 255).astype(np.uint8)
    upright, slanted = ground.copy(), ground.copy()
    upright[:, :edge] = fill
    y, x = np.mgrid[:320, :320]
    slanted[x + y < 2 * edge] = fill
    assert best(detector, upright) < 0.3
    assert best(detector, slanted) < 0.3


def test_a_shipped_model_states_its_licence_and_has_a_checkpoint(detector):
    assert detector.info.licence
    assert all(MODELS[name].checkpoint.is_file() for name in SHIPPED)


def evaluated(output: Path, *words: object) -> dict:
    """What `sodslice eval` measures of the default model."""
    command = [sys.executable, "-m", "sodslice", "eval", "--model", "vehicle-t", *map(str, words)]
    subprocess.run([*command, "-o", str(output)], check=True, capture_output=True)
    return json.loads(output.read_text())


@pytest.mark.shared
def test_the_default_model_on_flights_that_training_never_saw(shared, tmp_path):
    numbers = evaluated(tmp_path / "val.json", shared / "data/vehicles/val.json")
    own = numbers["own_threshold"]
    assert numbers["ap50"] >= 0.945
    assert numbers["ap"] >= 0.72
    assert own["precision"] >= 0.85
    assert own["recall"] >= 0.93


@pytest.mark.shared
def test_the_default_model_where_no_vehicle_is(shared, tmp_path):
    truth = shared / "data/vehicles/negatives.json"
    numbers = evaluated(tmp_path / "negatives.json", truth, "--allow-empty")
    assert numbers["own_threshold"]["wrong"] <= 0.3 * numbers["megapixels"]


@pytest.mark.slow
def test_the_default_model_in_towns_without_vehicles():
    specs = [SceneSpec(width=2048, height=2048, seed=seed, vehicles=0.0) for seed in range(5, 15)]
    found = sum(len(run(render(spec))) for spec in specs)
    assert found <= 0.3 * sum(spec.width * spec.height for spec in specs) / 1e6
