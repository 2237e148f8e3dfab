"""What a setting is: kinds that read, refuse in words, and say what they take as a JSON Schema."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass, field, fields
from pathlib import Path

import jsonschema
import numpy as np
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sodslice import values
from sodslice.errors import OptionError
from sodslice.metrics import Comparison
from sodslice.settings import Options
from sodslice.synthetic import SceneSpec
from sodslice.training.settings import SourceSettings, TrainSettings
from sodslice.values import (
    ListOf,
    Maybe,
    Numbers,
    OneOf,
    Real,
    Setting,
    Switch,
    Whole,
    Word,
    Words,
    check_settings,
    default_values,
    described,
    plain_values,
    read_setting,
    schema_of,
    setting,
    settings_of,
    value_from,
    with_changes,
)


@dataclass(frozen=True)
class Leaf:
    """A value that another one holds."""

    size: int = setting(4, Setting(Whole(1), "How large."))
    colour: str | None = setting(None, Setting(Maybe(OneOf(("red", "green"))), "Which colour."))

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Tree:
    """A value with settings of all kinds."""

    height: float = field(metadata=described(Setting(Real(0, 120, open_=True), "Metres.")))
    name: str = setting("", Setting(Word(empty=True), "What it is called."))
    rings: int | None = setting(None, Setting(Maybe(Whole(0)), "How many.", shown_default="unknown"))
    evergreen: bool = setting(False, Setting(Switch(), "Whether it keeps its leaves."))
    birds: tuple[str, ...] = setting((), Setting(Words(), "Who lives there."))
    place: tuple[float, float] = setting((0.0, 0.0), Setting(Numbers("x and y", (2, 2)), "Where."))
    leaves: tuple[Leaf, ...] = setting((), Setting(ListOf(Leaf, "leaf"), "What falls."))

    def __post_init__(self) -> None:
        check_settings(self)


SETTINGS_OF_THE_HOUSE = [
    *(getattr(Options(), stage.name) for stage in fields(Options)),
    TrainSettings(sources=(SourceSettings(synthetic=2),)),
    SourceSettings(),
    SceneSpec(64, 48),
    Comparison(class_map={"car": "vehicle"}),
]

READ = [
    (Whole(0), [5, 5.0, "5", " 5 ", "5.0", np.int64(5), np.float32(5)], 5),
    (Whole(0), [2**63 - 1, str(2**63 - 1), np.uint64(2**63 - 1)], 2**63 - 1),
    (Whole(64, 4096, multiple=32), [96, "96"], 96),
    (Real(), [0.25, "0.25", "2.5e-1", np.float64(0.25)], 0.25),
    (Real(0, 1), [1, 1.0, "1", np.int8(1)], 1.0),
    (Word(), ["a/b", Path("a/b")], "a/b"),
    (Word(empty=True), [""], ""),
    (OneOf(("auto", "map")), ["map"], "map"),
    (Switch(), [True, np.bool_(True)], True),
    (
        Words(),
        ["car, van", ["car,van"], ["car", "van"], ("car", "van"), iter(("car", "van"))],
        ("car", "van"),
    ),
    (Words(), [7, "7", [7]], ("7",)),
    (Words(), [None, [], ()], ()),
    (Words(listed=True), [["car, old"], ("car, old",)], ("car, old",)),
    (Maybe(Whole(0)), [None, "auto"], None),
    (Maybe(Whole(0)), [3, "3"], 3),
    (Maybe(Word(), word="none"), [None, "none"], None),
    (Maybe(Word(), word="none"), ["auto"], "auto"),
    (Numbers("x", (1, 3)), ["1,2.5", [1, 2.5], (1.0, "2.5"), np.array([1, 2.5])], (1.0, 2.5)),
    (Numbers("x", (1, 3)), [2, 2.0, "2", [2], np.float32(2)], (2.0,)),
    (Numbers("x", (2, 2), Whole(0), rising=True), ["3,3", [3.0, 3]], (3, 3)),
    (ListOf(Leaf, "leaf"), [[{"size": "2"}, Leaf()], (Leaf(2), {})], (Leaf(2), Leaf())),
    (ListOf(Leaf, "leaf"), [[], ()], ()),
]


@pytest.mark.parametrize(("kind", "spellings", "value"), READ)
def test_a_kind_has_one_value_however_it_is_spelt(kind, spellings, value):
    for spelling in spellings:
        found = kind.read(spelling)
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize(("kind", "spellings", "value"), READ)
def test_what_plain_gives_is_read_back_through_json_and_yaml_and_fits_the_schema(kind, spellings, value):
    plain = kind.plain(value)
    assert kind.read(plain) == value
    assert kind.read(orjson.loads(orjson.dumps(plain))) == value
    assert kind.read(yaml.safe_load(yaml.safe_dump(plain))) == value
    jsonschema.Draft202012Validator.check_schema(kind.schema())
    jsonschema.validate(orjson.loads(orjson.dumps(plain)), kind.schema(), jsonschema.Draft202012Validator)


NO_NUMBERS = [None, "", "big", "1,2", [], [1], {}, True, np.bool_(True), math.nan, math.inf, "nan", 10**400]

REFUSED = [
    (Whole(1), [0, 1.5, "1.5", -1, *NO_NUMBERS], "a whole number from 1"),
    (Whole(1, 9), [10, "0"], "a whole number from 1 to 9"),
    (Whole(64, 96, multiple=32), [65, 128], "a whole number that is a multiple of 32 from 64 to 96"),
    (Whole(0, 2**63 - 1), [2**63, float(2**63)], "a whole number from 0 to 9223372036854775807"),
    (Real(0.01, 1), [0, 1.01, *NO_NUMBERS], "a number from 0.01 to 1"),
    (Real(0), [-1e-9], "a number from 0"),
    (Real(0, open_=True), [0, -1], "a number above 0"),
    (Real(0, 1, open_=True), [0, 1.01], "a number above 0 up to 1"),
    (Real(high=5), [6], "a number up to 5"),
    (Real(), ["big", None, True, 10**400], "a number"),
    (Real(), [math.nan, math.inf, "-inf"], "a finite number"),
    (Word(), ["", 5, None, ["a"]], "a word"),
    (Word(empty=True), [5, None, ["a"]], "a text"),
    (OneOf(("a", "b")), ["c", "", None, ["a"], np.array(["a", "b"])], "one of a, b"),
    (Switch(), ["true", 1, 0, None], "true or false"),
    (Words(), [0.5, {"car": 1}, [["car"]], [None], "", "car,", True], "names or ids, parted by commas"),
    (Words(listed=True), ["car", [1], [""], None], "a list of names"),
    (Maybe(Real(0, 1)), [2, "none"], "a number from 0 to 1"),
    (
        Numbers("two", (2, 2)),
        [None, "", "1", "1,2,3", [1], "a,b", [True, 1], {1: 2, 3: 4}, {1, 2}, b"12"],
        "two",
    ),
    (Numbers("up", (1, 2), Real(0, open_=True), rising=True), [[0, 1], [2, 1], [1, math.inf]], "up"),
    (ListOf(Leaf, "leaf"), [None, {"size": 1}, "leaf", Leaf()], "a list of leafs"),
]


@pytest.mark.parametrize(("kind", "wrong", "words"), REFUSED)
def test_a_kind_says_in_words_what_it_takes(kind, wrong, words):
    for one in wrong:
        with pytest.raises(ValueError, match=".") as caught:
            kind.read(one)
        assert str(caught.value) == words


@given(st.integers(), st.integers(0, 9), st.integers(10, 99), st.integers(1, 4))
def test_whole_numbers_and_their_schema_agree(number, low, high, multiple):
    kind = Whole(low, high, multiple)
    _agree(kind, number)


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3), st.integers(-2, 1), st.booleans()
)
def test_numbers_and_their_schema_agree(number, low, open_):
    _agree(Real(low, 2, open_), number)
    _agree(Real(low, open_=open_), number)


@given(st.lists(st.integers(-2, 5), max_size=4), st.integers(1, 2), st.integers(2, 3))
def test_lists_of_numbers_and_their_schema_agree(numbers, fewest, most):
    _agree(Numbers("some", (fewest, most), Real(0)), numbers)


def _agree(kind, given):
    """The schema takes exactly what is read."""
    try:
        kind.read(given)
    except ValueError:
        taken = False
    else:
        taken = True
    assert jsonschema.Draft202012Validator(kind.schema()).is_valid(given) == taken


def test_a_wrong_setting_is_named_with_its_place_and_with_what_was_given():
    known = settings_of(Tree)["height"]
    with pytest.raises(OptionError) as caught:
        read_setting("height", known, 0, where="oak.yaml")
    assert str(caught.value) == "`height` in oak.yaml must be a number above 0 up to 120, got 0"
    assert caught.value.settings == ("height",)
    with pytest.raises(OptionError) as caught:
        Tree("high")
    assert str(caught.value) == "`height` must be a number above 0 up to 120, got 'high'"


def test_a_value_is_checked_whatever_it_was_made_from_and_frozen_then():
    tree = Tree("12", place="1,2", birds="owl", leaves=[{"size": 3.0}])
    assert tree == Tree(12.0, place=(1.0, 2.0), birds=("owl",), leaves=(Leaf(3),))
    with pytest.raises(FrozenInstanceError):
        tree.height = 3


def test_values_come_from_mappings_and_go_back():
    tree = Tree(12.5, rings=3, evergreen=True, birds=("owl", "jay"), leaves=(Leaf(colour="red"),))
    plain = plain_values(tree)
    assert value_from(Tree, plain, where="test") == tree
    assert value_from(Tree, orjson.loads(orjson.dumps(plain)), where="test") == tree
    assert value_from(Tree, yaml.safe_load(yaml.safe_dump(plain)), where="test") == tree


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1], "oak.yaml must be a mapping of settings, got [1]; write lines like 'name: value'"),
        ({"evergren": 1}, "oak.yaml has no setting 'evergren' (did you mean 'evergreen'?)"),
        (
            {"zzz": 1},
            "oak.yaml has no setting 'zzz'; known are height, name, rings, evergreen, birds, place, leaves",
        ),
        ({"name": "oak"}, "oak.yaml lacks `height`; give each a value"),
        ({"height": -1}, "`height` in oak.yaml must be a number above 0 up to 120, got -1"),
        ({"height": 1, "leaves": [{}, 5]}, "leaf 2 must be a mapping of settings, got 5; write lines like"),
        ({"height": 1, "leaves": [{"size": 0}]}, "`size` in leaf 1 must be a whole number from 1, got 0"),
        ({"height": 1, "leaves": [{"colr": 0}]}, "leaf 1 has no setting 'colr' (did you mean 'colour'?)"),
        ({"height": 1, "leaves": [{"colour": "blue"}]}, "`colour` in leaf 1 must be one of red, green, got"),
    ],
)
def test_wrong_mappings_are_refused_in_one_line(given, message):
    with pytest.raises(OptionError) as caught:
        value_from(Tree, given, where="oak.yaml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_value_is_changed_by_names_and_the_old_one_stays():
    tree = Tree(5)
    assert with_changes(tree, {"rings": "7"}, where="the changes") == Tree(5, rings=7)
    assert with_changes(tree, {}, where="the changes") == tree == Tree(5)
    with pytest.raises(OptionError, match="^`rings` in the changes must be a whole number from 0, got -1$"):
        with_changes(tree, {"rings": -1}, where="the changes")


def test_the_schema_of_a_value_takes_what_it_takes_and_names_what_is_required():
    schema = schema_of(settings_of(Tree), default_values(Tree), title="a tree")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (schema["title"], schema["required"]) == ("a tree", ["height"])
    assert schema["properties"]["rings"]["default"] is None
    valid = jsonschema.Draft202012Validator(schema).is_valid
    tree = Tree(12.5, rings=3, birds=("owl",), leaves=(Leaf(colour="red"),))
    assert valid(orjson.loads(orjson.dumps(plain_values(tree))))
    assert valid({"height": 3})
    for wrong in ({}, {"height": 0}, {"height": 1, "bark": 2}, {"height": 1, "leaves": [{"size": 0}]}):
        assert not valid(wrong)


@pytest.mark.parametrize("value", SETTINGS_OF_THE_HOUSE, ids=lambda value: type(value).__name__)
def test_all_settings_have_help_and_defaults_that_go_through_json_and_fit_their_schema(value):
    known = settings_of(value)
    plain = orjson.loads(orjson.dumps(plain_values(value)))
    assert value_from(type(value), plain, where="test") == value
    schema = schema_of(known, default_values(type(value)), title="test")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(plain, schema, jsonschema.Draft202012Validator)
    assert all(len(one.help) > 10 for one in known.values())


def test_the_room_offers_what_its_list_says_in_order():
    assert values.__all__ == sorted(values.__all__)
    assert all(hasattr(values, name) for name in values.__all__)
