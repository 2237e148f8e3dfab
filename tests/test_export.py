import json

import numpy as np
import paddle
import pytest
import rasterio
import yaml

from sodslice.cli import _exit_code
from sodslice.errors import ModelError
from sodslice.inference import read_folder
from sodslice.ppyoloe import agreement, export
from sodslice.ppyoloe.agreement import check_images, check_suppressed, compare, run_folder
from sodslice.ppyoloe.config import ARCHITECTURES, network_config
from sodslice.ppyoloe.description import ExportSettings, settings_of
from sodslice.ppyoloe.export import copied, export_folder
from sodslice.ppyoloe.network import build_network
from sodslice.ppyoloe.weights import load_network, save_safetensors
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, assert_suppressed, lively
from tests.tiny_exports import tiny_export

FILES = ["inference.json", "inference.pdiparams", "inference.yml"]


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


def network_answers(network, images):
    with paddle.no_grad():
        raw = network(paddle.to_tensor(images / np.float32(255)))
        scores = paddle.nn.functional.sigmoid(raw.logits).transpose([0, 2, 1])
        return network.decode(raw).numpy(), scores.numpy()


def pictures(count, height, width):
    """`(count, 3, height, width)` float32 0..255, each other than the next."""
    return np.concatenate(
        [check_images((height, width))[i % 2][:, :, ::-1][..., :: 1 - 2 * (i // 2)] for i in range(count)]
    )


def assert_equal_to_network(folder, network, batches, *, nms):
    """The exported folder gives the network's answers for batches of images, through Paddle Inference."""
    assert_answers(folder, batches, [network_answers(network, images) for images in batches], nms=nms)


def assert_answers(folder, batches, answers, *, nms):
    feeds = [{"image": images} for images in batches]
    if nms:
        for feed in feeds:
            feed["scale_factor"] = np.tile(np.float32([[0.5, 2.0]]), (len(feed["image"]), 1))
    for found, (boxes, scores) in zip(run_folder(folder, feeds), answers, strict=True):
        if not nms:
            compare(found, [boxes, scores])
            continue
        rows, counts = found
        assert counts.sum() == len(rows)
        assert counts.min() > 0
        for part, box, score in zip(np.split(rows, np.cumsum(counts)[:-1]), boxes, scores, strict=True):
            part[:, 2:] *= [2, 0.5, 2, 0.5]
            assert_suppressed(part, box, score)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    return tiny_export("64 x 96", tmp_path_factory)


def test_a_folder_with_nms_keeps_what_nms_by_definition_keeps(tiny_folder):
    network, folder = lively(TINY), tiny_folder
    assert_equal_to_network(folder, network, [pictures(1, 64, 96), pictures(3, 64, 96)], nms=True)


def test_the_folder_is_laid_out_and_described_as_upstream_does(tiny_folder):
    folder = tiny_folder
    assert names_of(folder) == FILES
    assert names_of(folder.parent) == ["tiny"]
    settings = yaml.safe_load((folder / "inference.yml").read_text())
    assert settings["Preprocess"] == [
        {"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 2},
        {"type": "Permute"},
    ]
    assert settings["label_list"] == ["car", "bus"]
    assert settings["draw_threshold"] == 0.4
    assert settings["Global"] == {"model_name": "tiny"}
    assert json.loads((folder / "inference.json").read_text())["base_code"]["magic"] == "pir"
    info = read_folder(folder).info
    assert (info.input_size, info.suppressed, info.max_per_tile, info.gsd_m) == ((64, 96), True, 500, 0.2)


def test_other_sizes_than_the_exported_one_are_refused_by_the_graph(tiny_folder):
    with pytest.raises(ModelError, match="Paddle cannot run"):
        run_folder(tiny_folder, [{"image": pictures(1, 64, 64), "scale_factor": np.ones((1, 2), np.float32)}])


def test_a_network_without_transformer_takes_any_size_and_is_left_as_it_was(tmp_path):
    network = lively(TINY_ANY_SIZE)
    network.train()
    before = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    found = export_folder(network, tmp_path / "any", ExportSettings(None, nms=False))
    assert found.box_px < 1e-2
    assert found.score < 1e-4
    assert network.training
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(np.array_equal(after[name].numpy(), array) for name, array in before.items())
    network.eval()
    batches = [pictures(1, 64, 96), pictures(3, 128, 64)]
    assert_equal_to_network(tmp_path / "any", network, batches, nms=False)
    info = read_folder(tmp_path / "any").info
    assert (info.input_size, info.suppressed, info.max_per_tile) == (None, False, None)


def test_a_graph_that_answers_otherwise_never_appears(tmp_path, monkeypatch):
    prepare = export._prepare

    def spoil(network, settings):
        prepare(network, settings)
        bias = network.yolo_head.pred_cls[1].bias
        bias.set_value(bias + 0.01)

    monkeypatch.setattr(export, "_prepare", spoil)
    with pytest.raises(
        ModelError, match=r"differs from the network by .* px and 0.00\d+ score, more than 0.01 and"
    ):
        export_folder(lively(TINY_ANY_SIZE), tmp_path / "x", ExportSettings((64, 64), nms=False))
    assert list(tmp_path.iterdir()) == []


def test_a_transformer_needs_a_size(tmp_path):
    with pytest.raises(
        ModelError, match=r"^tiny has a transformer, whose position code fixes the input size"
    ):
        export_folder(build_network(TINY), tmp_path / "x", ExportSettings(None))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"input_size": (64, 100)}, "the input size must be a multiple of 32 pixels, got 100"),
        ({"input_size": (0, 64)}, "the input size must be a multiple of 32 pixels, got 0"),
        ({"input_size": None, "upsample": "fast"}, "upsample is safe or official, got 'fast'"),
        ({"input_size": None, "draw_threshold": 2}, "draw_threshold is a score from 0 to 1, got 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ModelError, match=words):
        ExportSettings(**settings)


def test_settings_follow_what_a_checkpoint_says_of_itself():
    metadata = {
        "draw_threshold": 0.6,
        "model_name": "vehicle-t",
        "gsd_m": 0.1,
        "licence": "free",
        "training": {},
    }
    assert settings_of(metadata, None) == ExportSettings(
        None, draw_threshold=0.6, model_name="vehicle-t", facts={"gsd_m": 0.1, "licence": "free"}
    )
    with pytest.raises(ModelError, match="draw_threshold must be a number, got 'high'"):
        settings_of({"draw_threshold": "high"}, None)


def test_answers_are_compared_by_shape_and_by_value():
    boxes, scores = np.zeros((1, 5, 4)), np.full((1, 2, 5), 0.5)
    assert compare([boxes + 0.005, scores], [boxes, scores]) == pytest.approx((0.005, 0))
    for wrong in (
        [boxes + 0.02, scores],
        [boxes, scores + 2e-4],
        [boxes * np.nan, scores],
        [boxes[:, 1:], scores],
    ):
        with pytest.raises(ModelError, match="the export was given up"):
            compare(wrong, [boxes, scores])


def suppressed(boxes, scores):
    rows, counts = export.suppress(
        paddle.to_tensor(boxes / np.float32([1, 2, 1, 2])), paddle.to_tensor(scores)
    )
    return [rows.numpy(), counts.numpy()]


@pytest.mark.parametrize(("anchors", "side"), [(40, 100), (1500, 60), (3000, 2000), (1, 10)])
def test_rows_that_nms_keeps_are_accepted_in_any_order_and_others_refused(anchors, side):
    random = np.random.default_rng(anchors)
    corners = random.uniform(0, side, (1, anchors, 2))
    boxes = np.concatenate([corners, corners + random.uniform(2, 30, (1, anchors, 2))], axis=2).astype(
        np.float32
    )
    scores = random.uniform(0, 1, (1, 2, anchors)).astype(np.float32) ** 2
    rows, counts = suppressed(boxes, scores)
    check_suppressed([rows[::-1], counts], boxes, scores)
    moved, bold, relabelled, less = rows.copy(), rows.copy(), rows.copy(), np.delete(rows, 0, axis=0)
    moved[0, 3] += 0.02
    bold[0, 1] += 2e-4
    relabelled[0, 0] = 1 - rows[0, 0]
    for wrong in (moved, bold, relabelled, less, np.concatenate([rows, rows[:1]])):
        with pytest.raises(ModelError, match=r"are not what NMS keeps \(\d+ contradictions\)"):
            check_suppressed([wrong, np.array([len(wrong)])], boxes, scores)
    with pytest.raises(ModelError, match=r"are not what NMS keeps \(1 contradictions\)"):
        check_suppressed([rows, counts + 1], boxes, scores)


def test_an_image_with_nothing_in_it_keeps_nothing():
    boxes, scores = np.zeros((1, 5, 4), np.float32), np.full((1, 2, 5), 0.001, np.float32)
    check_suppressed([np.zeros((0, 6), np.float32), np.array([0])], boxes, scores)


def test_a_copy_shares_no_weights():
    network = lively(TINY_ANY_SIZE)
    copy = copied(network)
    copy.yolo_head.pred_cls[0].bias.set_value(paddle.ones([2]))
    assert not np.array_equal(network.yolo_head.pred_cls[0].bias.numpy(), np.ones(2))


@pytest.mark.shared
def test_the_vehicle_network_gives_what_the_prototypes_export_gives_on_a_photo(shared):
    photo = sorted((shared / "data" / "vehicles" / "val").iterdir())[0]
    with rasterio.open(photo) as image:
        pixels = image.read((1, 2, 3))[None, :, :512, :640].astype(np.float32)
    network, _ = load_network(shared / "weights" / "vehicle_t.safetensors")
    (boxes,), (scores,) = network_answers(network, pixels)
    feeds = {"image": pixels, "scale_factor": np.ones((1, 2), np.float32)}
    rows, _ = run_folder(shared / "weights" / "vehicle_t", [feeds])[0]
    assert rows[0, 1] > 0.5
    assert_suppressed(rows, boxes, scores)


# The command


@pytest.fixture
def tiny_checkpoint(tmp_path, monkeypatch):
    """A checkpoint of an architecture that is known while the test runs."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY_ANY_SIZE)
    path = tmp_path / "tiny.safetensors"
    save_safetensors(lively(TINY_ANY_SIZE), path, {"draw_threshold": 0.6, "gsd_m": 0.1})
    return path


def test_the_command_exports_what_it_is_told(tiny_checkpoint, tmp_path, capfd):
    words = ["export", str(tiny_checkpoint), "-o", str(tmp_path / "out"), "--input-size", "64x96", "--raw"]
    words += ["--name", "tiny-cars", "--licence", "free", "--classes", "car, bus"]
    assert _exit_code(words) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(f"exported tiny with 2 classes for 96 x 64 pixels to {tmp_path / 'out'}: ")
    assert len(printed.out.splitlines()) == 1
    info = read_folder(tmp_path / "out").info
    assert (info.name, info.threshold, info.gsd_m, info.licence) == ("tiny-cars", 0.6, 0.1, "free")
    assert (info.input_size, info.suppressed) == ((64, 96), False)
    assert _exit_code(words) == 1
    assert "out exists already; name another folder" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["nowhere.pdparams"],
            "there is no checkpoint nowhere.pdparams; give a .safetensors or .pdparams file",
        ),
        (
            ["PP-YOLOE_plus_SOD-L"],
            "/PP-YOLOE_plus_SOD-L_pretrained.pdparams here and give the path of that file",
        ),
        (["."], "error: . is a folder; give a checkpoint, a .safetensors or .pdparams file"),
    ],
)
def test_the_command_says_what_an_export_starts_from(tmp_path, capsys, words, error):
    assert _exit_code(["export", *words, "-o", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().err
    assert error in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--input-size", "1x2x3"], "'1x2x3' is no size; write 1024, or height x width as in 768x1024"),
        (["--classes", "a", "--classes-from", __file__], "say the same thing; give one of them"),
        (["--classes", "red,,blue"], "--classes: name 2 of 3 must be a text, got ''; write names as in car,"),
        (["--classes", "red, red"], "--classes: the name 'red' comes twice, as 1 and 2; write names as in"),
    ],
)
def test_the_command_refuses_flags_that_make_no_sense(tiny_checkpoint, tmp_path, capsys, flags, error):
    assert _exit_code(["export", str(tiny_checkpoint), "-o", str(tmp_path / "out"), *flags]) == 2
    assert error in capsys.readouterr().err


# The real networks

SIZES = [("S", 640), ("S", 1024), ("L", 640), ("L", 1024), ("T", 640), ("T", 1024)]
OFFICIAL_MIB = {("S", 640): 77.3, ("L", 640): 325.0, ("largesize-L", 1920): 340.5}


def mebibytes(folder):
    return sum(file.stat().st_size for file in folder.iterdir()) / 2**20


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}-{size[1]}")
def answered(request):
    """A real network, its size, and its answers to batches of one and of three images."""
    name, side = request.param
    network = lively(network_config(name))
    batches = [pictures(1, side, side), pictures(3, side, side)]
    return network, (name, side), batches, [network_answers(network, images) for images in batches]


@pytest.mark.slow
@pytest.mark.parametrize("upsample", ["safe", "official"])
@pytest.mark.parametrize("nms", [True, False], ids=["nms", "raw"])
def test_exports_of_the_real_networks_equal_them(tmp_path, answered, nms, upsample):
    network, (name, side), batches, answers = answered
    export_folder(network, tmp_path / "x", ExportSettings((side, side), nms=nms, upsample=upsample))
    assert_answers(tmp_path / "x", batches, answers, nms=nms)
    assert ("nearest_interp" in (tmp_path / "x" / "inference.json").read_text()) == (upsample == "official")
    if (name, side) in OFFICIAL_MIB:
        assert mebibytes(tmp_path / "x") == pytest.approx(OFFICIAL_MIB[name, side], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("upsample", ["safe", "official"])
@pytest.mark.parametrize("nms", [True, False], ids=["nms", "raw"])
def test_one_export_of_the_small_vehicle_network_serves_all_sizes(tmp_path, nms, upsample):
    network = lively(network_config("T"))
    export_folder(network, tmp_path / "x", ExportSettings(None, nms=nms, upsample=upsample))
    batches = [pictures(1, 640, 640), pictures(3, 640, 640), pictures(1, 1024, 1024), pictures(3, 736, 1024)]
    assert_equal_to_network(tmp_path / "x", network, batches, nms=nms)


@pytest.mark.slow
def test_export_of_the_largest_network_has_the_official_size(tmp_path):
    export_folder(
        lively(network_config("largesize-L")), tmp_path / "x", ExportSettings((1920, 1920), nms=False)
    )
    assert mebibytes(tmp_path / "x") == pytest.approx(OFFICIAL_MIB["largesize-L", 1920], rel=0.01)


def test_the_check_images_are_always_the_same_and_of_two_shapes_where_any_is_taken():
    assert [image.shape for image in check_images(None)] == [(1, 3, 320, 416), (1, 3, 416, 320)]
    one, other = check_images((64, 64)), check_images((64, 64))
    assert np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0], one[1])
    assert agreement.BOX_TOLERANCE_PX == 1e-2
