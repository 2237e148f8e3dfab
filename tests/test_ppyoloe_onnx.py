import importlib.util
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from sodslice import load_model, make_plan, run
from sodslice.cli import _exit_code
from sodslice.errors import ModelError, OptionError
from sodslice.inference import read_folder
from sodslice.inference.engines import ENGINES, Device, Request
from sodslice.inference.graphs.nms_nodes import with_nms
from sodslice.inference.graphs.ports import images_at_once
from sodslice.inference.limits import Suppression
from sodslice.ppyoloe import onnx
from sodslice.ppyoloe.agreement import Agreement, check_images
from sodslice.ppyoloe.description import ExportSettings
from sodslice.synthetic import SceneSpec, render
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, assert_suppressed, lively
from tests.test_export import network_answers, pictures
from tests.tiny_exports import tiny_export

RUNTIMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed"),
    )
    for name in ("openvino", "onnxruntime")
]
with_runtime = pytest.mark.parametrize("runtime", RUNTIMES)

TILE = np.ascontiguousarray(check_images((64, 96))[0][0].transpose(1, 2, 0)).astype(np.uint8)[None]


def run_file(file, feeds, runtime):
    session = ENGINES[runtime].load(Request(file, None, Device("cpu"), 1, None))
    try:
        return session.run(feeds)
    finally:
        session.close()


@pytest.fixture(scope="module")
def network():
    return lively(TINY)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A network exported without NMS in the graph."""
    return tiny_export("raw ONNX", tmp_path_factory)


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Stands in for `export_folder`: the same network for the same tiles, which Paddle has traced before."""
    known = tiny_export("raw 64 x 96", tmp_path_factory)

    def export_folder(network, folder, settings):
        assert (network.config, settings.input_size, settings.nms) == (TINY, (64, 96), False)
        shutil.copytree(known, folder)
        return Agreement(0.0, 0.0)

    return export_folder


@pytest.fixture(scope="module")
def suppressed(tmp_path_factory, network, traced):
    """The same network, exported with NMS."""
    folder = tmp_path_factory.mktemp("onnx") / "nms"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "export_folder", traced)
        onnx.export_onnx(network, folder, ExportSettings((64, 96), facts={"gsd_m": 0.1}))
    return folder


def names_of(folder):
    return sorted(path.name for path in folder.iterdir())


def own_of(folder):
    return yaml.safe_load((folder / "inference.yml").read_text())["sodslice"]


def assert_equal_to_network(file, network, batches, runtime):
    for images in batches:
        boxes, scores = run_file(file, {"image": images}, runtime)
        wanted = network_answers(network, images)
        np.testing.assert_allclose(boxes, wanted[0], atol=1e-2)
        np.testing.assert_allclose(scores, wanted[1], atol=1e-4)


@with_runtime
def test_a_raw_file_takes_any_batch_and_equals_the_network(raw, network, runtime):
    assert names_of(raw) == ["inference.onnx", "inference.yml"]
    assert images_at_once(raw / "inference.onnx") is None
    batches = (pictures(1, 64, 96), pictures(3, 64, 96))
    assert_equal_to_network(raw / "inference.onnx", network, batches, runtime)


@pytest.mark.parametrize(
    ("config", "size", "upsample"),
    [
        pytest.param(TINY, (96, 64), "safe", marks=pytest.mark.slow),  # the folder `raw` is such
        (TINY_ANY_SIZE, None, "official"),
        pytest.param(TINY, (96, 64), "official", marks=pytest.mark.slow),
        pytest.param(TINY_ANY_SIZE, None, "safe", marks=pytest.mark.slow),
    ],
)
def test_networks_of_all_kinds_can_be_written(tmp_path, config, size, upsample):
    network = lively(config)
    onnx.export_onnx(network, tmp_path / "x", ExportSettings(size, nms=False, upsample=upsample))
    batches = [pictures(2, *(size or (96, 128)))]
    for runtime in ("openvino", "onnxruntime"):
        if importlib.util.find_spec(runtime) is not None:
            assert_equal_to_network(tmp_path / "x" / "inference.onnx", network, batches, runtime)


def test_a_raw_folder_says_which_nms_is_due(raw):
    own = own_of(raw)
    assert (own["format"], own["nms"], own["gsd_m"]) == ("onnx", False, 0.1)
    assert own["suppression"] == {"iou": 0.6, "floor": 0.01}
    files = read_folder(raw)
    assert (files.suppression, files.batch) == (Suppression(0.6, 0.01), None)
    assert (files.info.suppressed, files.info.max_per_tile) == (True, None)


@pytest.fixture(scope="module")
def by_paddle(tmp_path_factory):
    """What the network's folder for Paddle finds in a tile, by Paddle."""
    return load_model(tiny_export("64 x 96", tmp_path_factory), engine="paddle").detect(TILE)[0]


@with_runtime
def test_a_raw_folder_gives_the_boxes_of_the_folder_of_paddle(raw, by_paddle, runtime):
    wanted = by_paddle
    (found,) = load_model(raw, engine=runtime, batch=2).detect(TILE)
    assert len(found) == len(wanted) > 0
    first, second = (one[np.lexsort((one.labels, one.scores))] for one in (found, wanted))
    assert first.labels.tolist() == second.labels.tolist()
    np.testing.assert_allclose(first.boxes, second.boxes, atol=1e-2)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)


@with_runtime
def test_a_file_with_nms_takes_one_image_and_says_so(suppressed, network, runtime):
    own = own_of(suppressed)
    assert (own["format"], own["batch"], own["nms"], own["gsd_m"]) == ("onnx", 1, True, 0.1)
    assert "suppression" not in own
    assert images_at_once(suppressed / "inference.onnx") == 1
    image = check_images((64, 96))[0]
    feeds = {"image": image, "scale_factor": np.ones((1, 2), np.float32)}
    rows, counts = run_file(suppressed / "inference.onnx", feeds, runtime)
    assert counts.tolist() == [len(rows)]
    assert counts.dtype == np.int32
    assert (np.diff(rows[:, 1]) <= 0).all()
    (boxes,), (scores,) = network_answers(network, image)
    assert_suppressed(rows, boxes, scores)
    feeds["scale_factor"] = np.float32([[0.5, 2]])
    stretched, _ = run_file(suppressed / "inference.onnx", feeds, runtime)
    np.testing.assert_allclose(stretched[:, 2:] * [2, 0.5, 2, 0.5], rows[:, 2:], rtol=1e-5, atol=1e-3)


@with_runtime
def test_a_folder_with_nms_runs(suppressed, raw, runtime):
    (found,) = load_model(suppressed, engine=runtime).detect(TILE)
    (wanted,) = load_model(raw, engine=runtime).detect(TILE)
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(np.sort(found.scores), np.sort(wanted.scores), atol=1e-4)


@with_runtime
def test_scenes_are_run_with_either_folder(suppressed, raw, runtime):
    scene = render(SceneSpec(width=200, height=150, gsd_m=0.2, seed=3))
    options = {"engine": runtime, "threshold": 0.02, "merge": "nms"}
    found, wanted = (run(scene, model=folder, options=options) for folder in (suppressed, raw))
    assert found.provenance.engine.startswith(f"{runtime} ")
    assert len(found.detections) == len(wanted.detections) > 0
    np.testing.assert_allclose(found.detections.boxes, wanted.detections.boxes, atol=0.01)


@with_runtime
def test_an_image_without_objects_gives_no_rows(tmp_path, raw, runtime):
    onnx_module = importlib.import_module("onnx")
    model = onnx_module.load(str(raw / "inference.onnx"))
    onnx_module.save(with_nms(model, Suppression(0.6, 0.9999)), str(tmp_path / "x.onnx"))
    feeds = {"image": check_images((64, 96))[0], "scale_factor": np.ones((1, 2), np.float32)}
    rows, counts = run_file(tmp_path / "x.onnx", feeds, runtime)
    assert (rows.shape, counts.tolist()) == ((0, 6), [0])


@with_runtime
def test_no_more_rows_come_out_than_are_kept(tmp_path, raw, runtime):
    onnx_module = importlib.import_module("onnx")
    feeds = {"image": check_images((64, 96))[0], "scale_factor": np.ones((1, 2), np.float32)}
    found = []
    for kept in (3, 500):
        model = onnx_module.load(str(raw / "inference.onnx"))
        onnx_module.save(with_nms(model, Suppression(0.6, 0.001), kept=kept), str(tmp_path / "x.onnx"))
        rows, counts = run_file(tmp_path / "x.onnx", feeds, runtime)
        assert counts.tolist() == [len(rows)]
        found.append(rows)
    np.testing.assert_allclose(found[0], found[1][:3], atol=1e-5)


def test_more_tiles_at_once_than_a_graph_takes_are_refused_at_planning(tmp_path, suppressed):
    scene = np.zeros((64, 96, 3), np.uint8)
    with pytest.raises(
        OptionError, match=r"inference\.onnx takes 1 tile at a time, got `batch=2`; leave `batch` out"
    ):
        make_plan(scene, model=suppressed, options={"batch": 2})
    settings = yaml.safe_load((suppressed / "inference.yml").read_text())
    del settings["sodslice"]
    (tmp_path / "inference.yml").write_text(yaml.safe_dump(settings))
    (tmp_path / "inference.onnx").write_bytes((suppressed / "inference.onnx").read_bytes())
    with pytest.raises(OptionError, match="takes 1 tile at a time"):
        make_plan(scene, model=tmp_path, options={"batch": 2})
    assert make_plan(scene, model=tmp_path).model.batch == 1


def test_a_file_that_is_no_graph_takes_who_knows_how_many(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"not a graph")
    assert images_at_once(tmp_path / "a.onnx") is None
    assert images_at_once(tmp_path / "b.onnx") is None


def test_the_command_line_writes_a_raw_graph_unless_told_otherwise(tmp_path, capsys):
    words = ["export", "vehicle-t", "-o", str(tmp_path / "x"), "--format", "onnx"]
    assert _exit_code(words) == 0
    assert own_of(tmp_path / "x")["nms"] is False
    assert "tiles of any size" in capsys.readouterr().out
    (found,) = load_model(tmp_path / "x").detect(np.zeros((1, 64, 64, 3), np.uint8))
    assert found.scores.max(initial=0) < 0.5


@pytest.fixture
def shifted(monkeypatch, network, traced):
    """An engine that gives the network's own answers, plus `px` on every box; after NMS it gives none."""
    seen = SimpleNamespace(px=0.0, network=network, version="1")

    class Shifted:
        def run(self, feeds):
            if "scale_factor" in feeds:
                return [np.zeros((0, 6), np.float32), np.zeros(1, np.int32)]
            boxes, scores = network_answers(seen.network, feeds["image"])
            return [boxes + np.float32(seen.px), scores]

        def close(self):
            pass

    engine = SimpleNamespace(graphs=(".onnx",), version=lambda: seen.version, load=lambda request: Shifted())
    monkeypatch.setattr(onnx, "ENGINES", [engine])
    monkeypatch.setattr(onnx, "export_folder", traced)
    return seen


def test_a_file_that_answers_otherwise_than_the_network_does_not_appear(tmp_path, shifted):
    shifted.px = 0.1
    with pytest.raises(ModelError, match=r"differs from the network by 0\.1 px .* the export was given up"):
        onnx.export_onnx(shifted.network, tmp_path / "x", ExportSettings((64, 96), nms=False))
    assert list(tmp_path.iterdir()) == []


def test_with_nms_the_file_is_held_against_what_nms_is(tmp_path, shifted):
    with pytest.raises(ModelError, match="keeps 0 boxes that are not what NMS keeps"):
        onnx.export_onnx(shifted.network, tmp_path / "x", ExportSettings((64, 96)))
    assert list(tmp_path.iterdir()) == []


def test_without_a_runtime_the_file_is_written_and_that_is_said(tmp_path, shifted, caplog):
    shifted.version, shifted.px = None, 99.0
    onnx.export_onnx(shifted.network, tmp_path / "x", ExportSettings((64, 96), nms=False))
    assert (tmp_path / "x" / "inference.onnx").is_file()
    assert caplog.messages == [
        "inference.onnx was not compared with the network, since no engine for it is installed"
    ]
