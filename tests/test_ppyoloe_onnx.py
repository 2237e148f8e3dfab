import importlib.util
import json
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from sodslice.cli import _exit_code
from sodslice.errors import ModelError
from sodslice.ppyoloe import onnx
from sodslice.ppyoloe.agreement import Agreement, check_images
from sodslice.ppyoloe.description import ExportSettings
from sodslice.ppyoloe.weights import save_safetensors
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, assert_suppressed, lively
from tests.test_export import network_answers, pictures

with_converter = pytest.mark.skipif(
    importlib.util.find_spec("paddle2onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="paddle2onnx and onnxruntime (extra `onnx`) are not installed",
)


def run_file(file, feeds):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


@with_converter
@pytest.mark.slow
@pytest.mark.parametrize("upsample", ["safe", "official"])
@pytest.mark.parametrize(("config", "size"), [(TINY, (64, 96)), (TINY_ANY_SIZE, None)])
def test_a_raw_file_takes_any_batch_and_equals_the_network(tmp_path, config, size, upsample):
    network = lively(config)
    onnx.export_onnx(network, tmp_path / "x", ExportSettings(size, nms=False, upsample=upsample))
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["inference.onnx", "inference.yml"]
    for images in (pictures(1, 64, 96), pictures(3, *(size or (96, 128)))):
        boxes, scores = run_file(tmp_path / "x" / "inference.onnx", {"image": images})
        wanted = network_answers(network, images)
        np.testing.assert_allclose(boxes, wanted[0], atol=1e-2)
        np.testing.assert_allclose(scores, wanted[1], atol=1e-4)


@with_converter
@pytest.mark.slow
def test_a_file_with_nms_takes_one_image_and_says_so(tmp_path):
    network = lively(TINY)
    onnx.export_onnx(network, tmp_path / "x", ExportSettings((64, 96), facts={"gsd_m": 0.1}))
    own = yaml.safe_load((tmp_path / "x" / "inference.yml").read_text())["sodslice"]
    assert (own["format"], own["batch"], own["nms"], own["gsd_m"]) == ("onnx", 1, True, 0.1)
    image = check_images((64, 96))[0]
    feeds = {"image": image, "scale_factor": np.ones((1, 2), np.float32)}
    rows, counts = run_file(tmp_path / "x" / "inference.onnx", feeds)
    assert counts.tolist() == [len(rows)]
    (boxes,), (scores,) = network_answers(network, image)
    assert_suppressed(rows, boxes, scores)


@pytest.fixture
def without_converter(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "paddle2onnx" else found(name, *rest)
    )


def test_a_missing_extra_is_one_line_that_names_it(tmp_path, monkeypatch, capsys, without_converter):
    path = tmp_path / "t.safetensors"
    save_safetensors({"w": np.ones(1, np.float32)}, path)
    assert _exit_code(["export", str(path), "-o", str(tmp_path / "x"), "--format", "onnx"]) == 1
    assert capsys.readouterr().err == (
        "error: ONNX needs paddle2onnx, which is not installed; run: pip install 'sodslice[onnx]' "
        "(Python 3.10 to 3.12)\n"
    )


def test_only_the_scales_of_nearest_interp_become_single_precision():
    def scale(kind, name="scale"):
        return {"AT": {"#": "0.a_array", "D": [{"#": kind, "D": 2.0}] * 2}, "N": name}

    def graph(*operations):
        return {"program": {"regions": [{"blocks": [{"ops": list(operations)}]}]}}

    before = graph(
        {"#": "1.nearest_interp", "A": [scale("0.a_f64"), {"AT": {"#": "0.a_i32", "D": -1}, "N": "out_h"}]},
        {"#": "1.full", "A": [scale("0.a_f64")]},
        {"#": "p", "A": []},
    )
    wanted = json.loads(json.dumps(before))
    wanted["program"]["regions"][0]["blocks"][0]["ops"][0]["A"][0] = scale("0.a_f32")
    assert onnx.single_precision_scales(before) == wanted


@pytest.mark.parametrize(
    ("child", "words"),
    [
        (
            ("noise\n[ERROR] Failed to convert PaddlePaddle model: no such op.\n", "Traceback\n", 1),
            "no such op.",
        ),
        (("", "", -11), "exit code -11"),
        (("all fine\n", "", 0), "all fine"),
    ],
)
def test_a_conversion_that_gives_no_file_is_an_error_with_its_reason(tmp_path, monkeypatch, child, words):
    (tmp_path / "inference.json").write_text(
        json.dumps({"program": {"regions": [{"blocks": [{"ops": []}]}]}})
    )
    result = SimpleNamespace(stdout=child[0], stderr=child[1], returncode=child[2])
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: result)
    with pytest.raises(ModelError, match=f"paddle2onnx could not convert the graph: .*{words}$"):
        onnx.convert(tmp_path, tmp_path / "inference.onnx")


@pytest.fixture
def converted(monkeypatch):
    """What would be converted: the converter, the runtime and the export are stand-ins that leave files.

    The runtime gives the network's own answers, plus `shift` pixels on every box; after NMS it gives none.
    """
    seen = SimpleNamespace(settings=None, shift=0.0, network=lively(TINY))

    def export(network, folder, settings):
        seen.settings = settings
        folder.mkdir()
        for name in ("inference.json", "inference.pdiparams", "inference.yml"):
            (folder / name).write_text(name)
        return Agreement(0.001, 0.0)

    class Session:
        def __init__(self, file, options, providers):
            assert options.log_severity_level == 3

        def run(self, names, feeds):
            if "scale_factor" in feeds:
                return [np.zeros((0, 6), np.float32), np.zeros(1, np.int32)]
            boxes, scores = network_answers(seen.network, feeds["image"])
            return [boxes + np.float32(seen.shift), scores]

    runtime = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)
    installed, load = importlib.util.find_spec, importlib.import_module
    seen.there = {"paddle2onnx": True, "onnxruntime": True}

    def find(name, *rest):
        return (seen.there[name] or None) if name in seen.there else installed(name, *rest)

    def load_or_stand_in(name, *rest):
        return runtime if name == "onnxruntime" else load(name, *rest)

    monkeypatch.setattr(onnx, "export_folder", export)
    monkeypatch.setattr(onnx, "convert", lambda folder, file: file.write_text("graph"))
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(importlib, "import_module", load_or_stand_in)
    return seen


def test_the_folder_holds_the_file_and_what_it_says_of_itself(tmp_path, converted):
    settings = ExportSettings((64, 96), nms=False, facts={"gsd_m": 0.1})
    assert onnx.export_onnx(converted.network, tmp_path / "x", settings) == Agreement(0.001, 0.0)
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["inference.onnx", "inference.yml"]
    assert converted.settings.facts == {"format": "onnx", "gsd_m": 0.1}


def test_a_file_that_answers_otherwise_than_the_network_does_not_appear(tmp_path, converted):
    converted.shift = 0.1
    with pytest.raises(ModelError, match=r"differs from the network by 0\.1 px .* the export was given up"):
        onnx.export_onnx(converted.network, tmp_path / "x", ExportSettings((64, 96), nms=False))
    assert list(tmp_path.iterdir()) == []


def test_with_nms_the_file_takes_one_image_at_a_time_and_is_held_against_nms(tmp_path, converted):
    with pytest.raises(ModelError, match="keeps 0 boxes that are not what NMS keeps"):
        onnx.export_onnx(converted.network, tmp_path / "x", ExportSettings((64, 96)))
    assert converted.settings.facts["batch"] == 1


def test_without_a_runtime_the_file_is_written_and_that_is_said(tmp_path, converted, caplog):
    converted.there["onnxruntime"] = False
    converted.shift = 99.0
    onnx.export_onnx(converted.network, tmp_path / "x", ExportSettings((64, 96), nms=False))
    assert (tmp_path / "x" / "inference.onnx").is_file()
    assert caplog.messages == [
        "inference.onnx was not compared with the network, since onnxruntime is not installed"
    ]


def test_the_child_process_converts_without_an_optimiser_that_would_install_things(
    tmp_path, monkeypatch, capfd
):
    """A stand-in for paddle2onnx notes what it is asked for."""
    (tmp_path / "paddle2onnx.py").write_text(
        "import json\n"
        "def export(graph, parameters, **how):\n"
        "    print('much')\n"
        "    open(how.pop('save_file'), 'w').write(json.dumps([graph, parameters, how]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    graph = {"program": {"regions": [{"blocks": [{"ops": []}]}]}}
    (tmp_path / "inference.json").write_text(json.dumps(graph))
    onnx.convert(tmp_path, tmp_path / "a.onnx")
    assert capfd.readouterr() == ("", "")
    assert json.loads((tmp_path / "a.onnx").read_text()) == [
        str(tmp_path / "inference.json"),
        str(tmp_path / "inference.pdiparams"),
        {"opset_version": onnx.OPSET, "optimize_tool": "none"},
    ]
