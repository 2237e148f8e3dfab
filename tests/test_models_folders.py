"""Folders with graphs that are known and cannot be run here."""

from __future__ import annotations

import pytest

from sodslice import SodsliceError, load_model, make_plan
from sodslice.inference.engines import ENGINES
from sodslice.models import model_info
from tests.rasters import scene_with_blobs, write_raster

YML = "Preprocess: [{type: Permute}]\nlabel_list: [bright]\nGlobal: {model_name: mine}\n"


def folder(path, *names):
    path.mkdir()
    (path / "inference.yml").write_text(YML)
    for name in names:
        (path / name).write_bytes(b"graph")
    return path


def test_an_onnx_folder_is_recognised_and_named_and_says_that_nothing_runs_it(tmp_path):
    onnx = folder(tmp_path / "m", "inference.onnx")
    info = model_info(onnx)
    assert (info.name, info.class_names) == ("mine", ("bright",))
    if any(".onnx" in engine.graphs for engine in ENGINES):
        return
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(64, 64, [(5, 5)]))
    for refused in (lambda: load_model(onnx), lambda: make_plan(scene, model=onnx)):
        with pytest.raises(SodsliceError, match=r"is a .onnx graph, which no engine here runs; the engines"):
            refused()


def test_a_folder_without_a_graph_names_all_that_it_could_hold(tmp_path):
    with pytest.raises(
        SodsliceError, match="no inference.json and no inference.pdmodel and no inference.onnx"
    ):
        model_info(folder(tmp_path / "m"))
    with pytest.raises(SodsliceError, match="holds no inference.pdiparams beside its inference.json"):
        model_info(folder(tmp_path / "n", "inference.json"))
