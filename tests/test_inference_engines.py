from __future__ import annotations

import pytest

from sodslice import SodsliceError, load_model
from tests.tiny_models import PERMUTE, export_bright_box


def test_a_graph_with_nearest_interp_runs_through_onednn_without_placement(tmp_path):
    detector = load_model(
        export_bright_box(tmp_path / "m", preprocess=[PERMUTE], nearest=True), device="cpu", threads=1
    )
    plain = load_model(export_bright_box(tmp_path / "n", preprocess=[PERMUTE]), device="cpu", threads=1)
    assert detector.engine.endswith(", cpu, oneDNN without placement")
    assert plain.engine.endswith(", cpu, oneDNN")


def test_a_broken_graph_is_one_line(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    (folder / "inference.json").write_text("{}")
    with pytest.raises(SodsliceError, match="Paddle cannot run") as caught:
        load_model(folder, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("gpu", "`device=gpu:0` (needs Paddle's GPU build|is not there)"),
        ("xpu:7", "`device=xpu:7` is not there"),
        ("cpu:0", "the CPU takes no index"),
        ("gpu:0,1", "one run uses one device"),
        ("gpu:x", "a device index is a number"),
        ("gpi", r"unknown device 'gpi'; known are auto, cpu, .*\(did you mean 'gpu'\?\)"),
    ],
)
def test_a_device_that_is_not_there_is_an_error_and_never_replaced(device, words):
    with pytest.raises(SodsliceError, match=words):
        load_model("vehicle-t", device=device)
