from __future__ import annotations

import logging

import pytest

from sodslice import SodsliceError, load_model


@pytest.mark.parametrize("device", ["gpu", "gpu:1", "xpu"])
def test_a_model_without_weights_takes_no_device_but_the_cpu(device):
    with pytest.raises(
        SodsliceError, match=f"model blobs has no weights .* got `device={device}`; use `device=cpu`"
    ):
        load_model("blobs", device=device)
    for here in ("auto", "cpu"):
        assert load_model("blobs", device=here).info.name == "blobs"


def test_the_shipped_model_is_silent_on_loading(caplog, capfd):
    with caplog.at_level(logging.WARNING):
        load_model("vehicle-t", device="cpu")
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
