"""The plan: resolved once, handed anywhere, as good in parts as whole."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice import ArrayScene, BlobDetector, RunPlan, SodsliceError, execute, finish, make_plan, run
from sodslice.place.areas import Area
from sodslice.place.georef import GeoRef
from sodslice.results import write
from sodslice.running import Here
from sodslice.scene.layout import ReadingPlan
from sodslice.tables.tiles import Grid
from tests.rasters import scene_with_blobs, write_raster
from tests.tiny_models import PERMUTE, export_bright_box

CORNERS = [(5, 7), (100, 30), (300, 200), (390, 290), (635, 100), (700, 500), (790, 590)]
AREA = "POLYGON ((500000 5300000, 500390 5300000, 500300 5299710, 500000 5299710, 500000 5300000))"


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "a.tif"
    return write_raster(path, scene_with_blobs(800, 600, CORNERS), compress="deflate")


def plans(scene) -> list[RunPlan]:
    """Plans in which every field is used."""
    wkt = f"SRID=32632;{AREA}"
    some = [
        {},
        {"tile": 64, "overlap": 10, "aoi": wkt, "threshold": {"blob": 0.5, "all": 0.1}, "min_size": 1.5},
        {"gsd": 0.8, "window": [10, 20, 300, 400], "merge": "nms", "bands": [3, 2, 1], "nodata": "none"},
        {"class_agnostic": True, "max_size": 9, "on_error": "skip", "readers": 3, "threads": 2, "batch": 4},
        {"stretch": "2,98", "pixel_coords": True, "rpc_height": 12.5},
    ]
    return [make_plan(scene, model="blobs", options=options) for options in some]


def test_a_plan_survives_json_and_pickle(scene):
    for plan in plans(scene):
        assert RunPlan.from_json(plan.to_json()) == plan
        assert RunPlan.from_json(plan.to_json()).sha256 == plan.sha256
        again = pickle.loads(pickle.dumps(plan))
        assert again == plan
        assert again.head == plan.head
        assert np.array_equal(again.ids, plan.ids)


def test_a_plan_of_a_scene_with_control_points_or_rpcs_survives_json(tmp_path):
    points = ((0, 0, 7.0, 51.0), (800, 0, 7.01, 51.0), (0, 600, 7.0, 50.99), (800, 600, 7.011, 50.991))
    pixels = np.zeros((600, 800), np.uint8)
    plan = make_plan(ArrayScene(pixels, georef=GeoRef(None, "EPSG:4326", gcps=points)), model="blobs")
    again = pickle.loads(pickle.dumps(RunPlan.from_json(plan.to_json())))
    assert again == plan
    corner = np.array([[400.0, 300.0]])
    assert np.array_equal(again.scene.georef.to_lonlat(corner), plan.scene.georef.to_lonlat(corner))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.pop("grid"), "the plan is malformed: plan has no 'grid'"),
        (lambda p: p["grid"].update(tile="big"), "plan.grid.tile must be a whole number, got 'big'"),
        (lambda p: p["grid"].update(tile=8), "`tile` must be at least 32"),
        (lambda p: p["scene"].update(georef=[1]), "plan.scene.georef must be a mapping"),
        (lambda p: p["model"]["info"].update(class_names="blob"), "class_names must be a list"),
        (lambda p: p.update(schema=99), r"no plan of this version \(schema 99, this one reads 1\)"),
        (lambda p: p.update(area={"name": "x"}), "an area of interest is malformed"),
        (
            lambda p: p["looked_at"].update(runs=[[0, None]]),
            r"runs\[0\]\[1\] must be a whole number, got None",
        ),
    ],
)
def test_what_is_no_plan_is_refused_in_words(scene, change, words):
    content = json.loads(plans(scene)[0].to_json())
    change(content)
    with pytest.raises(SodsliceError, match=words):
        RunPlan.from_json(json.dumps(content))
    with pytest.raises(SodsliceError, match="not JSON"):
        RunPlan.from_json(b"{")
    with pytest.raises(SodsliceError, match="no plan of this version"):
        RunPlan.from_json(b"[]")


def test_making_a_plan_loads_no_model_and_reads_no_pixels(tmp_path, scene):
    export_bright_box(
        tmp_path / "m",
        preprocess=[{"type": "Resize", "target_size": [640, 640], "keep_ratio": False, "interp": 2}, PERMUTE],
    )
    code = (
        "import sys\n"
        "for name in ('paddle', 'cv2', 'sahi', 'openvino'): sys.modules[name] = None\n"
        "import sodslice, rasterio.io\n"
        "def read(*_, **__): raise AssertionError('pixels were read')\n"
        "from sodslice.scene.raster import RasterScene, Reader\n"
        "RasterScene.read = RasterScene.read_scaled = Reader.read = read\n"
        f"plan = sodslice.make_plan({str(scene)!r}, model={str(tmp_path / 'm')!r})\n"
        "print(plan.grid.tile, len(plan), plan.model.engine.split()[0], plan.finishing.thresholds)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["640", "2", "paddle"]


def test_a_plan_of_a_checkpoint_needs_no_paddle_and_says_what_the_export_will_say(tmp_path, scene):
    from sodslice.models import MODELS, load_spec

    checkpoint = MODELS["vehicle-t"].checkpoint
    code = (
        "import sys; sys.modules['paddle'] = None\n"
        "import sodslice\n"
        f"plan = sodslice.make_plan({str(scene)!r}, model={str(checkpoint)!r})\n"
        "sys.stdout.buffer.write(plan.to_json())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    planned = RunPlan.from_json(done.stdout).model
    loaded = load_spec(planned)
    assert loaded.info == planned.info
    assert planned.info.class_names == ("vehicle",)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(32, 200), st.integers(0, 31), st.data())
def test_tiles_and_order_of_a_plan_survive_their_short_form(width, height, tile, overlap, data):
    from sodslice.running.planned import LookedAt

    grid = Grid(width, height, tile, overlap)
    dice = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ids = np.flatnonzero(dice.random(len(grid)) < data.draw(st.sampled_from([0.02, 0.5, 0.98, 1.0])))
    if not len(ids):
        return
    band = data.draw(st.sampled_from([0.0, 100.0, 333.3]))
    looked_at = LookedAt.of(ids, ReadingPlan(band, 0))
    order = looked_at.ids(grid)
    assert sorted(order.tolist()) == ids.tolist()
    expected = sorted(ids.tolist(), key=lambda i: (grid[i].x // band if band else 0, grid[i].y, grid[i].x))
    assert order.tolist() == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(32, 1500), st.integers(32, 900), st.integers(1, 9), st.integers(1, 5))
def test_parts_are_the_whole_in_order_and_share_no_tile(width, height, parts, batch):
    scene = ArrayScene(np.zeros((height, width), np.uint8))
    plan = make_plan(scene, model="blobs", options={"tile": 32, "overlap": 0, "batch": batch})
    if len(plan) < parts:
        with pytest.raises(SodsliceError, match="too few for"):
            [plan.part(number, parts) for number in range(1, parts + 1)]
        return
    cut = [plan.part(number, parts) for number in range(1, parts + 1)]
    assert np.concatenate([part.ids for part in cut]).tolist() == plan.ids.tolist()
    assert all(part.head == plan.head for part in cut)
    sizes = [len(part) for part in cut]
    assert max(sizes) - min(sizes) <= 64 + batch
    with pytest.raises(SodsliceError, match=f"a part is one of 1/{parts} to"):
        plan.part(parts + 1, parts)


@pytest.mark.parametrize("options", [{"tile": 64}, {"tile": 64, "gsd": 0.4, "aoi": f"SRID=32632;{AREA}"}])
def test_a_plan_from_another_process_in_three_parts_in_reversed_order_gives_the_same_bytes(
    tmp_path, scene, options
):
    plan = make_plan(scene, model="blobs", options=options)
    (tmp_path / "plan.pickle").write_bytes(pickle.dumps(plan))
    code = (
        "import pickle, sys, pathlib, sodslice\n"
        "plan = pickle.loads(pathlib.Path('plan.pickle').read_bytes())\n"
        "for number in (3, 2, 1):\n"
        "    sodslice.execute(plan.part(number, 3), f'{number}.raw')\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parts = finish(plan, [tmp_path / f"{number}.raw" for number in (3, 1, 2)])
    whole = run(scene, model="blobs", options=options)
    assert len(whole) > 0
    for name in ("a.json", "b.geojson"):
        one = write(parts, tmp_path / name).read_bytes()
        other = write(replace(whole, timings=None), tmp_path / f"whole-{name}").read_bytes()
        assert one == other


def test_a_finish_without_all_parts_or_with_foreign_ones_is_refused(tmp_path, scene):
    plan = make_plan(scene, model="blobs", options={"tile": 64})
    first = execute(plan.part(1, 3), tmp_path / "1.raw")
    with pytest.raises(SodsliceError, match=r"\d+ of 192 tiles of .* have not been seen"):
        finish(plan, [first])
    other = make_plan(scene, model="blobs", options={"tile": 96})
    with pytest.raises(SodsliceError, match="is of another run than the plan"):
        finish(other, [first])


def test_a_scene_that_changed_since_the_plan_is_refused(tmp_path, scene):
    plan = make_plan(scene, model="blobs")
    write_raster(scene, scene_with_blobs(800, 600, CORNERS[:2]))
    with pytest.raises(SodsliceError, match="has changed since the plan was made; plan again"):
        execute(plan, tmp_path / "a.raw")
    assert not (tmp_path / "a.raw").exists()


def test_a_plan_of_an_array_or_an_object_says_what_it_lacks(tmp_path, scene):
    plan = make_plan(np.zeros((64, 64), np.uint8), model="blobs")
    with pytest.raises(SodsliceError, match="a scene from a file and a model with a sha256"):
        execute(plan, tmp_path / "a.raw")

    class Mine(BlobDetector):
        pass

    plan = make_plan(scene, model=Mine())
    with pytest.raises(SodsliceError) as caught:
        execute(plan, tmp_path / "a.raw")
    assert str(caught.value) == (
        f"the model {plan.model.word} is an object that only the process which made the plan has; "
        "execute it with hands that hold it: `Here(scene=..., detector=...)`"
    )
    assert not (tmp_path / "a.raw").exists()
    store = execute(plan, tmp_path / "a.raw", hands=Here(detector=Mine()))
    assert finish(plan, [store]).detections == run(scene, model="blobs").detections


def test_the_store_is_never_the_scene(tmp_path, scene):
    before = scene.read_bytes()
    with pytest.raises(SodsliceError, match="would overwrite the scene"):
        execute(make_plan(scene, model="blobs"), scene, fresh=True)
    assert scene.read_bytes() == before


def test_equal_settings_give_equal_hashes_and_what_changes_no_result_changes_no_hash(scene):
    plan = make_plan(scene, model="blobs", options={"tile": 64})
    assert make_plan(scene, model="blobs", options={"tile": 64, "readers": 7}).sha256 == plan.sha256
    for other in ({"tile": 96}, {"tile": 64, "threshold": 0.9}, {"tile": 64, "min_size": 2}):
        assert make_plan(scene, model="blobs", options=other).sha256 != plan.sha256


def test_a_run_is_restricted_once_and_what_follows_from_that_does_not_travel(scene, monkeypatch):
    from sodslice.running import plan as home
    from sodslice.running import planning

    calls = []
    for module in (home, planning):
        actual = module.restrict
        monkeypatch.setattr(module, "restrict", lambda *a, f=actual, **k: calls.append(a) or f(*a, **k))
    options = {"aoi": f"SRID=32632;{AREA}", "tile": 64}
    run(scene, model="blobs", options=options)
    assert len(calls) == 1
    plan = make_plan(scene, model="blobs", options=options)
    travelled = pickle.loads(pickle.dumps(plan))
    before = pickle.dumps(travelled)
    assert len(calls) == 2
    everywhere = np.random.default_rng(0).uniform(0, 800, (500, 2))
    assert np.array_equal(travelled.within.holds(everywhere), plan.within.holds(everywhere))
    assert len(calls) == 3
    assert pickle.dumps(travelled) == before
    assert b"Restriction" not in before
    assert b"Restriction" not in pickle.dumps(plan)


def test_an_area_travels_with_the_plan(tmp_path, scene):
    vector = tmp_path / "area.wkt"
    vector.write_text(f"SRID=32632;{AREA}")
    plan = make_plan(scene, model="blobs", options={"aoi": str(vector)})
    vector.unlink()
    again = RunPlan.from_json(plan.to_json())
    assert isinstance(again.area, Area)
    assert again.area.sha256 == plan.area.sha256
    inside = again.within.holds(np.array([[10.0, 10.0], [799.0, 599.0]]))
    assert inside.tolist() == [True, False]
