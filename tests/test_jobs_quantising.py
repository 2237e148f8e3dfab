import importlib.util
import json
from types import SimpleNamespace

import numpy as np
import onnx.parser
import pytest
import yaml

from sodslice import load_model, make_plan
from sodslice.cli import _exit_code
from sodslice.errors import ModelError, OptionError, SceneError
from sodslice.inference import int8, read_folder
from sodslice.inference.int8 import behind_convolutions, makers, read_graph
from sodslice.jobs import quantising
from sodslice.jobs.quantising import Calibration, export_int8, export_openvino
from sodslice.ppyoloe.description import ExportSettings
from sodslice.ppyoloe.export import export_folder
from sodslice.synthetic import SceneSpec, render
from tests.ppyoloe_weights import TINY, lively
from tests.rasters import write_raster
from tests.tiny_exports import tiny_export

with_nncf = pytest.mark.skipif(
    importlib.util.find_spec("nncf") is None, reason="nncf (extra `int8`) is not installed"
)
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)

ANYTHING = 1000.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network of random weights as a folder in ONNX, which wants tiles of 96 x 64 pixels."""
    return tiny_export("raw ONNX", tmp_path_factory)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A graph of a few operations, for what holds of any model: three boxes, as sure as a tile is bright."""
    folder = tmp_path_factory.mktemp("models") / "plain"
    folder.mkdir()
    graph = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 13]>
        plain (float[N, 3, H, W] image) => (float[N, 3, 4] boxes, float[N, 1, 3] scores)
        <float[1, 3, 4] places = {2, 2, 9, 9, 20, 3, 30, 9, 4, 40, 20, 60}, float[1] scale = {0.004},
         float[1] nothing = {0}, int64[3] row = {0, 1, 3}, int64[3] column = {0, 3, 1}>
        {
            mean = GlobalAveragePool (image)
            share = Mul (mean, scale)
            scores = Reshape (share, row)
            each = Reshape (share, column)
            zeros = Mul (each, nothing)
            boxes = Add (zeros, places)
        }
    """)
    onnx.save(graph, str(folder / "inference.onnx"))
    own = {"format": "onnx", "nms": False, "suppression": {"iou": 0.6, "floor": 0.01}}
    settings = {
        "mode": "paddle",
        "draw_threshold": 0.1,
        "Preprocess": [
            {"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 2},
            {"type": "Permute"},
        ],
        "label_list": ["bright"],
        "sodslice": own,
    }
    (folder / "inference.yml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    town = render(SceneSpec(width=400, height=300, gsd_m=0.2, seed=3))
    return write_raster(
        tmp_path_factory.mktemp("scenes") / "town.tif", np.ascontiguousarray(town.transpose(2, 0, 1))
    )


@pytest.fixture
def unchanged(monkeypatch):
    """Quantisation that changes nothing, so that nothing is lost; it notes what it is given."""
    seen = SimpleNamespace(tiles=[], feeds=[])

    def quantise(graph, tiles, feeds_of):
        seen.tiles += tiles
        seen.feeds += [feeds_of(tile) for tile in tiles]
        return graph

    monkeypatch.setattr(quantising, "require_nncf", lambda: None)
    monkeypatch.setattr(quantising, "quantised", quantise)
    monkeypatch.setattr(quantising, "makers", lambda: {"nncf": "0", "openvino": "0"})
    return seen


def truth_of(scene, path):
    """A truth that holds what the model itself could find nowhere, and something to be missed."""
    images = [{"id": 1, "file_name": scene.name, "width": 400, "height": 300}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 30], "area": 1200, "iscrowd": 0}]
    names = [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": names}))
    return path


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


@with_nncf
def test_a_quantised_folder_computes_with_integers_and_runs(tmp_path, model, scene):
    how = Calibration(scene, tiles=8, most_lost=ANYTHING)
    card = export_int8(model, tmp_path / "x", how)
    assert names_of(tmp_path / "x") == ["inference.bin", "inference.xml", "inference.yml"]
    files = read_folder(tmp_path / "x")
    assert files.quantised
    assert files.parameters == tmp_path / "x" / "inference.bin"
    graph = read_graph(files.graph, None)
    kinds = [node.get_type_name() for node in graph.get_ops()]
    assert kinds.count("FakeQuantize") > 10
    assert all("FakeQuantize" not in name for name in behind_convolutions(graph))
    own = yaml.safe_load((tmp_path / "x" / "inference.yml").read_text())["sodslice"]
    assert own["quantised"] == card
    assert (own["precision"], own["format"], own["nms"]) == ("int8", "openvino", False)
    assert own["suppression"] == {"iou": 0.6, "floor": 0.01}
    assert (card["tiles"], card["agreement"]["tiles"], card["scenes"]) == (8, 3, 1)
    assert card["scene_names"] == ["town.tif"]
    assert {name: card[name] for name in ("nncf", "openvino")} == makers()
    assert card["loss"]["of"] == "boxes"
    assert card["loss"]["points"] == pytest.approx(100 * (1 - card["agreement"]["f1"]), abs=0.01)
    detector = load_model(tmp_path / "x")
    assert detector.engine.endswith("int8")
    (found,) = detector.detect(np.zeros((1, 64, 96, 3), np.uint8))
    assert found.boxes.shape[1] == 4


def test_the_graph_learns_from_tiles_as_runs_prepare_them_and_not_from_those_held_out(
    tmp_path, model, scene, unchanged
):
    card = export_int8(model, tmp_path / "x", Calibration(scene, tiles=4))
    assert [tile.shape for tile in unchanged.tiles] == [(64, 96, 3)] * 4
    assert all(feed["image"].shape == (1, 3, 64, 96) for feed in unchanged.feeds)
    assert unchanged.feeds[0]["image"].max() > 1
    assert card["agreement"]["tiles"] == 2
    assert card["agreement"]["f1"] == 1
    assert card["loss"] == {"points": 0, "of": "boxes", "allowed": 3.0, "forced": False}
    assert set(card["ms_a_tile"]) == {"fp32", "int8"}


@pytest.mark.slow
def test_a_folder_of_paddle_is_translated_on_the_way(tmp_path, scene, unchanged, monkeypatch):
    monkeypatch.setenv("SODSLICE_CACHE", str(tmp_path / "cache"))
    export_folder(lively(TINY), tmp_path / "paddle", ExportSettings((64, 96), model_name="mine"))
    export_int8(tmp_path / "paddle", tmp_path / "x", Calibration(scene, tiles=2))
    files = read_folder(tmp_path / "x")
    assert (files.info.name, files.info.max_per_tile, files.info.suppressed) == ("mine", None, True)
    tile = render(SceneSpec(width=96, height=64, gsd_m=0.2, seed=1))[None]
    (found,), (wanted,) = (
        load_model(folder, engine=engine).detect(tile)
        for folder, engine in ((tmp_path / "x", "openvino"), (tmp_path / "paddle", "paddle"))
    )
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(np.sort(found.scores), np.sort(wanted.scores), atol=1e-3)


def test_ap_is_measured_where_a_truth_is_given(tmp_path, model, scene, unchanged):
    truth = truth_of(scene, scene.with_name("truth.coco.json"))
    card = export_int8(model, tmp_path / "x", Calibration(scene, tiles=2, truth=truth))
    ap = card["average_precision"]
    assert ap["truth"] == "truth.coco.json"
    assert ap["fp32"] == ap["int8"]
    assert set(ap["fp32"]) == {"ap", "ap50"}
    assert (card["loss"]["of"], card["loss"]["allowed"]) == ("AP", 0.5)


def lose(monkeypatch, share):
    """Let the quantised model lose so much of its boxes."""
    alike = SimpleNamespace(f1=1 - share, as_dict=lambda: {"f1": 1 - share})
    monkeypatch.setattr(quantising, "likeness", lambda *_, **__: alike)


def test_what_loses_too_much_is_not_written(tmp_path, plain, scene, unchanged, monkeypatch):
    lose(monkeypatch, 0.04)
    with pytest.raises(
        ModelError,
        match=r"^int8 loses 4\.00 points of boxes, more than 3, so nothing was written; .*`force`$",
    ):
        export_int8(plain, tmp_path / "x", Calibration(scene, tiles=2))
    assert list(tmp_path.iterdir()) == []
    assert (
        export_int8(plain, tmp_path / "x", Calibration(scene, tiles=2, most_lost=4.5))["loss"]["points"] == 4
    )


def test_what_is_forced_is_written_and_says_so(tmp_path, plain, scene, unchanged, monkeypatch):
    lose(monkeypatch, 0.04)
    export_int8(plain, tmp_path / "x", Calibration(scene, tiles=2, force=True))
    own = yaml.safe_load((tmp_path / "x" / "inference.yml").read_text())["sodslice"]
    assert own["quantised"]["loss"] == {"points": 4.0, "of": "boxes", "allowed": 3.0, "forced": True}


def test_a_quantised_model_is_not_quantised_again(tmp_path, plain, scene, unchanged):
    export_int8(plain, tmp_path / "x", Calibration(scene, tiles=2))
    with pytest.raises(ModelError, match="is quantised already; give the model that it was made from"):
        export_int8(tmp_path / "x", tmp_path / "y", Calibration(scene, tiles=2))


def test_one_tile_is_too_few(tmp_path, model, unchanged):
    small = write_raster(tmp_path / "a.tif", np.full((3, 64, 96), 9, np.uint8))
    with pytest.raises(SceneError, match="holds one tile with data, and some are needed"):
        export_int8(model, tmp_path / "x", Calibration(small, tiles=2))


def test_without_quantisation_the_answers_are_those_of_the_model(tmp_path, model):
    export_openvino(model, tmp_path / "x")
    tile = render(SceneSpec(width=96, height=64, gsd_m=0.2, seed=1))[None]
    (found,), (wanted,) = (
        load_model(folder, engine="openvino").detect(tile) for folder in (tmp_path / "x", model)
    )
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-3)
    with pytest.raises(ModelError, match=r"onnxruntime does not run \.xml graphs"):
        load_model(tmp_path / "x", engine="onnxruntime")
    (tmp_path / "x" / "inference.bin").unlink()
    with pytest.raises(ModelError, match=r"holds no inference\.bin beside its inference\.xml"):
        load_model(tmp_path / "x")


def test_a_checkpoint_is_exported_first(tmp_path, capsys):
    words = ["export", "vehicle-t", "--format", "openvino", "--name", "mine", "-o", str(tmp_path / "x")]
    assert _exit_code(words) == 0
    assert capsys.readouterr().out.startswith("exported ")
    assert read_folder(tmp_path / "x").info.name == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "openvino-int8"], "learns from tiles; name scenes with --calibrate"),
        (["--format", "onnx", "--calibrate", "."], "--calibrate is for --format openvino-int8"),
        (["--force"], "--force is for --format openvino-int8"),
        (["--format", "openvino", "--nms"], "leave NMS to sodslice; leave out --nms"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, capsys, words, said):
    assert _exit_code(["export", "vehicle-t", "-o", str(tmp_path / "x"), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_one_line_that_names_it(tmp_path, monkeypatch, capsys, scene):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "nncf" else found(name, *rest)
    )
    words = ["export", "vehicle-t", "-o", str(tmp_path / "x"), "--format", "openvino-int8"]
    assert _exit_code([*words, "--calibrate", str(scene)]) == 1
    assert capsys.readouterr().err == (
        "error: int8 needs NNCF, which is not installed; run: pip install 'sodslice[int8]'\n"
    )


def test_nncf_is_told_to_count_nobody(monkeypatch):
    asked = []
    stand_in = SimpleNamespace(set_log_level=lambda level: None)

    def load(name):
        asked.append((name, int8.os.environ.get("NNCF_CI")))
        return stand_in

    monkeypatch.delenv("NNCF_CI", raising=False)
    monkeypatch.setattr(int8.importlib, "import_module", load)
    assert int8._nncf() is stand_in
    assert asked == [("nncf", "1")]


def test_a_quantised_folder_is_planned_as_such(tmp_path, plain, scene, unchanged):
    export_int8(plain, tmp_path / "x", Calibration(scene, tiles=2))
    assert make_plan(scene, model=tmp_path / "x").model.precision == "int8"
    with pytest.raises(OptionError, match="fp16"):
        make_plan(scene, model=tmp_path / "x", options={"precision": "fp16"})
