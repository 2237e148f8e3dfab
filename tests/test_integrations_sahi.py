"""SAHI both ways: the same boxes through SAHI's functions and through runs, by models of either."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sahi
from sahi.predict import get_prediction, get_sliced_prediction

import sodslice
from sodslice.integrations.sahi import SahiDetector, SodsliceDetectionModel, register
from sodslice.synthetic import SceneSpec, render
from tests.rasters import scene_with_blobs
from tests.sahi_models import BatchingModel, BrightModel, HalfPixelModel

MODES = {"GREEDYNMM": "sahi-greedy-nmm", "NMM": "sahi-nmm", "NMS": "sahi-nms"}
TILE, OVERLAP, THRESHOLD = 320, 0.2, 0.3


@pytest.fixture(scope="module")
def town() -> np.ndarray:
    """`(H, W, 3)` uint8 RGB of a drawn town, twelve tiles large."""
    return render(SceneSpec(width=900, height=800, seed=3, vehicles=2.0, nodata=False))


@pytest.fixture(scope="module")
def vehicles():
    """The shipped model as SAHI's users load it."""
    register()
    model = sahi.AutoDetectionModel.from_pretrained(
        "sodslice", model_path="vehicle-t", confidence_threshold=THRESHOLD, device="cpu", engine="openvino"
    )
    yield model
    model.unload_model()


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """Bright squares of all kinds of brightness and places, many of them on seams and some side by side."""
    rng = np.random.default_rng(7)
    pixels = scene_with_blobs(700, 500, []).transpose(1, 2, 0).copy()
    for x, y, side, level in rng.integers([0, 0, 5, 60], [680, 480, 20, 256], (150, 4)):
        pixels[y : y + side, x : x + side] = level
    return pixels


def sliced(image: np.ndarray, model, kind: str, **settings):
    found = get_sliced_prediction(
        image,
        model,
        slice_height=TILE,
        slice_width=TILE,
        overlap_height_ratio=OVERLAP,
        overlap_width_ratio=OVERLAP,
        perform_standard_pred=False,
        postprocess_type=kind,
        verbose=0,
        **settings,
    )
    return rows_of_sahi(found)


def rows_of_sahi(found) -> list[tuple]:
    rows = [(*p.bbox.to_xyxy(), p.score.value, p.category.name) for p in found.object_prediction_list]
    return sorted(rows, key=about)


def about(row: tuple) -> tuple:
    """What to sort by, the same before and after the rounding to float32."""
    return (*np.round(row[:5], 3).tolist(), row[5])


def of_run(image: np.ndarray, model, mode: str, **options) -> list[tuple]:
    options = {"tile": TILE, "overlap": OVERLAP, "threshold": THRESHOLD, "merge": mode} | options
    found = sodslice.run(image, model=model, options=options)
    names = [found.class_names[label] for label in found.detections.labels]
    columns = zip(found.detections.boxes.tolist(), found.detections.scores.tolist(), names, strict=True)
    return sorted(((*box, score, name) for box, score, name in columns), key=about)


def assert_same(one: list[tuple], other: list[tuple]) -> None:
    """The same classes, boxes within a hundredth of a pixel, scores within a ten thousandth."""
    assert len(one) == len(other) > 20
    assert [row[5] for row in one] == [row[5] for row in other]
    np.testing.assert_allclose([row[:4] for row in one], [row[:4] for row in other], atol=1e-2)
    np.testing.assert_allclose([row[4] for row in one], [row[4] for row in other], atol=1e-4)


@pytest.mark.parametrize("kind", MODES)
def test_the_shipped_model_finds_the_same_in_sahi_and_in_a_run(kind, town, vehicles):
    assert_same(sliced(town, vehicles, kind), of_run(town, "vehicle-t", MODES[kind], engine="openvino"))


def test_through_sahi_in_batches_it_is_the_same(town, vehicles):
    one, several = (sliced(town, vehicles, "NMS", batch_size=size) for size in (1, 5))
    assert_same(one, several)


def test_sahis_threshold_for_one_call_is_obeyed(town, vehicles):
    found = sliced(town, vehicles, "NMS", confidence_threshold=0.7)
    assert found
    assert min(row[4] for row in found) >= 0.7
    assert len(found) < len(sliced(town, vehicles, "NMS"))
    assert vehicles.confidence_threshold == THRESHOLD


@pytest.mark.parametrize("kind", ["GREEDYNMM", "NMS"])
@pytest.mark.parametrize("made", [BrightModel, BatchingModel, HalfPixelModel])
def test_a_model_of_sahi_finds_the_same_in_sahi_and_in_a_run(made, kind, squares):
    model = made(confidence_threshold=THRESHOLD)
    expected = sliced(squares, model, kind)
    found = of_run(squares, SahiDetector(model, tile=TILE), MODES[kind])
    assert len(found) > 50
    assert {row[5] for row in found} == {"small", "large"}
    assert [row[5] for row in found] == [row[5] for row in expected]
    np.testing.assert_allclose([r[:5] for r in found], [r[:5] for r in expected], rtol=0, atol=1e-4)


def test_boxes_between_pixels_stay_there(squares):
    found = of_run(squares, SahiDetector(HalfPixelModel(), tile=TILE), "sahi-nms")
    assert any(abs(row[0] % 1 - 0.3) < 1e-4 for row in found)


def test_there_and_back_again_is_what_it_was(town, vehicles):
    """sodslice's model as one of SAHI as one of sodslice."""
    found = of_run(town, SahiDetector(vehicles, tile=TILE), "seam", batch=4)
    assert_same(found, of_run(town, SahiDetector(vehicles, tile=TILE), "seam"))
    all_scores = SodsliceDetectionModel("vehicle-t", confidence_threshold=0.01, device="cpu")
    low = SahiDetector(all_scores, tile=TILE, threshold=THRESHOLD)
    assert low.info.threshold == THRESHOLD
    for merge in ("seam", "sahi-nms"):
        assert_same(of_run(town, low, merge), of_run(town, "vehicle-t", merge))


def test_a_whole_image_is_one_look(town, vehicles):
    image = town[:320, :320]
    found = rows_of_sahi(get_prediction(image, vehicles))
    whole = of_run(image, "vehicle-t", "none", threshold=THRESHOLD)
    np.testing.assert_allclose([row[:5] for row in found], [row[:5] for row in whole], atol=1e-2)
    assert len(found) > 3


def test_sahis_predict_on_files_knows_sodslice_too(tmp_path, town, monkeypatch):
    from PIL import Image
    from sahi.predict import predict

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.fromarray(town).save(tmp_path / "in" / "town.png")
    register()
    predict(
        model_type="sodslice",
        model_path="vehicle-t",
        model_device="cpu",
        model_confidence_threshold=THRESHOLD,
        source=str(tmp_path / "in"),
        slice_height=TILE,
        slice_width=TILE,
        no_standard_prediction=True,
        export_pickle=True,
        novisual=True,
        verbose=0,
    )
    assert list(tmp_path.rglob("town.pickle"))


def test_the_integration_loads_sahi_when_it_is_used():
    code = (
        "import sys\nsys.modules['sahi.models.base'] = None\n"
        "import sodslice.integrations.sahi as s\n"
        "s.SahiDetector\n"
        "try:\n    s.register()\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "DeviceError SAHI cannot load (import of sahi.models.base halted; None in sys.modules); "
        "install the system's libGL, on Debian: apt install libgl1 libglib2.0-0"
    )
