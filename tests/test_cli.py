from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from click.testing import CliRunner
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from sodslice.cli import COMMANDS, group, main
from sodslice.settings import load_options
from tests.command_line import sodslice
from tests.rasters import scene_with_blobs, write_raster


def in_a_process(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sodslice", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def scene(tmp_path):
    return write_raster(tmp_path / "scene.tif", scene_with_blobs(300, 200, [(20, 30), (250, 150)]))


def test_run_writes_geojson_beside_the_caller_and_one_line_on_stdout(scene, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    done = in_a_process("run", scene, "--model", "blobs", cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{scene}: 2 objects (blob 2) -> scene.geojson [1 tile, ")
    assert done.stdout.count("\n") == 1
    assert len(json.loads((work / "scene.geojson").read_text())["features"]) == 2


def test_a_scene_without_crs_is_written_as_json(tmp_path):
    write_raster(tmp_path / "plain.tif", scene_with_blobs(64, 64, [(5, 5)]), crs=None)
    assert sodslice("run", "plain.tif", "--model", "blobs", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "plain.json").read_text())["boxes"][0]["coordinate"] == [
        5.0,
        5.0,
        15.0,
        15.0,
    ]


def test_outputs_and_thresholds_are_repeatable(scene, tmp_path):
    done = sodslice(
        "run",
        scene,
        "--model",
        "blobs",
        "-o",
        "a.json",
        "-o",
        "sub/b.geojson",
        "--threshold",
        "0.2",
        "--threshold",
        "blob=0.3",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    options = json.loads((tmp_path / "a.json").read_text())["run"]["options"]
    assert options["threshold"] == {"all": 0.2, "blob": 0.3}
    assert (tmp_path / "sub" / "b.geojson").is_file()


def test_flags_go_before_the_config_and_the_config_before_the_defaults(scene, tmp_path):
    (tmp_path / "c.yaml").write_text("tile: 64\nmodel: blobs\niou: 0.3\n")
    assert (
        sodslice("run", scene, "--config", "c.yaml", "--tile", 128, "-o", "a.json", cwd=tmp_path).returncode
        == 0
    )
    options = json.loads((tmp_path / "a.json").read_text())["run"]["options"]
    assert (options["tile"], options["iou"], options["overlap"]) == (128, 0.3, 0.2)
    assert sodslice("run", scene, "--config", "a.json", "-o", "b.json", cwd=tmp_path).returncode == 0
    assert (
        json.loads((tmp_path / "b.json").read_text())["run"]
        == json.loads((tmp_path / "a.json").read_text())["run"]
    )


def test_a_folder_gives_one_file_a_scene_and_a_broken_one_exit_3(scene, tmp_path):
    (tmp_path / "broken.tif").write_text("nonsense")
    done = sodslice("run", tmp_path, "--model", "blobs", "-o", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 3
    assert "broken.tif is not an image" in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["manifest.jsonl", "scene.tif.geojson"]


def test_several_scenes_want_a_folder(scene, tmp_path):
    done = sodslice("run", scene, scene, "--model", "blobs", cwd=tmp_path)
    assert done.returncode == 2
    assert "-o FOLDER" in done.stderr


def bad_files(folder):
    (folder / "text.tif").write_text("this is no image " * 50)
    write_raster(folder / "five.tif", np.ones((5, 64, 64), np.uint8))
    whole = write_raster(
        folder / "cut.tif", np.random.default_rng(0).integers(0, 255, (3, 600, 600), dtype=np.uint8)
    )
    whole.write_bytes(whole.read_bytes()[:300_000])
    sparse = {"count": 1, "dtype": "uint8", "tiled": True, "SPARSE_OK": True}
    with rasterio.open(
        folder / "vast.tif", "w", driver="GTiff", width=60_000, height=60_000, **sparse
    ) as vast:
        vast.write(np.full((1, 256, 256), 9, np.uint8), window=Window(0, 0, 256, 256))
    (folder / "five.yaml").write_text("class_group: 5\n")
    (folder / "model").mkdir()
    (folder / "file").write_text("")


BAD_INPUT = [
    (["run", "missing.tif"], 1, "there is no file missing.tif"),
    (["run", "text.tif"], 1, "text.tif is not an image that GDAL can open"),
    (["run", "cut.tif", "--model", "blobs", "--tile", "128"], 1, "cut.tif"),
    (["run", "five.tif"], 1, "five.tif has 5 bands; choose three with --bands, for example --bands 3,2,1"),
    (["run", "scene.tif", "--model", "model"], 1, "model holds no inference.yml or infer_cfg.yml"),
    (
        ["run", "scene.tif", "--model", "nonsense"],
        1,
        "unknown model 'nonsense'; known are vehicle-t, blobs, PP-YOLOE_plus_SOD-S",
    ),
    (
        ["run", "scene.tif", "-o", "out.shp"],
        1,
        "out.shp has the unknown suffix '.shp'; known are .json, .geojson",
    ),
    (["run", "scene.tif", "--tile", "31"], 2, "--tile must be a whole number from 32, got '31'"),
    (
        ["run", "scene.tif", "--overlap", "-0.1"],
        2,
        "--overlap must be a share from 0 to below 1 (or to below 100%), or whole pixels from 1, got '-0.1'",
    ),
    (
        ["run", "scene.tif", "--model", "blobs", "--tile", "64", "--overlap", "64"],
        1,
        "--overlap must be smaller than the tile",
    ),
    (["run", "scene.tif", "-o", "file/out.json"], 1, "cannot write to the folder file"),
    (["run", "scene.tif", "--device", "gpu:7"], 1, "--device gpu:7"),
    (["run", "scene.tif", "--model", "blobs", "--device", "gpu"], 1, "blobs has no weights"),
    (["run", "vast.tif", "--model", "blobs", "--tile", "50000"], 1, "take a smaller --tile or --batch"),
    (["run", "scene.tif", "--config", "five.yaml"], 1, "--class-group must be two classes or more"),
    (["run", "scene.tif", "--merge", "magic"], 2, "'magic' is not one of"),
    (["run", "scene.tif", "--tiel", "640"], 2, "--tile"),
    (["run"], 2, "Missing argument"),
    (["rum", "scene.tif"], 2, "no such command 'rum' (did you mean 'run'?)"),
    (["run", "scene.tif", "--config", "missing.yaml"], 2, "missing.yaml"),
    (["plan", "missing.tif"], 1, "there is no file missing.tif"),
    (["models", "info", "nonsense"], 1, "unknown model 'nonsense'"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), BAD_INPUT, ids=[" ".join(a) for a, _, _ in BAD_INPUT]
)
def test_bad_input_gets_one_clear_line_and_leaves_nothing(scene, tmp_path, arguments, code, words):
    bad_files(tmp_path)
    before = sorted(p.name for p in tmp_path.rglob("*"))
    done = sodslice(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if code == 1:
        assert done.stderr.count("\n") == 1
    left = sorted(p.name for p in tmp_path.rglob("*") if p.suffix != ".journal")
    assert left == before


@pytest.mark.parametrize("levels", ["0,1e99", "-1e30,1e30", "-1.7e308,1.7e308", "1e20,1e99"])
def test_levels_far_outside_of_what_pixels_hold_are_legal(scene, tmp_path, levels):
    stretch = ["--stretch", f"minmax:{levels}"]
    done = sodslice("run", scene, "--model", "blobs", *stretch, "-o", "a.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads((tmp_path / "a.json").read_text())["scene"]["stretch"]
    assert [facts["low"][0], facts["high"][0]] == [float(level) for level in levels.split(",")]


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit on memory")
def test_a_run_without_enough_memory_ends_with_one_line(tmp_path):
    bad_files(tmp_path)
    options = ["--tile", "20000", "--window", "0,0,300,300"]
    done = subprocess.run(
        [sys.executable, "-m", "sodslice", "run", "vast.tif", "--model", "blobs", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=limited,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"(note: .*\n)*error: .*; take a smaller --tile or --batch\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "error: out of memory; take a smaller --tile or --batch\n"),
        ("9 GiB\nneeded", "error: out of memory (9 GiB needed); take a smaller --tile or --batch\n"),
    ],
)
def test_lack_of_memory_anywhere_is_one_line(scene, monkeypatch, capsys, words, line):
    def no_memory(*_, **__):
        raise MemoryError(words)

    monkeypatch.setattr("sodslice.running.make_plan", no_memory)
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(scene)])
    assert (ended.value.code, capsys.readouterr().err) == (1, line)


def test_plan_needs_no_model(scene, tmp_path):
    done = sodslice("plan", scene, "--tile", 64, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tiles        24 of 64 x 64, overlap 12 pixels" in done.stdout


def test_plan_gives_the_notes_before_it_reads(tmp_path):
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    path = write_raster(tmp_path / "a.tif", np.ones((4, 300, 300), np.uint8), colours=colours)
    done = sodslice("plan", path, cwd=tmp_path)
    assert done.returncode == 0
    assert re.search(r"^note: .*fourth band that is not alpha", done.stderr, re.MULTILINE)


def test_config_is_yaml_that_config_takes(scene, tmp_path):
    done = sodslice("config", cwd=tmp_path)
    values = yaml.safe_load(done.stdout)
    assert (values["tile"], values["overlap"]) == (None, None)
    (tmp_path / "all.yaml").write_text(done.stdout)
    assert (
        sodslice(
            "run", scene, "--config", "all.yaml", "--model", "blobs", "-o", "a.json", cwd=tmp_path
        ).returncode
        == 0
    )
    again = sodslice("config", "--from", "a.json", cwd=tmp_path)
    assert yaml.safe_load(again.stdout)["model"] == "blobs"


def test_config_has_a_threshold_for_each_of_many_classes(tmp_path):
    by_class = {f"a class with the number {number}": number / 10 for number in range(10)}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"threshold": by_class}))
    done = sodslice("config", "--from", "mine.yaml", cwd=tmp_path)
    (tmp_path / "all.yaml").write_text(done.stdout)
    assert load_options(tmp_path / "all.yaml") == load_options(tmp_path / "mine.yaml")


def test_models_info_shows_the_licence_note(tmp_path):
    done = sodslice("models", "info", "vehicle-t", cwd=tmp_path)
    assert done.returncode == 0
    assert "licence is not stated" in done.stdout
    assert "vehicle-t" in sodslice("models", "list", cwd=tmp_path).stdout


def test_every_command_has_help(tmp_path):
    for name in COMMANDS:
        done = in_a_process(name, "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout) > 100


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_no_output(tmp_path, sent, code):
    path = write_raster(
        tmp_path / "a.tif", np.random.default_rng(0).integers(0, 255, (3, 3000, 3000), dtype=np.uint8)
    )
    command = [
        sys.executable,
        "-m",
        "sodslice",
        "run",
        str(path),
        "--tile",
        "320",
        "-o",
        str(tmp_path / "a.json"),
    ]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    journal = tmp_path / "a.json.journal"
    while running.poll() is None and not (journal.exists() and journal.stat().st_size > 10_000):
        time.sleep(0.02)
    running.send_signal(sent)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == code
    assert b"Traceback" not in errors
    assert not list(tmp_path.glob("*.json"))


def test_settings_of_formats_that_change_nothing_and_files_of_others_are_refused(
    scene, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(Path(scene).read_bytes())

    def refused(*arguments: str) -> str:
        done = CliRunner().invoke(
            group, [*arguments, "--model", "blobs"] if arguments[0] == "run" else arguments
        )
        assert done.exit_code != 0
        return done.output + str(done.exception)

    run_it = ("run", str(scene))
    assert "would change nothing in stdout.geojson" in refused(*run_it, "-o", "-", "--output-crs", "native")
    assert "--qml writes a file beside another" in refused(*run_it, "-o", "-", "--qml")
    assert "would change nothing in SCENE.geojson" in refused(
        "run", "in", "-o", "out", "--output-crs", "native"
    )
    arguments = ["in", "-o", "out", "--output-crs", "native", "--combine", "all.gpkg", "--model", "blobs"]
    assert CliRunner().invoke(group, ["run", *arguments]).exit_code == 0
    native = ["-o", "u.json", "-o", "u.gpkg", "--output-crs", "native", "--keep-raw", "--model", "blobs"]
    assert CliRunner().invoke(group, ["run", str(scene), *native]).exit_code == 0
    (tmp_path / "mine.csv").write_text("my table, mine\n")
    assert "mine.csv is here and was not written by sodslice" in refused("merge", "u.json", "-o", "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "my table, mine\n"
    assert CliRunner().invoke(group, ["merge", "u.json", "-o", "again.geojson"]).exit_code == 0
    assert "would change nothing" in refused("merge", "u.json", "-o", "b.csv", "--geometry", "point")
