from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import ModelError
from sodslice.inference import Preprocess
from tests.tiny_models import PERMUTE


def test_cubic_resizing_equals_opencv():
    tile = np.random.default_rng(0).integers(0, 255, (2, 100, 140, 3), dtype=np.uint8)
    steps = Preprocess(
        ({"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 2}, PERMUTE)
    )
    images, scale = steps(tile)
    assert scale == (0.64, 96 / 140)
    for image, pixels in zip(images, tile, strict=True):
        expected = cv2.resize(pixels, (96, 64), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
        assert np.array_equal(image, expected.astype(np.float32))


def test_tiles_of_odd_size_are_padded_to_the_stride():
    images, scale = Preprocess((PERMUTE,))(np.full((1, 50, 70, 3), 7, np.uint8))
    assert images.shape == (1, 3, 64, 96)
    assert scale == (1.0, 1.0)
    assert images[:, :, 50:].max() == 0


MEAN = {"type": "NormalizeImage", "mean": [0.5] * 3, "std": [0.2] * 3}
LEVELS = r"NormalizeImage needs three numbers each as mean and std, none of std 0, got .*"
SIDES = r"Resize needs a target_size \[height, width\] in pixels, from 1 to 65536, got "
STRETCH = {"type": "Resize", "target_size": [64, 64]}
INTERP = "Resize knows interp 0 nearest, 1 linear, 2 cubic, 3 area, 4 lanczos, got "
FILL = "Pad needs a level from 0 to 255, or three, as fill_value, got "


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"type": "Reszie"}, r"'Reszie', known are .* \(did you mean 'Resize'\?\)"),
        ({"type": "Resize"}, f"{SIDES}None"),
        (STRETCH | {"target_size": [1]}, rf"{SIDES}\[1\]"),
        (STRETCH | {"target_size": ["64", "64"]}, rf"{SIDES}\['64', '64'\]"),
        (STRETCH | {"target_size": [64, 0]}, rf"{SIDES}\[64, 0\]"),
        (STRETCH | {"target_size": True}, f"{SIDES}True"),
        (STRETCH | {"interp": 9}, f"{INTERP}9"),
        (STRETCH | {"interp": "cubic"}, "Resize.interp must be a whole number, got 'cubic'"),
        (STRETCH | {"interp": True}, "Resize.interp must be a whole number, got True"),
        (STRETCH | {"keep_ratio": "no"}, "Resize.keep_ratio must be true or false, got 'no'"),
        ({"type": "NormalizeImage", "mean": [0, 0, 0]}, rf"{LEVELS}\[0, 0, 0\] and None"),
        (MEAN | {"mean": [0.5, 0.5]}, LEVELS),
        (MEAN | {"mean": ["0.5"] * 3}, LEVELS),
        (MEAN | {"mean": "?"}, LEVELS),
        (MEAN | {"mean": [[0.5]] * 3}, LEVELS),
        (MEAN | {"std": [0.2, 0, 0.2]}, LEVELS),
        (MEAN | {"std": [0.2, float("nan"), 0.2]}, LEVELS),
        (MEAN | {"std": 10**400}, LEVELS),
        (MEAN | {"std": True}, LEVELS),
        (
            MEAN | {"norm_type": "mean-std"},
            "NormalizeImage knows norm_type mean_std and none, got 'mean-std'",
        ),
        (MEAN | {"is_scale": 1}, "NormalizeImage.is_scale must be true or false, got 1"),
        ({"type": "PadStride", "stride": "x"}, "PadStride.stride must be a whole number, got 'x'"),
        (
            {"type": "PadStride", "stride": -32},
            "PadStride needs a stride in pixels, from 0 to 65536, got -32",
        ),
        ({"type": "Pad", "size_divisor": "q"}, "Pad.size_divisor must be a whole number, got 'q'"),
        ({"type": "Pad", "size": [64]}, r"Pad needs a size \[height, width\] in pixels, .* got \[64\]"),
        ({"type": "Pad", "fill_value": 300}, f"{FILL}300"),
        ({"type": "Pad", "fill_value": 300.0}, f"{FILL}300.0"),
        ({"type": "Pad", "fill_value": [1, 2]}, rf"{FILL}\[1, 2\]"),
        ({"type": "Pad", "fill_value": "grey"}, f"{FILL}'grey'"),
    ],
)
def test_preprocessing_that_cannot_be_obeyed_is_refused_when_it_is_read(operation, words):
    with pytest.raises(ModelError, match=words) as caught:
        Preprocess((operation,))
    assert "\n" not in str(caught.value)


def test_a_refusal_says_what_to_do():
    with pytest.raises(ModelError) as caught:
        Preprocess((MEAN | {"is_scale": "yes"},))
    assert str(caught.value) == (
        "the model asks for preprocessing that cannot be done: "
        "NormalizeImage.is_scale must be true or false, got 'yes'; correct the model's yml"
    )


def test_means_are_not_asked_for_where_they_are_not_used():
    scaled = {"type": "NormalizeImage", "norm_type": "none", "mean": None, "std": [0, 0, 0]}
    images, _ = Preprocess((scaled,), stride=1)(np.full((1, 2, 2, 3), 51, np.uint8))
    np.testing.assert_allclose(images, 0.2)


def tiles(height: int, width: int, count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


sides = st.integers(1, 150)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.booleans(), st.booleans())
def test_levels_are_normalised_by_the_plain_definition(height, width, is_scale, by_mean):
    mean, std = (0.4, 110.0, -3.0), (0.25, 30.0, 2.0)
    steps = Preprocess(
        (
            {
                "type": "NormalizeImage",
                "is_scale": is_scale,
                "norm_type": "mean_std" if by_mean else "none",
                "mean": list(mean),
                "std": list(std),
            },
            PERMUTE,
        ),
        stride=1,
    )
    pixels = tiles(height, width)
    images, scale = steps(pixels)
    expected = pixels / 255 if is_scale else pixels.astype(float)
    expected = (expected - mean) / std if by_mean else expected
    assert images.dtype == np.float32
    assert scale == (1.0, 1.0)
    np.testing.assert_allclose(images, expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-4)


PADS = {
    "to the stride of the model": ((PERMUTE,), 32, 0),
    "to a stride": (({"type": "PadStride", "stride": 24}, PERMUTE), 24, 0),
    "to a divisor": (({"type": "Pad", "size_divisor": 16}, PERMUTE), 16, 0),
    "to no stride": (({"type": "PadStride", "stride": 0}, PERMUTE), 1, 0),
}


@pytest.mark.parametrize(("operations", "multiple", "fill"), PADS.values(), ids=PADS)
@settings(max_examples=25, deadline=None)
@given(height=sides, width=sides)
def test_tiles_are_padded_on_the_right_and_at_the_bottom_to_the_next_multiple(
    operations, multiple, fill, height, width
):
    pixels = tiles(height, width)
    images, scale = Preprocess(operations)(pixels)
    assert scale == (1.0, 1.0)
    for side, padded in zip((height, width), images.shape[2:], strict=True):
        assert padded % multiple == 0
        assert side <= padded < side + multiple
    np.testing.assert_array_equal(images[:, :, :height, :width], pixels.transpose(0, 3, 1, 2))
    assert (images[:, :, height:] == fill).all()
    assert (images[:, :, :, width:] == fill).all()


@pytest.mark.parametrize(
    ("given_", "fill"), [({}, (114, 114, 114)), ({"fill_value": [1.0, 2.0, 3.0]}, (1, 2, 3))]
)
def test_tiles_are_padded_to_a_size_with_a_colour(given_, fill):
    pixels = tiles(40, 50)
    images, _ = Preprocess(({"type": "Pad", "size": [64, 96], **given_}, PERMUTE))(pixels)
    assert images.shape == (2, 3, 64, 96)
    np.testing.assert_array_equal(images[:, :, :40, :50], pixels.transpose(0, 3, 1, 2))
    assert (images[:, :, 40:].transpose(0, 2, 3, 1) == fill).all()
    assert (images[:, :, :, 50:].transpose(0, 2, 3, 1) == fill).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 150), st.integers(8, 150), st.integers(16, 150), st.integers(16, 150))
def test_a_tile_that_keeps_its_ratio_fits_the_target_and_touches_one_side(height, width, short, long):
    """As in PaddleDetection the target's smaller side is for the tile's smaller side, whichever that is."""
    target = [min(short, long), max(short, long)]
    images, (down, across) = Preprocess(
        ({"type": "Resize", "target_size": target, "keep_ratio": True, "interp": 1}, PERMUTE)
    )(tiles(height, width, 1))
    assert down == across
    resized = sorted(images.shape[2:])
    assert resized[0] <= target[0]
    assert resized[1] <= target[1]
    assert resized[0] == target[0] or resized[1] == target[1]
    np.testing.assert_allclose(images.shape[2:], (height * down, width * across), atol=0.5 + 1e-9)


def test_a_tile_that_is_a_line_keeps_a_pixel_of_its_height():
    images, scale = Preprocess(({"type": "Resize", "target_size": [16, 16]}, PERMUTE))(tiles(2, 320, 1))
    assert images.shape == (1, 3, 1, 16)
    assert scale == (0.05, 0.05)


def test_a_tile_at_its_target_is_left_alone():
    pixels = tiles(64, 96)
    for ratio in (True, False):
        images, scale = Preprocess(
            ({"type": "Resize", "target_size": [64, 96], "keep_ratio": ratio}, PERMUTE)
        )(pixels)
        assert scale == (1.0, 1.0)
        np.testing.assert_array_equal(images, pixels.transpose(0, 3, 1, 2))


def test_the_tiles_that_are_given_stay_as_they_are():
    pixels = tiles(33, 40)
    before = pixels.copy()
    scaled = {"type": "NormalizeImage", "is_scale": True, "norm_type": "none"}
    Preprocess((scaled, {"type": "PadStride", "stride": 32}, PERMUTE))(pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    ("operations", "size", "words"),
    [
        ((PERMUTE,), None, ("none",)),
        (({"type": "Resize", "target_size": 640, "keep_ratio": False}, PERMUTE), (640, 640), ("Resize",)),
        (({"type": "Resize", "target_size": [608, 640]}, {"type": "Pad"}), None, ("Resize", "Pad")),
    ],
)
def test_what_is_done_to_tiles_is_said_in_words(operations, size, words):
    steps = Preprocess(operations)
    assert (steps.input_size, steps.describe()) == (size, words)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"type": "Pad", "size": [64, 64]}, "the model pads to 64 x 64, but its image is 96 x 70"),
        ({"type": "Pad", "size": [96, 64]}, "the model pads to 64 x 96, but its image is 96 x 70"),
    ],
)
def test_a_tile_that_is_larger_than_what_it_is_padded_to_is_refused(operation, message):
    with pytest.raises(ModelError) as caught:
        Preprocess((operation,))(tiles(70, 96))
    assert str(caught.value).startswith(message)
