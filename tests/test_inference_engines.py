from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from sodslice import SodsliceError, load_model
from sodslice.errors import DeviceError, ModelError, OptionError
from sodslice.inference import InferenceChoice
from sodslice.inference.engines import ENGINES, Device, Request, parse_devices
from sodslice.inference.engines import onnxruntime as ort
from sodslice.inference.engines.choosing import Choice, Wish, choose_engine, split_word
from sodslice.inference.engines.openvino import OpenvinoSession
from sodslice.inference.limits import Suppression
from sodslice.merging.suppression import suppressed_by
from sodslice.models import load_spec, resolve_model
from sodslice.models.store import SHIPPED
from sodslice.models.translation import BESIDE
from sodslice.system import chip
from sodslice.tables.boxes import iou
from tests.tiny_models import PERMUTE, export_bright_box

ONNX = SHIPPED / "vehicle-t" / BESIDE / "inference.onnx"
CPU = Device("cpu")


def test_a_graph_with_nearest_interp_runs_through_onednn_without_placement(tmp_path):
    detector = load_model(
        export_bright_box(tmp_path / "m", preprocess=[PERMUTE], nearest=True), device="cpu", threads=1
    )
    plain = load_model(export_bright_box(tmp_path / "n", preprocess=[PERMUTE]), device="cpu", threads=1)
    bare = load_model(tmp_path / "n", device="cpu", threads=1, engine="paddle:plain")
    assert detector.engine.endswith(", cpu, oneDNN without placement, fp32")
    assert plain.engine.endswith(", cpu, oneDNN, fp32")
    assert bare.engine.endswith(", cpu, without oneDNN, fp32")


def test_a_broken_graph_is_one_line(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    (folder / "inference.json").write_text("{}")
    with pytest.raises(SodsliceError, match="Paddle cannot run") as caught:
        load_model(folder, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("gpu", "no engine here runs vehicle-t with `device=gpu:0`|needs Paddle's GPU build|is not there"),
        ("xpu:7", "`device=xpu:7` is not there"),
        ("cpu:0", "the CPU takes no index"),
        ("gpu:0,0", "device indexes are numbers from 0, each once"),
        ("gpu:x", "device indexes are numbers"),
        ("gpi", r"unknown device 'gpi'; known are auto, cpu, .*\(did you mean 'gpu'\?\)"),
    ],
)
def test_a_device_that_is_not_there_is_an_error_and_never_replaced(device, words):
    with pytest.raises(SodsliceError, match=words):
        load_model("vehicle-t", device=device)


def test_a_device_word_names_one_or_several():
    assert parse_devices("auto") == ()
    assert parse_devices("CPU") == (CPU,)
    assert parse_devices("gpu") == (Device("gpu", 0),)
    assert parse_devices("npu:3,1") == (Device("npu", 3), Device("npu", 1))


@pytest.fixture(scope="module")
def towns():
    from sodslice.synthetic import SceneSpec, render

    return np.stack([render(SceneSpec(width=256, height=320, seed=seed)) for seed in (3, 4, 5)])


@pytest.fixture(scope="module")
def by_paddle(towns):
    return load_model("vehicle-t", engine="paddle", device="cpu").detect(towns)


def above(table, score=0.05):
    keep = table.scores >= score
    return table.boxes[keep], table.scores[keep]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("batch", [1, 2])
def test_engines_agree_with_paddle(engine, batch, towns, by_paddle):
    detector = load_model("vehicle-t", engine=engine, device="cpu", batch=batch)
    assert detector.engine.startswith(f"{engine} ")
    assert detector.engine.endswith(", cpu, fp32")
    for found, wanted in zip(detector.detect(towns), by_paddle, strict=True):
        (boxes, scores), (others, expected) = above(found), above(wanted)
        assert len(boxes) == len(others) > 3
        order = [int(np.argmax(iou(np.repeat(box[None], len(boxes), 0), boxes))) for box in others]
        assert sorted(order) == list(range(len(boxes)))
        np.testing.assert_allclose(boxes[order], others, atol=0.05)
        np.testing.assert_allclose(scores[order], expected, atol=1e-3)


def test_rows_do_not_depend_on_the_batch_or_on_what_was_run_before(towns):
    detector = load_model("vehicle-t", device="cpu", batch=1)
    together = detector.detect(towns)
    detector.detect(towns[:, :128, :128])
    detector.detect(towns[:, :64])
    for found, tile in zip(together, towns, strict=True):
        (alone,) = detector.detect(tile[None])
        assert np.array_equal(found.boxes, alone.boxes)
        assert np.array_equal(found.scores, alone.scores)


def test_the_default_model_runs_as_installed_without_paddle_and_without_a_conversion(tmp_path):
    program = (
        "import sys; sys.modules['paddle'] = None\n"
        "import numpy as np, sodslice\n"
        "detector = sodslice.load_model('vehicle-t')\n"
        "detector.detect(np.zeros((1, 64, 64, 3), np.uint8))\n"
        "print(detector.engine)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"SODSLICE_CACHE": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("openvino ")
    assert not done.stderr
    assert not (tmp_path / "translations").exists()


def engine_of(word="auto", **wish):
    return choose_engine(Wish(".json", word, **wish), source="m")


@pytest.fixture
def chip_with(monkeypatch):
    return lambda *flags: monkeypatch.setattr(chip, "flags", lambda: frozenset(flags))


def test_the_fastest_engine_that_is_installed_is_taken(monkeypatch):
    assert engine_of().word == "openvino"
    assert engine_of("paddle").word == "paddle"
    assert engine_of("onnxruntime:tensorrt", device=Device("gpu")) == Choice(
        ENGINES["onnxruntime"], "tensorrt", ()
    )
    slow = engine_of(hindrance=lambda: "it has operations that only Paddle runs: erfinv")
    assert slow.word == "paddle"
    assert slow.why == (
        "openvino cannot run it: it has operations that only Paddle runs: erfinv",
        "onnxruntime cannot run it: it has operations that only Paddle runs: erfinv",
    )
    absent = {**vars(ENGINES["openvino"]), "version": lambda: None}
    monkeypatch.setitem(ENGINES._made, "openvino", type(ENGINES["openvino"])(**absent))
    second = engine_of()
    assert second.word == "onnxruntime"
    assert second.why == ("openvino is not installed; pip install openvino",)
    with pytest.raises(ModelError, match="m: openvino is not installed"):
        engine_of("openvino")


def test_a_precision_that_the_chip_only_imitates_is_refused_unless_the_engine_is_named(chip_with):
    chip_with("avx2")
    with pytest.raises(OptionError, match="would only imitate bf16: this chip has neither avx512_bf16"):
        engine_of(precision="bf16")
    assert engine_of("openvino", precision="bf16").word == "openvino"
    chip_with("avx2", "amx_bf16")
    assert engine_of(precision="bf16").word == "openvino"
    with pytest.raises(OptionError, match="openvino does not compute in fp16 on cpu"):
        engine_of(precision="fp16")


def test_engines_and_backends_are_named_in_one_word():
    assert split_word("onnxruntime:DmlExecutionProvider")[1] == "DmlExecutionProvider"
    with pytest.raises(OptionError, match=r"unknown engine 'openvina'.*did you mean 'openvino'"):
        engine_of("openvina")
    with pytest.raises(
        OptionError, match=r"`engine` must be a word such as openvino or onnxruntime:tensorrt"
    ):
        load_model("vehicle-t", engine="paddle:")
    with pytest.raises(OptionError, match=r"load_model knows no `engin`; known are device, .*'engine'"):
        load_model("vehicle-t", engin="paddle")
    with pytest.raises(DeviceError, match=r"the engine openvino runs on the CPU|drives no gpu"):
        engine_of("openvino", device=Device("gpu"))


def test_a_gpu_asks_for_an_engine_that_was_built_for_it(monkeypatch):
    with pytest.raises(DeviceError, match="needs onnxruntime-gpu, and onnxruntime is installed"):
        ort.pick_device(Device("gpu"))
    monkeypatch.setattr(ort, "_installed", lambda: {"onnxruntime-gpu": "1.0"})
    monkeypatch.setattr(chip, "has_nvidia_driver", lambda: True)
    assert ort.pick_device(None) == Device("gpu")
    assert engine_of().word == "onnxruntime"
    monkeypatch.setattr(chip, "has_nvidia_driver", lambda: False)
    assert ort.pick_device(None) == CPU
    assert engine_of().word == "openvino"


def test_a_gpu_that_would_be_taken_decides_about_the_precision(monkeypatch):
    monkeypatch.setattr(ort, "_installed", lambda: {"onnxruntime-gpu": "1.0"})
    monkeypatch.setattr(chip, "has_nvidia_driver", lambda: True)
    assert engine_of(precision="fp16").word == "onnxruntime"
    with pytest.raises(OptionError, match="openvino does not compute in fp16 on cpu"):
        engine_of(precision="fp16", device=CPU)


def test_a_provider_that_is_not_there_is_said():
    request = Request(ONNX, None, Device("gpu"), 1, None)
    with pytest.raises(DeviceError, match="has no CUDAExecutionProvider .*onnxruntime-gpu"):
        ort.OnnxruntimeSession(request)
    fast = Request(ONNX, None, Device("gpu"), 1, None, "fp16", "cuda")
    with pytest.raises(DeviceError, match="for fp16 use `engine=onnxruntime:tensorrt`"):
        ort.OnnxruntimeSession(fast)


@pytest.mark.parametrize("load", [OpenvinoSession, ort.OnnxruntimeSession])
def test_what_cannot_be_run_is_one_line_and_a_closed_session_says_so(tmp_path, load):
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot run .*x.onnx") as caught:
        load(Request(tmp_path / "x.onnx", None, CPU, 1, None))
    assert "\n" not in str(caught.value)
    probe = {"image": np.zeros((1, 3, 64, 64), np.float32)}
    session = load(Request(ONNX, None, CPU, 1, probe))
    assert session.input_names == ("image",)
    with pytest.raises(ModelError, match="cannot run") as caught:
        session.run({"image": np.zeros((1, 4, 64, 64), np.float32)})
    assert "\n" not in str(caught.value)
    session.close()
    session.close()
    with pytest.raises(ModelError, match="the model is closed"):
        session.run(probe)
    with pytest.raises(ModelError, match="wants an input 'image' that detectors do not have"):
        load(Request(ONNX, None, CPU, 1, {"other": probe["image"]}))


def test_openvino_takes_pixels_as_they_are_and_gives_the_same(towns):
    image = np.ascontiguousarray(towns[:1].transpose(0, 3, 1, 2), np.float32)
    floats = OpenvinoSession(Request(ONNX, None, CPU, 1, None)).run({"image": image})
    levels = OpenvinoSession(Request(ONNX, None, CPU, 1, None, pixels=True)).run({"image": towns[:1]})
    for one, other in zip(floats, levels, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_chip_says_its_name_and_flags():
    assert f"{chip.cores()} cores" in chip.describe()
    assert chip.computes_bf16() == bool(chip.flags() & chip.BF16_FLAGS)


def test_tiles_at_once_give_what_they_give_one_by_one(towns):
    spec = resolve_model("vehicle-t", InferenceChoice(device="cpu"))
    one, two = load_spec(spec), load_spec(replace(spec, streams=2))
    wanted = [one.detect(tile[None])[0] for tile in towns]
    assert two.concurrent
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda k: two.detect(towns[k % 3][None])[0], range(12)))
    for k, found in enumerate(many):
        assert np.array_equal(found.boxes, wanted[k % 3].boxes)
        assert np.array_equal(found.scores, wanted[k % 3].scores)


def test_of_the_same_candidates_the_best_are_decided_however_many_are_wanted():
    random = np.random.default_rng(5)
    corners = random.uniform(0, 300, (6000, 2))
    boxes = np.concatenate([corners, corners + random.uniform(8, 30, (6000, 2))], axis=1)
    scores = random.random(6000).astype(np.float32) ** 4
    labels = random.integers(0, 3, 6000).astype(np.int32)
    rule = Suppression(0.6, 0.01)
    boxes_of_all, scores_of_all, labels_of_all = rule((boxes, scores, labels))
    order = np.argsort(-scores, kind="stable")
    winners = suppressed_by(boxes, labels, None, order=order, least_iou=0.6)
    wanted = [row for row in order if winners[row] == row and scores[row] > 0.01]
    assert np.array_equal(boxes_of_all, boxes[wanted])
    for enough, lowest in ((1, 1.0), (50, 1.0), (200, 0.5), (10_000, 1.0)):
        found, found_scores, found_labels = rule((boxes, scores, labels), enough=enough, lowest=lowest)
        count = len(found)
        assert count >= min(len(wanted), max(enough + 1, int((scores_of_all >= lowest).sum())))
        assert np.array_equal(found, boxes_of_all[:count])
        assert np.array_equal(found_scores, scores_of_all[:count])
        assert np.array_equal(found_labels, labels_of_all[:count])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_openvino_has_run_before_changes_no_byte(precision):
    request = Request(ONNX, None, CPU, 2, None, precision=precision, pixels=True)
    first, other = OpenvinoSession(request), OpenvinoSession(request)
    random = np.random.default_rng(0)
    for height, width in ((96, 64), (320, 320), (352, 640), (640, 640)):
        feeds = {"image": random.integers(0, 256, (1, height, width, 3), np.uint8)}
        first.compile_for(feeds, many=True)
        for one, same in zip(first.run(feeds), other.run(feeds), strict=True):
            assert one.tobytes() == same.tobytes()


def test_openvino_compiles_once_for_tiles_of_all_sizes_and_once_more_for_many_of_one(monkeypatch):
    session, compiled = OpenvinoSession(Request(ONNX, None, CPU, 1, None, pixels=True)), []
    compile_model = session._core.compile_model

    class Core:
        def compile_model(self, model, *settings):
            compiled.append(str(model.input("image").partial_shape))
            return compile_model(model, *settings)

    monkeypatch.setattr(session, "_core", Core())
    for side in (64, 96, 128, 96):
        session.run({"image": np.zeros((1, side, 32, 3), np.uint8)})
    assert compiled == ["[1,?,?,3]"]
    for side in (160, 96, 160):
        session.compile_for({"image": np.zeros((1, side, 32, 3), np.uint8)}, many=side == 160)
        session.run({"image": np.zeros((1, side, 32, 3), np.uint8)})
    assert compiled == ["[1,?,?,3]", "[1,160,32,3]"]
    session.close()
    with pytest.raises(ModelError, match="the model is closed"):
        session.compile_for({"image": np.zeros((1, 64, 32, 3), np.uint8)}, many=False)
