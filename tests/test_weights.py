import json
import logging

import numpy as np
import paddle
import pytest
from safetensors.numpy import save_file

from sodslice.errors import ModelError, OutputError
from sodslice.ppyoloe.config import network_config
from sodslice.ppyoloe.network import build_network
from sodslice.ppyoloe.weights import (
    apply_weights,
    checkpoint_config,
    load_checkpoint,
    load_network,
    read_metadata,
    save_safetensors,
)
from tests.ppyoloe_weights import TINY, lively


def values(network):
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


def assert_same(one, other):
    assert set(one) == set(other)
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("suffix", [".safetensors", ".pdparams"])
def test_a_saved_network_comes_back_bit_by_bit(tmp_path, suffix):
    network = lively(TINY)
    path = tmp_path / f"tiny{suffix}"
    if suffix == ".pdparams":
        paddle.save(network.state_dict(), str(path))
    else:
        save_safetensors(network, path)
    other = build_network(TINY)
    report = apply_weights(other, load_checkpoint(path))
    assert_same(values(network), values(other))
    assert (report.loaded, report.replaced) == (len(network.state_dict()), ())


def test_a_checkpoint_describes_itself(tmp_path):
    path = tmp_path / "t.safetensors"
    network = build_network(network_config("T", class_names=("ship", "buoy")))
    save_safetensors(network, path, {"model_name": "ships", "gsd_m": 0.3})
    assert read_metadata(path) == {
        "architecture": "T",
        "class_names": ["ship", "buoy"],
        "reg_range": [-2, 8],
        "model_name": "ships",
        "gsd_m": 0.3,
    }
    again, metadata = load_network(path)
    assert again.config == network.config
    assert metadata["model_name"] == "ships"
    assert not again.training


def test_equal_networks_give_equal_files(tmp_path):
    for name in "ab":
        save_safetensors(lively(TINY), tmp_path / f"{name}.safetensors", {"steps": 3, "loss": 1.5})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.shared
def test_the_prototypes_weights_fit_and_are_recognised_and_its_missing_names_are_said(shared, caplog):
    with caplog.at_level(logging.WARNING, "sodslice"):
        network, _ = load_network(shared / "weights" / "vehicle_t.safetensors")
    assert (network.config.name, network.config.class_names) == ("T", ("vehicle",))
    assert [r.getMessage() for r in caplog.records] == [
        "vehicle_t.safetensors names no classes; taken are vehicle"
    ]


def test_everything_that_does_not_fit_is_said_at_once():
    network = build_network(TINY)
    before = values(network)
    arrays = values(lively(TINY))
    del arrays["backbone.stem.conv1.bn.bias"], arrays["neck.encoder.layers.0.norm1.weight"]
    arrays["ema.step"] = np.ones(1, np.float32)
    arrays["yolo_head.pred_reg.0.bias"] = np.ones(3, np.float32)
    arrays["backbone.stem.conv2.bn.bias"] = arrays["backbone.stem.conv2.bn.bias"].astype(np.int64)
    with pytest.raises(ModelError) as refusal:
        apply_weights(network, arrays)
    assert str(refusal.value) == (
        "the checkpoint does not fit tiny with 2 classes: "
        "2 missing (backbone.stem.conv1.bn.bias, neck.encoder.layers.0.norm1.weight); "
        "1 unexpected (ema.step); "
        "2 misshapen (backbone.stem.conv2.bn.bias int64[4] instead of float32[4], "
        "yolo_head.pred_reg.0.bias float32[3] instead of float32[40])"
    )
    assert_same(values(network), before)


def test_a_checkpoint_of_another_architecture_is_recognised():
    arrays = values(build_network(network_config("T")))
    with pytest.raises(
        ModelError, match=r"does not fit PP-.*-S with 10 classes, it looks like T: 48 missing, 419 missh"
    ):
        apply_weights(build_network(network_config("S")), arrays)
    with pytest.raises(ModelError, match="the checkpoint is not of PP-YOLOE_plus_SOD-S: it looks like T"):
        checkpoint_config(arrays, architecture="S")


def test_a_class_head_of_another_size_is_replaced_only_when_asked():
    arrays = values(lively(network_config("T", class_names=("a", "b", "c"))))
    network = build_network(network_config("T", class_names=("car",)))
    fresh = values(network)
    with pytest.raises(ModelError, match=r"6 misshapen .*; it has other classes: name its own, or ask"):
        apply_weights(network, arrays)
    report = apply_weights(network, arrays, replace_head=True)
    heads = tuple(f"yolo_head.pred_cls.{i}.{part}" for i in range(3) for part in ("weight", "bias"))
    assert report.replaced == heads
    assert report.loaded == len(arrays) - 6
    assert_same(values(network), {**arrays, **{name: fresh[name] for name in heads}})


def test_a_class_head_of_the_same_size_is_kept_even_when_asked_to_replace():
    arrays = values(lively(TINY))
    network = build_network(TINY)
    assert apply_weights(network, arrays, replace_head=True).replaced == ()
    assert_same(values(network), arrays)


def test_replacing_the_head_excuses_nothing_else():
    arrays = values(lively(network_config("T", class_names=("a", "b", "c"))))
    arrays["yolo_head.pred_cls.0.weight"] = np.zeros((3, 7, 3, 3), np.float32)
    network = build_network(network_config("T", class_names=("car",)))
    with pytest.raises(
        ModelError, match=r"1 misshapen \(yolo_head.pred_cls.0.weight float32\[3, 7, 3, 3\] instead"
    ):
        apply_weights(network, arrays, replace_head=True)


def test_half_and_double_precision_weights_are_taken_as_single():
    arrays = values(lively(TINY))
    network = build_network(TINY)
    apply_weights(network, {name: array.astype(np.float64) for name, array in arrays.items()})
    assert_same(values(network), arrays)
    apply_weights(network, {name: array.astype(np.float16) for name, array in arrays.items()})
    assert_same(values(network), {n: a.astype(np.float16).astype(np.float32) for n, a in arrays.items()})


def test_weights_that_are_not_finite_are_refused():
    arrays = values(lively(TINY))
    arrays["yolo_head.pred_cls.1.bias"][0] = np.nan
    with pytest.raises(ModelError, match=r"not finite: 1 broken \(yolo_head.pred_cls.1.bias\)"):
        apply_weights(build_network(TINY), arrays)


@pytest.mark.parametrize("name", ["S", "L", "largesize-L", "T"])
def test_architectures_are_told_by_their_tensors(name):
    config = network_config(name)
    keys = {"backbone.stem.conv1.conv.weight": np.zeros((config.backbone_channels[0] // 2, 3, 3, 3))}
    keys["yolo_head.proj_conv.weight"] = np.zeros((1, config.bins, 1, 1))
    keys[f"backbone.stages.1.blocks.{config.backbone_blocks[1] - 1}.conv1.bn.bias"] = np.zeros(1)
    keys[f"neck.fpn_stages.0.0.convs.{config.neck_blocks - 1}.conv1.bn.bias"] = np.zeros(1)
    if config.transformer:
        keys["neck.encoder.layers.0.norm1.bias"] = np.zeros(1)
    assert checkpoint_config(keys) == config


def test_tensors_of_no_known_network_are_refused():
    with pytest.raises(
        ModelError, match=r"^no known network has these 1 tensors \(fc.weight, ...\); known are PP-"
    ):
        checkpoint_config({"fc.weight": np.ones(3)})


def test_class_names_must_be_as_many_as_the_head_has():
    arrays = values(build_network(network_config("T", class_names=("a", "b", "c"))))
    with pytest.raises(ModelError, match=r"tells 3 classes apart, but there are 1 class names \(vehicle\)"):
        checkpoint_config(arrays)
    with pytest.raises(ModelError, match=r"tells 3 classes apart, but there are 2 class names \(x, y\)"):
        checkpoint_config(arrays, class_names=("x", "y"))
    assert checkpoint_config(arrays, class_names=("x", "y", "z")).class_names == ("x", "y", "z")
    with pytest.raises(ModelError, match="class names must be a list of words, got 3"):
        checkpoint_config(arrays, {"class_names": 3})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no intact .safetensors file"),
        (b"\xff" * 100, "is no intact .safetensors file"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "is no intact .safetensors file"),
        ((2).to_bytes(8, "little") + b"{}", "holds no arrays"),
    ],
)
def test_damaged_safetensors_are_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as refusal:
        load_checkpoint(path)
    assert "\n" not in str(refusal.value)


def test_truncated_safetensors_are_refused(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_safetensors(lively(TINY), path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="is no intact .safetensors file"):
        load_checkpoint(path)


def test_metadata_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "odd.safetensors"
    save_file({"w": np.ones(1, np.float32)}, path, {"sodslice": json.dumps([1])})
    with pytest.raises(ModelError, match="the metadata of .* must be a table, got list"):
        read_metadata(path)


def test_a_checkpoint_must_exist_and_have_a_known_suffix(tmp_path):
    with pytest.raises(ModelError, match="there is no checkpoint .*none.pdparams"):
        load_checkpoint(tmp_path / "none.pdparams")
    other = tmp_path / "model.pth"
    other.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model.pth is no checkpoint: .pdparams and .safetensors are read"):
        load_checkpoint(other)


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_safetensors({"w": np.ones(2, np.float32)}, path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full_disk)
    with pytest.raises(OutputError, match=r"cannot write .*w.safetensors: No space left on device$"):
        save_safetensors({"w": np.zeros(2, np.float32)}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot write .*w.safetensors: (Not a directory|File exists)"):
        save_safetensors({"w": np.ones(1, np.float32)}, tmp_path / "file" / "w.safetensors")
