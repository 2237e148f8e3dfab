"""`sodslice paddlex`, and PaddleX's YAML on the command line."""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.command_line import sodslice

NAME = "small_object_detection"


@pytest.fixture
def folder(tmp_path):
    """Two bright images, and a pipeline whose model needs no files."""
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[30:50, 40:70] = 250
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "photos/a.png", "photos/b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    inner = {"model_name": "blobs", "threshold": 0.5}
    pipeline = {"pipeline_name": NAME, "SubModules": {"SmallObjectDetection": inner}}
    (tmp_path / "blobs.yaml").write_text(yaml.safe_dump(pipeline))
    return tmp_path


def test_each_result_is_a_line_and_two_files(folder):
    done = sodslice("paddlex", "--pipeline", "blobs.yaml", "--input", "photos", cwd=folder)
    assert done.returncode == 0, done.stderr
    results = [ast.literal_eval(line)["res"] for line in done.stdout.splitlines()]
    assert [one["input_path"] for one in results] == ["photos/a.png", "photos/b.png"]
    assert [one["coordinate"] for one in results[0]["boxes"]] == [[40.0, 30.0, 70.0, 50.0]]
    names = sorted(path.name for path in (folder / "output").iterdir())
    assert names == ["a_res.json", "a_res.png", "b_res.json", "b_res.png"]
    assert json.loads((folder / "output" / "a_res.json").read_text()) == results[0]


@pytest.mark.parametrize(
    ("threshold", "found"), [("0.99", 0), ("1", 0), ("0", 1), ("{0: 0.3}", 1), ("{0: 1}", 0)]
)
def test_thresholds_are_numbers_or_dicts(folder, threshold, found):
    words = ("--pipeline", "blobs.yaml", "--input", "a.png", "--threshold", threshold, "--save_path", "o")
    done = sodslice("paddlex", *words, cwd=folder)
    assert len(ast.literal_eval(done.stdout)["res"]["boxes"]) == found
    assert (folder / "o" / "a_res.json").is_file()


def test_whole_images_are_one_tile(folder):
    words = ("--pipeline", "blobs.yaml", "--input", "a.png", "--whole", "--use_hpip", "--device", "cpu")
    assert sodslice("paddlex", *words, cwd=folder).returncode == 0


@pytest.mark.parametrize("to", [(), ("--config_save_path", "my_path"), ("--config_save_path", "x/own.yml")])
def test_the_pipelines_yaml_is_written_once(folder, to):
    path = (
        folder
        / {0: f"{NAME}.yaml", 2: f"{to[-1]}/{NAME}.yaml" if to[-1:] == ("my_path",) else "x/own.yml"}[len(to)]
    )
    for _ in range(2):
        done = sodslice("paddlex", "--get_pipeline_config", NAME, *to, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{NAME} -> {path.relative_to(folder)}\n"
    assert yaml.safe_load(path.read_text())["pipeline_name"] == NAME
    path.write_text("mine: 1")
    done = sodslice("paddlex", "--get_pipeline_config", NAME, *to, cwd=folder)
    assert done.returncode == 1
    assert "is here already and differs; move it away, or give another --config_save_path" in done.stderr
    assert path.read_text() == "mine: 1"


def test_one_bad_file_does_not_end_a_folder(folder):
    (folder / "photos" / "aa.png").write_bytes(b"no image")
    done = sodslice("paddlex", "--pipeline", "blobs.yaml", "--input", "photos", cwd=folder)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert [line[:6] for line in done.stderr.splitlines()] == ["error:"]
    assert "photos/aa.png" in done.stderr
    assert (folder / "output" / "b_res.json").is_file()


@pytest.mark.parametrize("name", ["dd.yaml", "plain"])
def test_the_pipelines_yaml_cannot_be_a_folder_nor_lie_in_a_file(folder, name):
    (folder / "dd.yaml").mkdir()
    (folder / "plain").write_text("x")
    done = sodslice("paddlex", "--get_pipeline_config", NAME, "--config_save_path", name, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("--pipeline", NAME),
            2,
            "give --pipeline small_object_detection and --input, or --get_pipeline_config",
        ),
        ((), 2, "give --pipeline"),
        (
            ("--pipeline", "ocr", "--input", "a.png"),
            1,
            "there is no pipeline 'ocr'; sodslice has small_object",
        ),
        (("--get_pipeline_config", "ocr"), 1, "there is no pipeline 'ocr'"),
        (
            ("--pipeline", NAME, "--input", "a.png"),
            1,
            "fetch it with `sodslice models pull PP-YOLOE_plus_SOD-L`",
        ),
        (
            ("--pipeline", "blobs.yaml", "--input", "a.png", "--threshold", "high"),
            2,
            "--threshold takes a number",
        ),
        (
            ("--pipeline", "blobs.yaml", "--input", "a.png", "--threshold", "True"),
            2,
            "--threshold takes a number",
        ),
        (("--pipeline", "blobs.yaml", "--input", "a.png", "--threshold", "2"), 2, "--threshold"),
        (
            ("--pipeline", "blobs.yaml", "--input", "a.png", "--threshold", "{9: 0.5}"),
            2,
            "names the class '9'",
        ),
        (("--pipeline", "blobs.yaml", "--input", "no.png"), 1, "error: there is no file no.png"),
        (("--pipeline", "blobs.yaml", "--input", "a.png", "--device", "gpu:0"), 1, "--device gpu:0"),
        (("--pipeline", "blobs.yaml", "--input", "a.png", "--device", "gpu:1,2"), 1, "--device gpu:1,2"),
        (("--pipeline", "blobs.yaml", "--input", "a.png", "--device", "npu:0"), 1, "--device npu:0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, words, code, said):
    done = sodslice("paddlex", *words, cwd=folder)
    assert done.returncode == code
    assert said in done.stderr
    assert not (folder / "output").exists()


def test_a_run_takes_the_pipelines_yaml(folder):
    done = sodslice("run", "a.png", "--config", "blobs.yaml", "-o", "a.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    options = json.loads((folder / "a.json").read_text())["run"]["options"]
    assert (options["model"], options["threshold"]["all"]) == ("blobs", 0.5)
    stricter = sodslice(
        "run", "a.png", "--config", "blobs.yaml", "--threshold", "1", "-o", "b.json", cwd=folder
    )
    assert "0 objects" in stricter.stdout


def test_config_writes_a_pipeline_that_a_run_takes(folder):
    first = sodslice("config", "--paddlex", cwd=folder)
    assert yaml.safe_load(first.stdout)["SubModules"]["SmallObjectDetection"]["threshold"] == 0.5
    (folder / "run.yaml").write_text("model: vehicle-t\nthreshold: 0.3\n")
    own = sodslice("config", "--paddlex", "--from", "run.yaml", cwd=folder)
    inner = yaml.safe_load(own.stdout)["SubModules"]["SmallObjectDetection"]
    assert (inner["model_name"], inner["model_dir"], inner["threshold"]) == ("vehicle-t", None, 0.3)
