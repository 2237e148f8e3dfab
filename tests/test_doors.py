"""What a stranger adds without touching the middle: a format, an engine, a setting, a detector.

Each comes from a package of its own that is only put on the path, with entry points, as pip would install it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from sodslice import Options, SodsliceError
from sodslice.cli._shared import settings_flags
from sodslice.settings import all_settings, options_schema
from sodslice.values import Real, Setting, check_settings, setting
from tests.rasters import scene_with_blobs, write_raster

ENTRY_POINTS = """
[sodslice.formats]
list = stranger:LIST

[sodslice.engines]
threshold = stranger:ENGINE

[sodslice.detectors]
one-box = stranger:ONE_BOX
"""

STRANGER = '''
"""A package of somebody else's: what CONTRIBUTING says, and no more."""
import json
import numpy as np
from sodslice import Detections, ModelInfo, load_result
from sodslice.inference.engines import Device, Engine
from sodslice.models import NamedDetector
from sodslice.results import Format


def write_list(result, path):
    with path.open("w") as file:
        file.write("label,score,x0,y0,x1,y1\\n")
        for label, score, box in zip(result.labels, result.detections.scores, result.detections.boxes):
            file.write(",".join([label, f"{score:.3f}", *(f"{edge:g}" for edge in box)]) + "\\n")


def no_reason(georef, writing):
    return "" if georef.placed else "a list here wants a scene with a place; write .json instead"


LIST = Format("list", (".list",), write=write_list, why_not=no_reason)


class Session:
    input_names = ("image", "scale_factor")
    description = "threshold 1.0"

    def __init__(self, request):
        self.level = json.loads(request.graph.read_text())["level"]

    def run(self, feeds):
        """One row around all bright pixels of each image, as an export with NMS gives it."""
        rows, counts = [], []
        for image in feeds["image"]:
            y, x = np.nonzero(image.min(axis=0) >= self.level)
            found = [[0, 0.9, x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else []
            rows += found
            counts.append(len(found))
        return [np.array(rows, np.float32).reshape(-1, 6), np.array(counts, np.int32)]

    def close(self):
        pass


ENGINE = Engine(
    "threshold", (".level",), version=lambda: "1.0", pick=lambda asked: asked or Device("cpu"), load=Session
)


class OneBox:
    info = ModelInfo(("thing",), name="one-box", suppressed=True, sha256="1" * 64)

    def detect(self, pixels):
        return [Detections([[10, 10, 20, 20]], [0.9], [0], [row]) for row in range(len(pixels))]


ONE_BOX = NamedDetector("one box a tile", lambda: OneBox.info, OneBox)
'''


@pytest.fixture
def stranger(tmp_path) -> Path:
    """A folder with the package, as pip lays it out."""
    site = tmp_path / "site"
    (site / "stranger-1.0.dist-info").mkdir(parents=True)
    (site / "stranger-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n"
    )
    (site / "stranger-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "stranger.py").write_text(STRANGER)
    write_raster(tmp_path / "a.tif", scene_with_blobs(200, 100, [(30, 40)]))
    return site


def sodslice(site: Path, *arguments: str, without: bool = False) -> subprocess.CompletedProcess[str]:
    """The command line with the package on the path, or without it, in the folder above it."""
    command = [sys.executable, "-m", "sodslice", *arguments]
    environment = {**os.environ, "PYTHONPATH": "" if without else str(site)}
    return subprocess.run(
        command, cwd=site.parent, env=environment, capture_output=True, text=True, check=False
    )


def test_a_format_is_a_value_of_its_own_and_its_suffix_means_a_file_everywhere(stranger):
    done = sodslice(stranger, "run", "a.tif", "--model", "blobs", "-o", "a.list", "--keep-raw")
    assert done.returncode == 0, done.stderr
    expected = "label,score,x0,y0,x1,y1\nblob,1.000,30,40,40,50\n"
    assert (stranger.parent / "a.list").read_text() == expected
    merged = sodslice(stranger, "merge", "a.list.raw", "-o", "b.list")
    assert merged.returncode == 0, merged.stderr
    assert (stranger.parent / "b.list").read_text() == expected
    both = sodslice(stranger, "run", "a.tif", "a.tif", "--model", "blobs", "-o", "c.list")
    assert both.returncode == 2
    assert "one folder for their results" in both.stderr
    unplaced = write_raster(
        stranger.parent / "u.tif", np.zeros((3, 50, 50), np.uint8), crs=None, transform=None
    )
    refused = sodslice(stranger, "run", str(unplaced), "--model", "blobs", "-o", "u.list")
    assert refused.returncode == 1
    assert "a list here wants a scene with a place" in refused.stderr
    alone = sodslice(stranger, "run", "a.tif", "-o", "a.list", without=True)
    assert "unknown suffix '.list'" in alone.stderr


def test_an_engine_runs_the_graphs_that_it_says_it_can(stranger):
    model = stranger.parent / "model"
    model.mkdir()
    (model / "inference.level").write_text(json.dumps({"level": 200}))
    yml = "Preprocess: [{type: Permute}]\nlabel_list: [bright]\ndraw_threshold: 0.5\n"
    (model / "inference.yml").write_text(yml)
    done = sodslice(stranger, "run", "a.tif", "--model", "model", "-o", "a.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((stranger.parent / "a.json").read_text())
    assert [box["coordinate"] for box in written["boxes"]] == [[30.0, 40.0, 40.0, 50.0]]
    assert written["run"]["engine"] == "threshold 1.0"
    planned = sodslice(stranger, "plan", "a.tif", "--model", "model")
    assert "threshold 1.0" in planned.stdout
    refused = sodslice(stranger, "run", "a.tif", "--model", "model", "-o", "b.json", without=True)
    assert refused.returncode == 1
    assert "holds no inference.json and no inference.pdmodel" in refused.stderr


def test_a_detector_has_a_name_that_other_processes_know(stranger):
    listed = sodslice(stranger, "models")
    assert "one-box" in listed.stdout
    assert "one box a tile" in listed.stdout
    info = sodslice(stranger, "models", "info", "one-box")
    assert "thing" in info.stdout
    code = (
        "import sodslice, pathlib\n"
        "plan = sodslice.make_plan('a.tif', model='one-box')\n"
        "pathlib.Path('plan.json').write_bytes(plan.to_json())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(stranger)}
    where = {"cwd": stranger.parent, "env": environment, "check": True}
    subprocess.run([sys.executable, "-c", code], **where)
    code = (
        "import sodslice, pathlib\n"
        "plan = sodslice.RunPlan.from_json(pathlib.Path('plan.json').read_bytes())\n"
        "store = sodslice.execute(plan, 'a.raw')\n"
        "sodslice.write(sodslice.finish(plan, [store]), 'a.json')\n"
    )
    subprocess.run([sys.executable, "-c", code], **where)
    written = json.loads((stranger.parent / "a.json").read_text())
    assert [box["label"] for box in written["boxes"]] == ["thing"]


def test_a_package_that_cannot_be_loaded_is_named(stranger):
    (stranger / "stranger.py").write_text("import nonsense_that_is_not_there")
    done = sodslice(stranger, "run", "a.tif", "--model", "one-box")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the model 'one-box' cannot be loaded from stranger:ONE_BOX")


@dataclass(frozen=True)
class Light:
    """A stage's value of a stranger's."""

    shadow: float = setting(0.5, Setting(Real(0, 1), "How dark a shadow is.", "Light", changes_tiles=True))

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class LitOptions(Options):
    light: Light = field(default_factory=Light)


def test_a_setting_is_one_field_and_flag_yaml_checks_schema_and_docs_follow():
    options = LitOptions.from_mapping({"shadow": "0.25", "tile": 640})
    assert (options.light.shadow, options.coverage.tile) == (0.25, 640)
    assert LitOptions.from_mapping(options.as_dict()) == options
    assert options.tile_settings()["shadow"] == 0.25
    with pytest.raises(SodsliceError, match="`shadow` must be a number from 0 to 1, got 2"):
        LitOptions.from_mapping({"shadow": 2})
    with pytest.raises(SodsliceError, match=r"'shadw' \(did you mean 'shadow'\?\)"):
        LitOptions.from_mapping({"shadw": 0.1})
    settings = all_settings(LitOptions)
    assert list(settings)[-1] == "shadow"
    described = options_schema(LitOptions)["properties"]["shadow"]
    assert described == {
        "type": "number", "minimum": 0, "maximum": 1, "description": "How dark a shadow is.", "default": 0.5,
    }  # fmt: skip

    @click.command()
    @settings_flags(settings)
    def command(**flags):
        click.echo(
            LitOptions.from_mapping({k: v for k, v in flags.items() if v not in (None, (), False)}).light
        )

    shown = CliRunner().invoke(command, ["--help"]).output
    assert "--shadow NUMBER" in shown
    assert "How dark a shadow is." in shown
    assert "shadow=0.75" in CliRunner().invoke(command, ["--shadow", "0.75"]).output
    from docs.generate import settings_table

    assert "| `shadow` | How dark a shadow is. | 0.5 | tiles |" in settings_table(
        settings, LitOptions().as_dict()
    )
