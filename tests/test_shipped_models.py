"""What every model that ships must keep: silence where there is nothing, and facts for its users."""

from __future__ import annotations

import numpy as np
import pytest

from sodslice.models import MODELS, load_model

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
