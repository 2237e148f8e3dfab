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
from sodslice.ppyoloe.agreement import check_images
from sodslice.ppyoloe.export import ExportSettings
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
