"""Whatever stands in the yml of a model, it is a model or one line."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sodslice import SodsliceError
from sodslice.inference import Preprocess
from sodslice.inference.folder import folder_settings, info_from

GOOD: dict[str, Any] = {
    "draw_threshold": 0.5,
    "Global": {"model_name": "x"},
    "arch": "YOLO",
    "Preprocess": [
        {"type": "Resize", "target_size": [64, 96], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage", "mean": [0.1] * 3, "std": [0.2] * 3, "is_scale": True},
        {"type": "Pad", "size": [80, 120], "fill_value": [0, 0, 0]},
        {"type": "PadStride", "stride": 32},
        {"type": "Permute"},
    ],
    "label_list": ["a", "b"],
    "nms": True,
    "sodslice": {"nms": True, "keep_top_k": 500, "gsd_m": 0.1, "object_px": [1, 2], "licence": "free"},
}
ODD = [None, "", 0, -1, 1.5, math.nan, "abc", [], {}, [1], [[1]], {"a": 1}, True, [None, None], 10**30]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all that a document holds."""
    parts = list(value.items()) if isinstance(value, dict) else []
    parts += list(enumerate(value)) if isinstance(value, list) else []
    return [at] * bool(at) + [place for key, part in parts for place in places(part, (*at, key))]


@pytest.mark.parametrize("place", places(GOOD), ids=lambda place: ".".join(map(str, place)))
def test_odd_values_are_one_line(place):
    for odd in (*ODD, KeyError):
        settings = copy.deepcopy(GOOD)
        holder: Any = settings
        for key in place[:-1]:
            holder = holder[key]
        if odd is KeyError:
            del holder[place[-1]]
        else:
            holder[place[-1]] = odd
        assert "\n" not in refusal(settings)


def refusal(settings: dict[str, Any]) -> str:
    """What is said of a yml; "" where it is a model that sees tiles."""
    try:
        height, width = info_from(settings, Path("m/inference.yml"), "").input_size or (64, 96)
        if height * width < 10**6:
            Preprocess(tuple(settings["Preprocess"]))(np.zeros((1, 50, 60, 3), np.uint8))
    except SodsliceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"draw_threshold": "high"}, "must have a number as draw_threshold, got 'high'"),
        ({"draw_threshold": 54}, "must have a score from 0 to 1 as threshold, got 54"),
        ({"sodslice": ["nms"]}, r"must hold settings by name as sodslice, got \['nms'\]"),
        ({"sodslice": {"keep_top_k": "all"}}, "must have a number as keep_top_k, got 'all'"),
        ({"sodslice": {"gsd_m": "0.1 m"}}, "must have metres above 0 as gsd_m, got '0.1 m'"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(change, words):
    with pytest.raises(SodsliceError, match=words) as caught:
        info_from(GOOD | change, Path("m/inference.yml"), "")
    assert str(caught.value).startswith("m/inference.yml")


def test_a_model_that_says_that_nothing_limits_it_has_no_limit():
    assert info_from(GOOD | {"sodslice": {"keep_top_k": -1}}, Path("m/a.yml"), "").max_per_tile is None
    assert info_from(GOOD, Path("m/a.yml"), "").max_per_tile == 500


@pytest.mark.parametrize("odd", [["a"], {"b": "c"}, None])
def test_a_class_name_is_a_text_or_a_number(odd):
    words = f"m/inference.yml must have texts as `label_list`, got a {type(odd).__name__}"
    with pytest.raises(SodsliceError, match=words):
        info_from(GOOD | {"label_list": ["a", odd]}, Path("m/inference.yml"), "")
    assert info_from(GOOD | {"label_list": ["a", 7]}, Path("m/a.yml"), "").class_names == ("a", "7")


@pytest.mark.parametrize("where", ["label_list", "arch", "draw_threshold"])
def test_references_that_stand_for_millions_of_values_are_refused(where, tmp_path):
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{k}: &l{k} [{', '.join([f'*l{k - 1}'] * 10)}]" for k in range(1, 9)]
    (tmp_path / "inference.yml").write_text("\n".join([*lines, f"{where}: [*l8]"]))
    with pytest.raises(SodsliceError, match=r"inference\.yml states more than 100000 values"):
        folder_settings(tmp_path)


def test_a_yml_that_holds_itself_is_refused(tmp_path):
    (tmp_path / "inference.yml").write_text("label_list: &a [*a]")
    with pytest.raises(SodsliceError, match="states more than 100000 values"):
        folder_settings(tmp_path)


def test_a_yml_that_is_too_large_is_not_read(tmp_path):
    (tmp_path / "inference.yml").write_text("label_list: [a]\n" + "#" * (1 << 20))
    with pytest.raises(SodsliceError, match=r"inference\.yml has more than 1 MiB"):
        folder_settings(tmp_path)
