from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sodslice.cli import group
from sodslice.running.demo import run_demo


def test_the_demo_draws_finds_compares_and_writes(tmp_path):
    done = CliRunner().invoke(
        group, ["demo", "-o", str(tmp_path / "out"), "--side", "640", "--seed", "1", "-q"]
    )
    assert done.exit_code == 0, done.output
    assert "recall" in done.output
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["town-1.geojson", "town-1.jpg", "town-1.json", "town-1.tif", "town-1.truth.json"]
    found = json.loads((tmp_path / "out" / "town-1.geojson").read_text())["features"]
    assert all(feature["properties"]["area_m2"] > 0 for feature in found)


def test_recall_and_precision_are_hits_over_vehicles_and_over_detections(tmp_path):
    done = run_demo(tmp_path, side=640, seed=2)
    assert done.hits <= min(done.vehicles, len(done.result))
    assert done.recall == pytest.approx(done.hits / done.vehicles)
    assert done.precision == pytest.approx(done.hits / len(done.result))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_default_model_is_useful_on_drawn_towns(tmp_path, seed):
    done = run_demo(tmp_path, seed=seed)
    assert done.recall >= 0.6
    assert done.precision >= 0.5
