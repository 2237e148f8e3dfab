"""What users say of the merge: how it is read, checked, and turned into class ids."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sodslice.errors import OptionError
from sodslice.merging.joining import Groups, Joining
from sodslice.merging.names import METHOD_NAMES
from sodslice.settings import Options
from sodslice.values import plain_values, settings_of, value_from

NAMES = ("car", "van", "truck", "bus", "bike", "tram")

groups_of_names = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True).map(tuple), max_size=3
).map(tuple)


@st.composite
def parted(draw):
    """Class names dealt to groups of two or more, no name twice."""
    rest = draw(st.permutations(NAMES))
    sizes = draw(st.sampled_from([(), (2,), (6,), (2, 2), (2, 3), (2, 2, 2), (3, 3)]))
    groups = []
    for size in sizes:
        groups.append(tuple(rest[:size]))
        rest = rest[size:]
    return tuple(groups)


@given(groups_of_names)
def test_groups_are_read_from_texts_and_from_lists_alike(groups):
    texts = [",".join(group) for group in groups]
    spaced = [" , ".join(group) for group in groups]
    lists = [list(group) for group in groups]
    for given_ in (texts, spaced, lists, groups):
        assert Groups().read(given_) == groups
    if len(texts) == 1:
        assert Groups().read(texts[0]) == groups


@given(groups_of_names)
def test_groups_are_written_as_the_schema_says_and_read_back(groups):
    written = Groups().plain(groups)
    assert written == [list(group) for group in groups]
    assert Groups().read(written) == groups
    jsonschema.validate(written, Groups().schema())


def test_the_schema_wants_two_classes_in_a_group():
    with pytest.raises(jsonschema.ValidationError, match="too short"):
        jsonschema.validate([["car"]], Groups().schema())


@given(parted())
def test_each_group_becomes_the_ids_of_its_classes(groups):
    expected = tuple(tuple(sorted(NAMES.index(name) for name in group)) for group in groups)
    assert Joining(class_group=groups).joined_classes(NAMES) == expected
    ids = [[str(NAMES.index(name)) for name in group] for group in groups]
    assert Joining(class_group=ids).joined_classes(NAMES) == expected


@given(
    st.builds(Joining, merge=st.sampled_from(METHOD_NAMES), iou=st.floats(0.01, 1), class_group=parted())
    | st.builds(Joining, class_agnostic=st.booleans())
)
def test_a_value_survives_being_written(joining):
    assert value_from(Joining, plain_values(joining), where="test") == joining


def test_every_setting_can_be_changed_when_all_tiles_have_been_seen():
    known = settings_of(Joining)
    assert list(known) == ["merge", "iou", "class_agnostic", "class_group"]
    assert all(one.after_detection and not one.changes_tiles for one in known.values())
    assert {one.group for one in known.values()} == {"Merge"}


def test_cars_and_vans_are_one_object_and_trucks_and_buses_another():
    joining = Options.from_mapping({"class_group": ["car,van", "bus,2"]}).joining
    assert joining.class_group == (("car", "van"), ("bus", "2"))
    assert joining.joined_classes(("car", "van", "truck", "bus")) == ((0, 1), (2, 3))


def test_without_groups_no_class_is_joined_and_agnostic_joins_all():
    assert Joining().joined_classes(NAMES) == ()
    assert Joining(class_agnostic=True).joined_classes(NAMES) is True
    assert Joining(class_group=None).class_group == ()


GROUPS = "two classes or more that can be one object, for example car,van"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"merge": "sem"}, f"`merge` must be one of {', '.join(METHOD_NAMES)}, got 'sem'"),
        ({"iou": 0}, "`iou` must be a number from 0.01 to 1, got 0"),
        ({"iou": "half"}, "`iou` must be a number from 0.01 to 1, got 'half'"),
        ({"iou": True}, "`iou` must be a number from 0.01 to 1, got True"),
        ({"class_agnostic": 1}, "`class_agnostic` must be true or false, got 1"),
        ({"class_group": "car"}, f"`class_group` must be {GROUPS}, got 'car'"),
        ({"class_group": "car,car"}, f"`class_group` must be {GROUPS}, got 'car,car'"),
        ({"class_group": "car,,van"}, f"`class_group` must be {GROUPS}, got 'car,,van'"),
        ({"class_group": ["car,van", "bus"]}, f"`class_group` must be {GROUPS}, got ['car,van', 'bus']"),
        ({"class_group": [["car", 2.5]]}, f"`class_group` must be {GROUPS}, got [['car', 2.5]]"),
        ({"class_group": 7}, f"`class_group` must be {GROUPS}, got 7"),
        ({"class_group": ""}, f"`class_group` must be {GROUPS}, got ''"),
        (
            {"class_agnostic": True, "class_group": ["car,van"]},
            "`class_agnostic` joins all classes already; leave out `class_group`",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(OptionError) as caught:
        Joining(**values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            ["car,vann"],
            "`class_group` names 'vann' (did you mean 'van'?); "
            "the model knows car, van, truck, bus, bike, tram",
        ),
        (["car,6"], "`class_group` names '6'; the model knows car, van, truck, bus, bike, tram"),
        (["car,van", "van,bus"], "`class_group` names 'van' in two groups; join those groups into one"),
        (["car,van", "1,bus"], "`class_group` names 'van' in two groups; join those groups into one"),
    ],
)
def test_groups_that_the_model_does_not_allow_are_refused(groups, message):
    with pytest.raises(OptionError) as caught:
        Joining(class_group=groups).joined_classes(NAMES)
    assert str(caught.value) == message
