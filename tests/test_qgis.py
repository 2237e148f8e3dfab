"""Results in QGIS, where it is installed: styles, the Processing script, a picture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pytest
import shapely

from sodslice import load_result, open_scene, run, write
from sodslice.results import Writing
from sodslice.results.colours import class_colours
from sodslice.synthetic import SceneSpec, draw_scene
from tests.placed_results import CLASSES, nothing, placed_result

WITHIN = Path(__file__).with_name("qgis_process.py")
ROOT = Path(__file__).parents[1]


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
        env=_plain() | {"QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile")},
        cwd=folder,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr[-2000:]
    return json.loads(lines[-1])


@pytest.fixture(scope="module")
def sodslice(tmp_path_factory) -> str:
    """The command line of this checkout, as a command."""
    path = tmp_path_factory.mktemp("bin") / "sodslice"
    path.write_text(f'#!/bin/sh\nexec env PYTHONPATH="{ROOT}" "{sys.executable}" -m sodslice "$@"\n')
    path.chmod(0o755)
    return str(path)


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
    assert said["categories"] == [*CLASSES, ""]
    assert set(said["layers"]) == {"SimpleLine"}
    assert said["colours"] == [f"#{bytes(one).hex()}" for one in class_colours(len(CLASSES))] + ["#ffffff"]
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


@pytest.fixture
def detect(tmp_path, town, sodslice):
    """A function that runs the Processing script on the town, into out.gpkg where nothing else is said."""

    def run_it(**given):
        usual = {"INPUT": str(town), "COMMAND": sodslice, "OUTPUT": str(tmp_path / "out.gpkg")}
        return in_qgis("detect", json.dumps({**usual, **given}), folder=tmp_path)

    return run_it


@pytest.fixture
def command(tmp_path):
    """A function that makes a command from lines of the shell."""

    def make(*lines):
        path = tmp_path / "command"
        path.write_text("\n".join(("#!/bin/sh", *lines, "")))
        path.chmod(0o755)
        return str(path)

    return make


def test_the_processing_script_runs_the_command_and_loads_its_layer_with_its_style(tmp_path, detect):
    said = detect(MODEL="vehicle-t", THRESHOLD=0.5, TILE=320)
    result = load_result(tmp_path / "out.gpkg")
    assert said["fine"], said
    assert said["results"]["OBJECTS"] == len(result) == said["loaded"]["count"] > 0
    assert f"{len(result)} objects (vehicle {len(result)}) in " in said["log"]
    assert (said["loaded"]["before"], said["loaded"]["after"]) == (
        "QgsSingleSymbolRenderer", "QgsCategorizedSymbolRenderer",
    )  # fmt: skip
    assert said["progress"][-1] == 100
    assert result.provenance.options["threshold"] == {"all": 0.5}
    assert result.provenance.options["tile"] == 320


@pytest.mark.parametrize("name", ["a b.gpkg", "ö.geojson"])
def test_the_toolbox_shows_the_layer_with_its_style(tmp_path, town, sodslice, name):
    given = {"INPUT": str(town), "COMMAND": sodslice, "OUTPUT": str(tmp_path / name)}
    said = in_qgis("toolbox", json.dumps(given), folder=tmp_path)
    count = len(load_result(tmp_path / name))
    assert said["layers"] == [["Detections", "QgsCategorizedSymbolRenderer", count]]
    assert said["results"] == {"OBJECTS": count, "FAILED_TILES": 0, "OUTPUT": str(tmp_path / name)}


def test_only_an_area_is_looked_at(tmp_path, town, detect):
    """The left half of the town, as polygons in another CRS and as a rectangle."""
    georef = open_scene(town).georef
    (x0, y0), (x1, y1) = georef.to_map(np.array([(0, 640), (320, 0)]))
    half = geopandas.GeoDataFrame(geometry=[shapely.box(x0, y0, x1, y1)], crs=georef.crs)
    half.to_crs(3857).to_file(tmp_path / "half.gpkg")
    counts = set()
    for given in ({"AREA": str(tmp_path / "half.gpkg")}, {"EXTENT": f"{x0},{x1},{y0},{y1} [EPSG:32632]"}):
        counts.add(detect(**given)["results"]["OBJECTS"])
        boxes = load_result(tmp_path / "out.gpkg").detections.boxes
        assert ((boxes[:, 0] + boxes[:, 2]) / 2 < 320.1).all()
    assert len(counts) == 1
    assert 0 < counts.pop() < len(run(town))
    both = detect(AREA=str(tmp_path / "half.gpkg"), EXTENT=f"{x0},{x1},{y0},{y1}")
    assert both["error"] == "Choose polygons or a rectangle to look within, not both"
    half.iloc[:0].to_file(tmp_path / "none.gpkg")
    none = detect(AREA=str(tmp_path / "none.gpkg"))
    assert none["error"].endswith(
        "has no polygons to look within; if only selected ones are taken, select some"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MODEL": "no-such-model"}, "unknown model 'no-such-model'"),
        ({"EXTRA": "--no-such-flag"}, "No such option"),
        ({"EXTRA": "--model 'x"}, 'The further flags "--model \'x" cannot be read: No closing quotation'),
        ({"COMMAND": "no-such-command"}, "There is no command 'no-such-command'. Install sodslice"),
        ({"OUTPUT": "ogr:dbname='/a.gpkg' table=\"b\" (geom)"}, "is no file; save the detections to one"),
    ],
)
def test_what_is_refused_is_said_in_a_line(tmp_path, detect, given, words):
    error = detect(**given)["error"]
    assert words in error
    assert "\n" not in error
    assert not (tmp_path / "out.gpkg").exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["echo 3 >&2", "echo 'ImportError: no numpy' >&2", "exit 1"],
         "sodslice ended with the exit code 1; its last words: ImportError: no numpy"),
        (["kill -9 $$"], "sodslice ended by the signal 9 without a word"),
    ],
)  # fmt: skip
def test_a_command_that_breaks_is_told_with_its_last_words(detect, command, lines, words):
    assert detect(COMMAND=command(*lines))["error"] == words


def test_a_command_that_is_no_program_is_said(tmp_path, detect):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF, not quite")
    broken.chmod(0o755)
    assert detect(COMMAND=str(broken))["error"] == f"{broken} cannot be started: Exec format error"


def test_libraries_of_qgis_do_not_leak_into_the_command(tmp_path, detect, command):
    done = {"event": "done", "objects": 0, "classes": {}, "seconds": 0, "failed": 0}
    leaking = dict.fromkeys(
        ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "GDAL_DATA", "PROJ_LIB"), "/of/qgis"
    )
    said = detect(
        COMMAND=command("env > said", f"echo '{json.dumps(done)}' >&2"),
        environment={**leaking, "SODSLICE_CACHE": "/mine"},
    )
    assert said["fine"], said
    held = (tmp_path / "said").read_text().splitlines()
    assert "SODSLICE_CACHE=/mine" in held
    assert not [line for line in held if "/of/qgis" in line]


def test_cancel_interrupts_the_command_and_all_that_it_started(tmp_path, detect, command):
    """As Ctrl-C does, so that what was seen is kept; whoever does not heed it is killed."""
    heeding = command("trap 'echo heard > heard; exit 130' INT", "sleep 1234 & echo $! > child", "wait")
    said = detect(COMMAND=heeding, cancel_after=1.0)
    assert said["results"] == {}
    assert f"Cancelled. What was seen is kept beside {tmp_path / 'out.gpkg'}" in said["log"]
    assert said["stopping"] < 2
    assert (tmp_path / "heard").read_text() == "heard\n"
    assert has_ended(tmp_path / "child")
    deaf = command("trap '' INT", "echo $$ > child", "exec sleep 1234")
    assert detect(COMMAND=deaf, cancel_after=1.0)["results"] == {}
    assert has_ended(tmp_path / "child")


def has_ended(path: Path) -> bool:
    """Whether the process whose id is in a file ends within seconds, waited for by its parent or not."""
    status = Path("/proc", path.read_text().strip(), "stat")
    for _ in range(50):
        if not status.exists() or _text(status).rpartition(")")[2].split()[:1] in ([], ["Z"]):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_run_that_is_cancelled_ends_soon_and_the_next_one_goes_on(tmp_path, detect):
    large, out = tmp_path / "large.tif", tmp_path / "out.gpkg"
    draw_scene(large, SceneSpec(width=4096, height=4096, seed=4, vehicles=2.0, nodata=False))
    area = {"EXTENT": "690000,690490,5335500,5336000 [EPSG:32632]"}
    said = detect(INPUT=str(large), TILE=320, EXTRA="--workers 2", **area, cancel_at=5.0)
    assert said["results"] == {}
    assert said["stopping"] < 3
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(large) in _text(path)]
    assert running == []
    assert Path(f"{out}.journal").exists()
    assert not out.exists()
    again = detect(INPUT=str(large), TILE=320, **area)
    assert "error" not in again
    assert again["progress"][0] >= 5
    assert again["results"]["OBJECTS"] == len(load_result(out)) > 1000
    assert not Path(f"{out}.journal").exists()


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
    near = np.abs(picture - class_colours(1)[0]).max(axis=2) < 40
    edges = np.round((box.reshape(2, 2) - middle + 40) * 10).astype(int)
    (left, top), (right, bottom) = edges
    assert near[(top + bottom) // 2, left - 4 : left + 5].any()
    assert near[(top + bottom) // 2, right - 4 : right + 5].any()
    assert near[top - 4 : top + 5, (left + right) // 2].any()
    inside = near[top + 8 : bottom - 8, left + 8 : right - 8]
    assert inside.mean() < 0.2


def test_only_plain_python_and_qgis_are_needed_within_qgis():
    script = ROOT / "integrations" / "qgis" / "sodslice_detect.py"
    imports = {line.split()[1].partition(".")[0] for line in script.read_text().splitlines()
               if line.startswith(("import ", "from "))}  # fmt: skip
    assert imports <= {*sys.stdlib_module_names, "qgis"}
