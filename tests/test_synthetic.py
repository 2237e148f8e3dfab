from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import OptionError
from sodslice.synthetic import SceneSpec, render, truth
from sodslice.synthetic.canvas import DrawnWindow
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.render import BLOCK, paint
from sodslice.synthetic.streets import smooth_path
from sodslice.synthetic.texture import smooth_noise
from sodslice.values import plain_values, value_from

WIDTH, HEIGHT = 700, 600
SPEC = SceneSpec(WIDTH, HEIGHT, gsd_m=0.2, seed=5)
SMALL = SceneSpec(256, 256, seed=1)


@pytest.fixture(scope="module")
def whole():
    return render(SPEC)


def test_equal_specs_give_equal_bytes_in_another_process():
    program = (
        "import hashlib; from sodslice.synthetic import SceneSpec, render;"
        "print(hashlib.sha256(render(SceneSpec(256, 256, seed=1)).tobytes()).hexdigest())"
    )
    import hashlib

    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert other.stdout.strip() == hashlib.sha256(render(SMALL).tobytes()).hexdigest()


def test_another_seed_is_another_town():
    assert not np.array_equal(render(SMALL), render(replace(SMALL, seed=2)))
    assert not np.array_equal(truth(SMALL).boxes, truth(replace(SMALL, seed=2)).boxes)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, WIDTH), st.integers(1, HEIGHT))
def test_any_window_is_the_same_part_of_the_whole(whole, x, y, width, height):
    width, height = min(width, WIDTH - x), min(height, HEIGHT - y)
    window = render(SPEC, (x, y, width, height))
    np.testing.assert_array_equal(window, whole[y : y + height, x : x + width])


def test_what_is_painted_does_not_change_where_blocks_meet():
    """Blocks are drawn apart; the light on a place must not depend on which block asks for it."""
    left, right = DrawnWindow(0, 0, BLOCK + 60, 300), DrawnWindow(BLOCK - 60, 0, 300, 300)
    overlap = (slice(20, 280), slice(20, 100))
    one = paint(SPEC, left)[:, BLOCK - 60 :][overlap]
    other = paint(SPEC, right)[overlap]
    differ = np.abs(one - other).max(axis=2)
    assert one.std() > 5
    # OpenCV rounds the edges of bent shapes where they leave the picture: a quarter of a pixel at most.
    assert (differ > 0.01).mean() < 0.005
    assert differ.mean() < 0.01


def test_a_scene_narrower_than_a_pixel_of_street_is_drawn_too():
    assert render(SceneSpec(1, 1, nodata=False)).shape == (1, 1, 3)
    assert render(SceneSpec(513, 2, gsd_m=0.3, seed=9)).shape == (2, 513, 3)


def test_no_data_is_zero_in_one_corner_and_nowhere_else(whole):
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    empty = ~SPEC.holds_data(x, y)
    assert 0.005 < empty.mean() < 0.03
    corners = [empty[0, 0], empty[0, -1], empty[-1, 0], empty[-1, -1]]
    assert sum(corners) == 1
    np.testing.assert_array_equal((whole == 0).any(axis=2), empty)
    np.testing.assert_array_equal((whole == 0).all(axis=2), empty)
    complete = render(replace(SPEC, nodata=False))
    assert complete.min() >= 1
    np.testing.assert_array_equal(complete[~empty][:1000], whole[~empty][:1000])


def test_without_vehicles_everything_else_stays():
    """Pixels differ only in and around vehicles: their shadows and dark rims reach 3 m at most."""
    bare = replace(SPEC, vehicles=0)
    assert len(truth(bare)) == 0
    boxes = truth(SPEC).boxes
    assert len(boxes) > 10
    changed = (render(bare) != render(SPEC)).any(axis=2)
    reach = 3.0 / SPEC.gsd_m + 3
    around = np.zeros((HEIGHT, WIDTH), bool)
    for x0, y0, x1, y1 in boxes:
        around[
            max(0, int(y0 - reach)) : int(y1 + reach) + 1, max(0, int(x0 - reach)) : int(x1 + reach) + 1
        ] = True
        assert changed[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].mean() > 0.3
    assert not changed[~around].any()


def test_fewer_vehicles_are_a_part_of_more():
    few, usual, many = (
        {tuple(box) for box in truth(replace(SPEC, vehicles=density)).boxes} for density in (0.5, 1, 2)
    )
    assert few < usual < many


def test_the_same_seed_is_the_same_town_at_another_gsd():
    fine, coarse = (
        SceneSpec(480, 480, 0.1, seed=4, nodata=False),
        SceneSpec(240, 240, 0.2, seed=4, nodata=False),
    )
    np.testing.assert_allclose(truth(fine).boxes, 2 * truth(coarse).boxes, atol=1e-9)
    small = render(fine).reshape(240, 2, 240, 2, 3).mean(axis=(1, 3))
    likeness = np.corrcoef(small.ravel(), render(coarse).ravel())[0, 1]
    assert likeness > 0.95


def test_drawn_towns_have_the_contrast_of_photographs(whole):
    pixels = whole[(whole > 0).all(axis=2)]
    assert 90 < pixels.mean() < 160
    assert 25 < pixels.std() < 70
    assert (pixels >= 254).mean() < 0.001


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "`width` must be a whole number from 1 to 1000000, got 0"),
        ({"height": 2.5}, "`height` must be a whole number from 1 to 1000000, got 2.5"),
        ({"gsd_m": 0.001}, "`gsd_m` must be a number from 0.03 to 1, got 0.001"),
        ({"gsd_m": float("nan")}, "`gsd_m` must be a number from 0.03 to 1, got nan"),
        ({"seed": -1}, "`seed` must be a whole number from 0 to 9223372036854775807, got -1"),
        ({"vehicles": -0.1}, "`vehicles` must be a number from 0 to 10, got -0.1"),
        ({"noise": "much"}, "`noise` must be a number from 0 to 20, got 'much'"),
        (
            {"origin": (1.0, float("inf"))},
            "`origin` must be two map coordinates (easting, northing), got (1.0, inf)",
        ),
        ({"nodata": "no"}, "`nodata` must be true or false, got 'no'"),
        ({"sun_elevation_deg": 5}, "`sun_elevation_deg` must be a number from 15 to 90, got 5"),
    ],
)
def test_a_spec_says_what_is_wrong_with_it(change, message):
    with pytest.raises(OptionError) as caught:
        replace(SPEC, **change)
    assert str(caught.value) == message


def test_a_spec_of_numpy_numbers_is_that_of_python_numbers():
    one = SceneSpec(
        np.int64(64), np.int32(48), np.float64(0.5), np.uint8(7), np.float32(2), np.bool_(True),
        origin=np.array([1.0, 2.0]), noise=np.int64(3),
    )  # fmt: skip
    other = SceneSpec(64, 48, 0.5, 7, 2.0, True, origin=(1.0, 2.0), noise=3.0)
    assert one == other
    assert orjson.dumps(asdict(one)) == orjson.dumps(asdict(other))
    assert (render(one) == render(other)).all()
    assert SceneSpec(1, 1, seed=2**63 - 1).seed == 2**63 - 1


def test_a_spec_survives_json():
    for spec in (SPEC, replace(SPEC, crs=None, sun_elevation_deg=40, nodata=False)):
        assert value_from(SceneSpec, orjson.loads(orjson.dumps(plain_values(spec))), where="test") == spec
        assert plain_values(spec) == orjson.loads(orjson.dumps(asdict(spec)))
    with pytest.raises(OptionError, match="^a scene lacks `width`, `height`; give each a value$"):
        value_from(SceneSpec, {"seed": 1}, where="a scene")


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, WIDTH + 1, 5), (WIDTH, 0, 1, 1)])
def test_a_window_outside_the_scene_is_refused(window):
    with pytest.raises(OptionError, match="the window must lie in the scene of 700 x 600, got"):
        render(SPEC, window)


def test_importing_the_generator_loads_no_heavy_library():
    program = (
        "import sys, sodslice.synthetic;"
        "print([m for m in ('cv2', 'rasterio', 'pyproj', 'paddle', 'sahi', 'shapely') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_throws_depend_on_seed_stream_and_cell_only():
    first = Dice(3, "trees", -2, 7).many(4)
    Dice(3, "cars", 0).many(100)
    np.testing.assert_array_equal(Dice(3, "trees", -2, 7).many(4), first)
    for other in (Dice(4, "trees", -2, 7), Dice(3, "cars", -2, 7), Dice(3, "trees", 7, -2)):
        assert not np.array_equal(other.many(4), first)


def test_throws_are_the_same_in_every_numpy():
    """PCG64 of the words (0, crc32(b"town"), 2**31 + 1), as worked out once."""
    np.testing.assert_array_equal(Dice(0, "town", 1).many(2), [0.27172882232546625, 0.9054128334382816])
    np.testing.assert_array_equal(Dice(0, "town", 1).bytes(4), [62, 153, 186, 68])


def test_picks_follow_their_weights():
    dice = Dice(0, "picks")
    picks = [dice.pick("abc", (1, 0, 3)) for _ in range(2000)]
    assert picks.count("b") == 0
    assert picks.count("a") / 2000 == pytest.approx(0.25, abs=0.03)


@settings(deadline=None, max_examples=30)
@given(st.integers(-900, 900), st.integers(-900, 900), st.integers(1, 40))
def test_noise_is_a_function_of_the_place(x, y, step):
    wide = smooth_noise(DrawnWindow(x - 7, y - 5, 60, 50), step, seed=3)
    np.testing.assert_allclose(
        smooth_noise(DrawnWindow(x, y, 20, 30), step, seed=3), wide[5:35, 7:27], atol=1e-5
    )


@pytest.mark.parametrize("step", [1, 4, 30])
def test_noise_has_mean_0_and_a_standard_deviation_near_1(step):
    noise = smooth_noise(DrawnWindow(-300, 100, 1500, 1500), step, seed=3)
    assert abs(noise.mean()) < 0.1
    assert noise.std() == pytest.approx(1.0, abs=0.15)


def test_right_of_a_street_that_runs_right_is_down():
    stops = [np.array([x, 0.0]) for x in (-10.0, 0.0, 10.0, 20.0)]
    path = smooth_path(*stops)
    assert path.length == pytest.approx(10.0)
    np.testing.assert_allclose(path.at(4.0, 1.5), (4.0, 1.5), atol=1e-9)
    assert path.heading(4.0) == pytest.approx(0.0)


def test_neighbouring_stretches_of_a_street_meet_without_a_kink():
    throws = np.random.default_rng(0).uniform(-8, 8, (5, 2))
    stops = [np.array([80.0 * k, 0.0]) + throw for k, throw in enumerate(throws)]
    first, second = smooth_path(*stops[:4]), smooth_path(*stops[1:])
    np.testing.assert_allclose(first.at(first.length), second.at(0.0), atol=1e-9)
    assert first.heading(first.length) == pytest.approx(second.heading(0.0), abs=1e-3)
