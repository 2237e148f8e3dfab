"""Results in QGIS, where it is installed: styles, the Processing script, a picture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from sodslice import load_result, run, write
from sodslice.results import Writing
from sodslice.results.qgis_style import COLOURS
from sodslice.synthetic import SceneSpec, draw_scene
from tests.placed_results import CLASSES, nothing, placed_result

WITHIN = Path(__file__).with_name("qgis_process.py")
COMMAND = str(Path(sys.executable).with_name("sodslice"))


@lru_cache
def python_with_qgis() -> str | None:
    """The Python that has QGIS, if any."""
    for one in ("/usr/bin/python3", shutil.which("python3")):
        if one and Path(one).exists():
            done = subprocess.run(
                [one, "-c", "import qgis.core"], capture_output=True, env=_plain(), check=False
            )
            if done.returncode == 0:
                return one
    return None


def _plain() -> dict[str, str]:
    own = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if k not in own} | {"QT_QPA_PLATFORM": "offscreen"}


def in_qgis(*arguments: str, folder: Path) -> dict:
    python = python_with_qgis()
    if python is None:
        pytest.skip("QGIS is not installed (apt-get install qgis python3-qgis)")
    done = subprocess.run(
        [python, str(WITHIN), *arguments],
        capture_output=True,
        text=True,
        env=_plain(),
        cwd=folder,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr[-2000:]
    return json.loads(lines[-1])


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("town") / "town.tif"
    draw_scene(path, SceneSpec(width=640, height=640, seed=3, vehicles=2.0, nodata=False))
    return path


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb"])
def test_a_layer_opens_outlined_by_class_and_opaque_by_score(tmp_path, suffix):
    writing = Writing(qml=suffix != ".gpkg")
    write(placed_result(), tmp_path / f"a{suffix}", writing=writing)
    said = in_qgis("style", f"a{suffix}", folder=tmp_path)
    assert said["renderer"] == "QgsCategorizedSymbolRenderer"
    assert said["categories"] == list(CLASSES)
    assert set(said["layers"]) == {"SimpleLine"}
    assert said["colours"] == list(COLOURS[: len(CLASSES)])
    assert all('"score"' in expression for expression in said["opacity"])
    assert '"label"' in said["label"]
    assert said["scale"] == 2000
    assert (said["count"], said["crs"]) == (40, "EPSG:4326")


def test_points_and_empty_results_open_too(tmp_path):
    write(placed_result(), tmp_path / "a.gpkg", writing=Writing(geometry="point"))
    assert set(in_qgis("style", "a.gpkg", folder=tmp_path)["layers"]) == {"SimpleMarker"}
    write(nothing(), tmp_path / "b.gpkg", writing=Writing(output_crs="native"))
    said = in_qgis("style", "b.gpkg", folder=tmp_path)
    assert (said["count"], said["crs"]) == (0, "EPSG:32616")
    assert said["fields"][1:] == list(placed_result().to_dataframe().columns)


def test_the_processing_script_runs_the_command_and_loads_its_layer_with_its_style(tmp_path, town):
    given = {"INPUT": str(town), "MODEL": "vehicle-t", "THRESHOLD": 0.5, "TILE": 320, "COMMAND": COMMAND,
             "OUTPUT": str(tmp_path / "out.gpkg")}  # fmt: skip
    said = in_qgis("detect", json.dumps(given), folder=tmp_path)
    result = load_result(tmp_path / "out.gpkg")
    assert said["fine"], said
    assert said["results"]["OBJECTS"] == len(result) == said["loaded"]["count"] > 0
    assert (said["loaded"]["before"], said["loaded"]["after"]) == (
        "QgsSingleSymbolRenderer", "QgsCategorizedSymbolRenderer",
    )  # fmt: skip
    assert said["progress"][-1] == 100
    assert result.provenance.options["threshold"] == {"*": 0.5} or "0.5" in str(
        result.provenance.options["threshold"]
    )


def test_what_the_command_refuses_is_said_in_its_line(tmp_path, town):
    given = {
        "INPUT": str(town),
        "MODEL": "no-such-model",
        "COMMAND": COMMAND,
        "OUTPUT": str(tmp_path / "out.gpkg"),
    }
    said = in_qgis("detect", json.dumps(given), folder=tmp_path)
    assert "unknown model 'no-such-model'" in said["error"]
    given |= {"MODEL": "vehicle-t", "EXTRA": "--no-such-flag"}
    assert "No such option" in in_qgis("detect", json.dumps(given), folder=tmp_path)["error"]
    given |= {"COMMAND": "no-such-command"}
    assert (
        "There is no command 'no-such-command'. Install sodslice"
        in in_qgis("detect", json.dumps(given), folder=tmp_path)["error"]
    )
    assert not (tmp_path / "out.gpkg").exists()


@pytest.mark.slow
def test_a_run_that_is_cancelled_ends_soon_and_leaves_nothing_running(tmp_path):
    large = tmp_path / "large.tif"
    draw_scene(large, SceneSpec(width=4096, height=4096, seed=4, vehicles=2.0, nodata=False))
    given = {"INPUT": str(large), "TILE": 320, "COMMAND": COMMAND, "OUTPUT": str(tmp_path / "out.gpkg"),
             "cancel_after": 6.0}  # fmt: skip
    said = in_qgis("detect", json.dumps(given), folder=tmp_path)
    assert said["results"] == {}
    assert said["seconds"] < 6 + 5
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(large) in _text(path)]
    assert running == []
    assert (tmp_path / "out.gpkg.journal").exists()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_a_map_shows_the_scene_within_outlines_of_the_colour_of_the_class(tmp_path, town):
    result = run(town, output=tmp_path / "a.gpkg")
    box = result.detections.boxes[0]
    middle = (box[:2] + box[2:]) / 2
    low, high = result.georef.to_map(np.array([middle + (-40, 40), middle + (40, -40)]))
    window = [f"{value:.3f}" for value in (*low, *high)]
    in_qgis("draw", str(town), "a.gpkg", "map.png", *window, folder=tmp_path)
    picture = cv2.imread(str(tmp_path / "map.png"))[..., ::-1].astype(int)
    colour = np.array([int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    near = np.abs(picture - colour).max(axis=2) < 40
    edges = np.round((box.reshape(2, 2) - middle + 40) * 10).astype(int)
    (left, top), (right, bottom) = edges
    assert near[(top + bottom) // 2, left - 4 : left + 5].any()
    assert near[(top + bottom) // 2, right - 4 : right + 5].any()
    assert near[top - 4 : top + 5, (left + right) // 2].any()
    inside = near[top + 8 : bottom - 8, left + 8 : right - 8]
    assert inside.mean() < 0.2


def test_only_plain_python_and_qgis_are_needed_within_qgis():
    script = Path(__file__).parents[1] / "integrations" / "qgis" / "sodslice_detect.py"
    imports = {line.split()[1].partition(".")[0] for line in script.read_text().splitlines()
               if line.startswith(("import ", "from "))}  # fmt: skip
    assert imports <= {*sys.stdlib_module_names, "qgis"}
