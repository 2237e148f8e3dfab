"""Rational polynomials against GDAL's, by way of rasterio's `RPCTransformer`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from sodslice.errors import GeoRefError
from sodslice.place.rational import TERMS, Rpc

NAMES = {
    "line_off": 1500.0, "samp_off": 2100.0, "lat_off": -42.8625, "long_off": 147.2543, "height_off": 310.0,
    "line_scale": 1500.0, "samp_scale": 2100.0, "lat_scale": 0.0071, "long_scale": 0.0132,
    "height_scale": 240.0,
}  # fmt: skip


def made_up(seed: int) -> dict:
    """RPCs of a camera that looks aslant: samples go east, lines south, and all 20 terms count."""
    dice = np.random.default_rng(seed)

    def terms(lead: dict[int, float]) -> list[float]:
        rest = dice.uniform(-1, 1, TERMS) * np.repeat([3e-3, 0.02, 1e-3, 1e-4], [1, 3, 6, 10])
        return [lead.get(k, value) for k, value in enumerate(rest.tolist())]

    return NAMES | {
        "line_num_coeff": terms({2: -1.02}),
        "line_den_coeff": terms({0: 1.0}),
        "samp_num_coeff": terms({1: 0.98}),
        "samp_den_coeff": terms({0: 1.0}),
    }  # fmt: skip


def oracle(values: dict, height: float) -> RPCTransformer:
    rpcs = RPC(**values, err_bias=None, err_rand=None)
    return RPCTransformer(rpcs, rpc_height=height, rpc_pixel_error_threshold=1e-7, rpc_max_iterations=50)


def pixels(seed: int, count: int = 12) -> np.ndarray:
    """Pixel edges `(N, 2)` col, row all over the scene, and a little beside it."""
    return np.random.default_rng(seed).uniform(-0.05, 1.05, (count, 2)) * (4200, 3000)


seeds = st.integers(0, 2**32 - 1)
heights = st.floats(70, 550)


@settings(max_examples=40, deadline=None)
@given(seeds, heights)
def test_places_are_those_of_gdal(seed, height):
    values, edges = made_up(seed), pixels(seed)
    rpc = Rpc.from_values(values, height)
    with oracle(values, height) as theirs:
        lon, lat = theirs.xy(edges[:, 1], edges[:, 0], zs=np.zeros(len(edges)), offset="ul")
        rows, cols = theirs.rowcol(lon, lat, zs=np.zeros(len(edges)), op=np.positive)
    ours = rpc.to_map(edges)
    np.testing.assert_allclose(ours, np.stack([lon, lat], axis=1), rtol=0, atol=1e-9)  # 0.1 mm
    back = rpc.to_pixels(np.stack([lon, lat], axis=1))
    np.testing.assert_allclose(back, np.stack([cols, rows], axis=1), rtol=0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seeds, heights)
def test_pixel_to_map_to_pixel_is_the_identity(seed, height):
    rpc, edges = Rpc.from_values(made_up(seed), height), pixels(seed)
    np.testing.assert_allclose(rpc.to_pixels(rpc.to_map(edges)), edges, rtol=0, atol=1e-6)


@given(seeds, heights, st.integers(-2, 2))
@settings(max_examples=20, deadline=None)
def test_a_whole_turn_of_longitude_is_the_same_place(seed, height, turns):
    rpc = Rpc.from_values(made_up(seed), height)
    places = rpc.to_map(pixels(seed))
    np.testing.assert_allclose(
        rpc.to_pixels(places + (360.0 * turns, 0)), rpc.to_pixels(places), rtol=0, atol=1e-5
    )


@given(seeds, st.none() | heights)
@settings(max_examples=20, deadline=None)
def test_numbers_survive_json(seed, height):
    rpc = Rpc.from_values(made_up(seed), height)
    assert Rpc.from_values(orjson.loads(orjson.dumps(rpc.as_dict()))) == rpc


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_coefficients_may_be_texts_as_gdal_keeps_them(seed):
    values = made_up(seed)
    texts = {k: " ".join(map(repr, v)) if isinstance(v, list) else repr(v) for k, v in values.items()}
    assert Rpc.from_values(texts) == Rpc.from_values(values)


def across(lon_off: float = 20.0) -> dict:
    """The plainest camera: sample = longitude, line = -latitude, both of scale 1, shifted by the height."""
    one = [1.0] + [0.0] * 19
    return {
        **dict.fromkeys(NAMES, 0.0), "line_scale": 100.0, "samp_scale": 200.0, "lat_scale": 0.5,
        "long_scale": 0.25, "height_scale": 100.0, "height_off": 50.0, "line_off": 99.5, "samp_off": 199.5,
        "long_off": lon_off, "lat_off": 10.0,
        "line_num_coeff": [0.0, 0.0, -1.0] + [0.0] * 17, "line_den_coeff": one,
        "samp_num_coeff": [0.0, 1.0, 0.0, 0.5] + [0.0] * 16, "samp_den_coeff": one,
    }  # fmt: skip


def test_a_worked_example_by_hand():
    """The middle of 400 x 200 pixels lies at the offsets, and counts as edge (200, 100): 199.5 + 0.5.

    Half the samples to the right is one scale of longitude. 40 m above the middle height is 0.4 of a scale,
    which moves samples by 0.5 x 0.4 x 200 = 40 pixels.
    """
    rpc = Rpc.from_values(across())
    assert rpc.height == 50.0
    edges = np.array([[200.0, 100.0], [400.0, 0.0]])
    places = [[20.0, 10.0], [20.25, 10.5]]
    np.testing.assert_allclose(rpc.to_map(edges), places, rtol=0, atol=1e-9)
    higher = replace(rpc, height=90.0)
    np.testing.assert_allclose(higher.to_pixels(np.array(places)), edges + (40.0, 0), rtol=0, atol=1e-9)


def test_a_scene_across_the_antimeridian_is_one_piece():
    rpc = Rpc.from_values(across(lon_off=179.9))
    lon = rpc.to_map(np.array([[0.0, 100.0], [400.0, 100.0]]))[:, 0]
    np.testing.assert_allclose(lon, [179.65, 180.15], atol=1e-9)
    east = rpc.to_pixels(np.array([[-179.85, 10.0]]))
    np.testing.assert_allclose(east, [[400.0, 100.0]], rtol=0, atol=1e-6)


def test_the_height_is_the_one_given_else_the_one_written_else_the_middle():
    values = across()
    assert Rpc.from_values(values).height == 50.0
    assert Rpc.from_values(values | {"height": 7}).height == 7.0
    assert Rpc.from_values(values | {"height": 7}, 9.0).height == 9.0


@pytest.mark.filterwarnings("error")
def test_a_place_out_of_reach_is_nan():
    """Where the sample is the longitude squared, none is negative."""
    values = across() | {"samp_num_coeff": [0.0] * 7 + [1.0] + [0.0] * 12}
    lonlat = Rpc.from_values(values).to_map(np.array([[10.0, 100.0]]))
    assert np.isnan(lonlat).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"line_off": None}, "the scene's RPCs are incomplete: TypeError float() argument must be a string"),
        ({"lat_scale": "?"}, "the scene's RPCs are incomplete: ValueError could not convert string to float"),
        ({"samp_scale": 0}, "RPCs must be finite and their scales not 0"),
        ({"long_off": float("inf")}, "RPCs must be finite and their scales not 0"),
        ({"line_den_coeff": [float("nan")] * 20}, "RPCs must be finite and their scales not 0"),
        ({"line_den_coeff": [1.0] * 19}, "RPCs need 4 x 20 coefficients, 5 offsets and 5 scales"),
        ({"samp_num_coeff": "1 2 3"}, "RPCs need 4 x 20 coefficients, 5 offsets and 5 scales"),
    ],
)
def test_broken_numbers_are_refused_in_one_line(change, message):
    with pytest.raises(GeoRefError) as caught:
        Rpc.from_values(across() | change)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*NAMES, "line_num_coeff", "samp_den_coeff"])
def test_a_number_that_is_missing_is_named(name):
    values = {key: value for key, value in across().items() if key != name}
    with pytest.raises(GeoRefError) as caught:
        Rpc.from_values(values)
    assert str(caught.value) == f"the scene's RPCs are incomplete: KeyError '{name}'"


def test_a_height_that_is_no_number_is_refused():
    with pytest.raises(GeoRefError, match="RPCs must be finite"):
        Rpc.from_values(across(), float("nan"))
