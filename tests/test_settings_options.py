from __future__ import annotations

import dataclasses

import numpy as np
import orjson
import pytest
import yaml

from sodslice import Options, SodsliceError, load_options
from sodslice.results import Keeping
from sodslice.settings import all_settings


def options_of(**values) -> Options:
    return Options.from_mapping(values)


def value_of(options: Options, name: str):
    """The value of a setting, whichever stage has it."""
    stages = (getattr(options, stage.name) for stage in dataclasses.fields(options))
    return next(getattr(stage, name) for stage in stages if hasattr(stage, name))


def test_every_setting_has_help_that_ends_like_a_sentence():
    for known in all_settings().values():
        assert known.help.rstrip().endswith((".", "...")) or "," in known.help


@pytest.mark.parametrize(
    ("spelling", "read", "plain"),
    [
        ("640", 640, 640),
        ("1568x1440", (1568, 1440), "1568x1440"),
        ([1568, 1440], (1568, 1440), "1568x1440"),
        ("640x640", 640, 640),
        ("auto", None, None),
    ],
)
def test_a_tile_is_a_side_or_two(spelling, read, plain):
    options = options_of(tile=spelling, overlap="auto")
    assert (options.coverage.tile, options.as_dict()["tile"]) == (read, plain)
    assert options.coverage.overlap is options.as_dict()["overlap"] is None
    assert Options.from_mapping(options.as_dict()) == options


def test_as_dict_and_back_is_the_identity():
    options = Options.from_mapping(
        {"tile": 640, "threshold": ["0.3", "car=0.5"], "classes": "car,van", "bands": "4,3,2"}
    )
    assert Options.from_mapping(options.as_dict()) == options
    assert Options.from_mapping(yaml.safe_load(yaml.safe_dump(options.as_dict()))) == options
    assert Options.from_mapping(orjson.loads(orjson.dumps(options.as_dict()))) == options


@pytest.mark.parametrize("spelling", [0.3, "0.3", ["0.3"], {"all": 0.3}, (("", 0.3),)])
def test_a_threshold_can_be_spelt_in_many_ways(spelling):
    assert Keeping(spelling).score_thresholds(("car", "van"), 0.5) == (0.3, 0.3)


def test_a_threshold_for_one_class_leaves_the_others_at_the_models():
    assert Keeping(("car=0.9",)).score_thresholds(("car", "van"), 0.4) == (0.9, 0.4)
    assert Keeping(("0.1", "car=0.9")).score_thresholds(("car", "van"), 0.4) == (0.9, 0.1)


def test_classes_by_name_and_id():
    assert Keeping(classes="van,0").class_ids(("car", "bus", "van")) == (0, 2)
    assert Keeping().class_ids(("car", "bus")) == (0, 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tile": 16}, "`tile` must be a whole number from 32, got 16"),
        ({"tile": "big"}, "`tile` must be a whole number from 32, got 'big'"),
        ({"tile": "640x8"}, "`tile` must be width x height in whole pixels from 32, as 1568x1440, got '640"),
        ({"tile": [640, 640, 640]}, "`tile` must be width x height in whole pixels from 32"),
        (
            {"overlap": -1},
            r"`overlap` must be a share from 0 to below 1 \(or to below 100%\), "
            "or whole pixels from 1, got -1",
        ),
        ({"overlap": 1.5}, "`overlap` must be a share"),
        ({"iou": 1.2}, "`iou` must be a number from 0.01 to 1, got 1.2"),
        ({"merge": "magic"}, "`merge` must be one of seam, nms"),
        ({"threshold": "car=2"}, "`threshold` must be a score from 0 to 1"),
        ({"class_group": "car"}, "`class_group` must be two classes or more that can be one object"),
        ({"class_group": 5}, "`class_group` must be two classes or more .* for example car,van, got 5"),
        ({"class_group": [["car", 0.5]]}, "`class_group` must be two classes or more"),
        ({"class_group": True}, "`class_group` must be two classes or more"),
        ({"classes": 0.5}, "`classes` must be names or ids, parted by commas, got 0.5"),
        ({"classes": {"car": 0.5}}, "`classes` must be names or ids, parted by commas"),
        ({"classes": [["car"]]}, "`classes` must be names or ids, parted by commas"),
        ({"classes": [None]}, "`classes` must be names or ids, parted by commas"),
        ({"class_group": "car,van", "class_agnostic": True}, "`class_agnostic` joins all classes already"),
        ({"bands": "1,2"}, "`bands` must be one band or three"),
        ({"stretch": "98,2"}, "`stretch` must be auto, none, two percentiles such as 2,98, or two levels"),
        ({"stretch": "minmax:5,5"}, "`stretch` must be auto, none"),
        ({"stretch": "linear"}, "`stretch` must be auto, none"),
        ({"nodata": "black"}, "`nodata` must be a number, nan or none, got 'black'"),
        ({"window": "1,2,3"}, "`window` must be x,y,width,height in whole pixels"),
        ({"window": [float("inf"), 0, 1, 1]}, "`window` must be x,y,width,height in whole pixels"),
        ({"bands": [float("inf")]}, "`bands` must be one band or three"),
        ({"tile": 10**400}, "`tile` must be a whole number from 32, got 1000"),
        ({"window": "0,0,0,5"}, "`window` must be x,y,width,height in whole pixels"),
        ({"gsd": 0}, "`gsd` must be a number above 0, got 0"),
        ({"rpc_height": "high"}, "`rpc_height` must be a number"),
        ({"min_size": -1}, "`min_size` must be a number from 0, got -1"),
        ({"min_size": 5, "max_size": 3}, "`min_size` must not be above `max_size`, got 5 and 3"),
        ({"class_agnostic": "yes"}, "`class_agnostic` must be true or false"),
        ({"batch": True}, "`batch` must be a whole number from 1 to 256, got True"),
        ({"tiel": 640}, r"a run has no setting 'tiel' \(did you mean 'tile'\?\)"),
    ],
)
def test_wrong_values_are_refused_in_words(values, words):
    with pytest.raises(SodsliceError, match=words):
        Options.from_mapping(values)


def test_a_class_that_the_model_does_not_know_is_refused_with_a_hint():
    with pytest.raises(
        SodsliceError, match=r"'vehicel' \(did you mean 'vehicle'\?\); the model knows vehicle"
    ):
        Keeping(classes="vehicel").class_ids(("vehicle",))
    with pytest.raises(SodsliceError, match="the model knows vehicle"):
        Keeping("car=0.2").score_thresholds(("vehicle",), 0.5)


def test_options_come_from_yaml_and_from_a_former_output(tmp_path):
    (tmp_path / "a.yaml").write_text("tile: 640\nclass-agnostic: true\n")
    assert load_options(tmp_path / "a.yaml") == options_of(tile=640, class_agnostic=True)
    (tmp_path / "b.json").write_bytes(orjson.dumps({"boxes": [], "run": {"options": {"tile": 512}}}))
    assert load_options(tmp_path / "b.json") == options_of(tile=512)
    (tmp_path / "empty.yaml").write_text("")
    assert load_options(tmp_path / "empty.yaml") == Options()


@pytest.mark.parametrize(("text", "words"), [("[1, 2]", "must hold settings by name"), ("a: [", "not YAML")])
def test_files_that_are_no_settings_are_refused(tmp_path, text, words):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SodsliceError, match=words):
        load_options(tmp_path / "a.yaml")
    with pytest.raises(SodsliceError, match="cannot be read"):
        load_options(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("name", "spellings", "value"),
    [
        ("classes", ["0,van", [0, "van"], ["0,van"], (n for n in ("0", "van"))], ("0", "van")),
        ("classes", [0, "0", [0], np.array([0])], ("0",)),
        ("class_group", ["car,van", ["car, van"], [["car", "van"]]], (("car", "van"),)),
        ("stretch", ["2,98", "2.0, 98", [2, 98], (2.0, 98.0)], "2,98"),
        ("stretch", ["minmax:0,3000", "minmax:0.0,3e3"], "minmax:0,3000"),
        ("nodata", ["nan", "NaN"], "nan"),
        ("nodata", ["-9999", -9999, -9999.0], -9999.0),
        ("nodata", ["none", "None"], "none"),
        ("nodata", [None, "auto"], None),
        ("window", ["1,2,30,40", [1, 2, 30, 40], (1, 2, 30, 40)], (1, 2, 30, 40)),
        ("gsd", ["0.12", 0.12], 0.12),
    ],
)
def test_one_setting_has_one_value_however_it_is_spelt(name, spellings, value):
    for spelling in spellings:
        options = Options.from_mapping({name: spelling})
        assert value_of(options, name) == value
        assert Options.from_mapping(orjson.loads(orjson.dumps(options.as_dict()))) == options


@pytest.mark.parametrize("name", list(all_settings()))
def test_null_is_the_default_of_every_setting(name, tmp_path):
    assert Options.from_mapping({name: None}) == Options()
    (tmp_path / "a.yaml").write_text(f"{name.replace('_', '-')}:\n")
    assert load_options(tmp_path / "a.yaml") == Options()


def test_null_does_not_hide_a_misspelt_setting():
    with pytest.raises(SodsliceError, match="a run has no setting 'tiel'"):
        Options.from_mapping({"tiel": None})


def test_what_the_tiles_depend_on_is_told_from_what_comes_after_them():
    names = set(Options().tile_settings())
    assert {"bands", "stretch", "nodata", "aoi", "window", "gsd", "rpc_height", "tile", "overlap"} <= names
    assert not names & {"threshold", "merge", "iou", "min_size", "max_size", "readers", "pixel_coords"}


def test_settings_that_change_no_result_are_left_out_of_outputs():
    assert "readers" not in Options().as_dict(changes_result=True)
    assert "tile" in Options().as_dict(changes_result=True)
