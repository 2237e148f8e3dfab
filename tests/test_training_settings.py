"""Settings of a training: read, checked, explained."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import orjson
import pytest
import yaml

from sodslice.errors import OptionError
from sodslice.training.settings import SourceSettings, TrainSettings, load_training, training_schema
from sodslice.values import default_values, plain_values, settings_of, value_from

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def _write(folder, text):
    path = folder / "train.yaml"
    path.write_text(text)
    return path


def test_a_misspelt_setting_gets_a_hint(tmp_path):
    with pytest.raises(OptionError) as caught:
        load_training(_write(tmp_path, "learning_rat: 0.1"))
    assert str(caught.value) == "train.yaml has no setting 'learning_rat' (did you mean 'learning_rate'?)"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("steps: 0", "`steps` in train.yaml must be a whole number from 1 to 1000000000, got 0"),
        (
            "canvas: 250",
            "`canvas` in train.yaml must be a whole number that is a multiple of 32 from 64 to 4096, got 250",
        ),
        ("jpeg: 1.5", "`jpeg` in train.yaml must be a number from 0 to 1, got 1.5"),
        (
            "object_size: [9]",
            "`object_size` in train.yaml must be two numbers above 0, the smaller one first, got [9]",
        ),
        (
            "object_size: [9, 8]",
            "`object_size` in train.yaml must be two numbers above 0, the smaller one first, got [9, 8]",
        ),
        (
            "mosaic: [0, 0]",
            "`mosaic` in train.yaml must be one to four shares, for 1x1, 2x2, ... mosaics, not negative and "
            "not all 0, got [0, 0]",
        ),
        ("steps: true", "`steps` in train.yaml must be a whole number from 1 to 1000000000, got True"),
        ("class_names: car", "`class_names` in train.yaml must be a list of names, got 'car'"),
        ("sources: {images: a}", "`sources` in train.yaml must be a list of sources, got {'images': 'a'}"),
        ("sources: [{imags: a}]", "source 1 has no setting 'imags' (did you mean 'images'?)"),
        ("sources: [{}, {window: 9}]", "`window` in source 2 must be a whole number from 256 to 8192, got 9"),
        ("[1, 2]", "train.yaml must be a mapping of settings, got [1, 2]; write lines like 'name: value'"),
    ],
)
def test_wrong_values_are_refused_with_what_was_expected(tmp_path, line, wanted):
    with pytest.raises(OptionError) as caught:
        load_training(_write(tmp_path, line))
    assert str(caught.value) == wanted


def test_paths_start_from_the_folder_of_the_file_and_flags_win(tmp_path):
    path = _write(tmp_path, "weights: start.safetensors\ndata_root: data\nsteps: 7")
    settings = load_training(path)
    assert settings.weights == str(tmp_path / "start.safetensors")
    assert settings.data_root == str(tmp_path / "data")
    changed = load_training(path, {"steps": 9, "data_root": "elsewhere"})
    assert (changed.steps, changed.data_root) == (9, "elsewhere")


def test_wrong_changes_are_refused_by_where_they_came_from(tmp_path):
    path = _write(tmp_path, "steps: 7")
    with pytest.raises(OptionError) as caught:
        load_training(path, {"steps": 0})
    assert str(caught.value) == (
        "`steps` in the changes to train.yaml must be a whole number from 1 to 1000000000, got 0"
    )


@pytest.mark.parametrize("text", ["", "# nothing but a remark", "{}"])
def test_a_file_without_settings_is_a_training_with_all_defaults(tmp_path, text):
    assert load_training(_write(tmp_path, text), {"data_root": ""}) == TrainSettings()


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(
        OptionError, match=r"gone.yaml cannot be read: No such file or directory; give a YAML"
    ):
        load_training(tmp_path / "gone.yaml")
    with pytest.raises(OptionError, match="train.yaml is not YAML"):
        load_training(_write(tmp_path, "steps: ["))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_file_of_a_marked_encoding_is_read(tmp_path, encoding):
    (tmp_path / "train.yaml").write_bytes("class_names: [véhicule]\nsteps: 7".encode(encoding))
    settings = load_training(tmp_path / "train.yaml")
    assert (settings.class_names, settings.steps) == (("véhicule",), 7)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "cp1250"])
def test_a_file_of_another_encoding_is_refused_with_what_to_do(tmp_path, encoding):
    (tmp_path / "train.yaml").write_bytes("class_names: [véhicule]  # é\nsteps: 7".encode(encoding))
    with pytest.raises(OptionError, match=r"train\.yaml is not YAML or JSON: ") as caught:
        load_training(tmp_path / "train.yaml")
    assert "\n" not in str(caught.value)
    assert encoding == "utf-16-le" or "save it as UTF-8" in str(caught.value)


def test_names_of_classes_are_told_apart(tmp_path):
    assert load_training(_write(tmp_path, "class_names: [' car ', 'small  van']")).class_names == (
        "car",
        "small van",
    )
    for names, words in {
        "[car, bus, car]": "a list of names (the name 'car' comes twice, as 1 and 3)",
        "[car, ' car']": "a list of names (the name 'car' comes twice, as 1 and 2)",
        "[car, ' ']": "a list of names (name 2 of 2 must be a text, got ' ')",
        "[car, no]": "a list of names",
        "[car, '']": "a list of names",
    }.items():
        with pytest.raises(OptionError) as caught:
            load_training(_write(tmp_path, f"class_names: {names}"))
        assert str(caught.value).startswith(f"`class_names` in train.yaml must be {words}, got ")


def test_settings_made_in_python_are_checked_like_those_of_a_file():
    with pytest.raises(OptionError, match="^`steps` must be a whole number from 1 to 1000000000, got 0$"):
        TrainSettings(steps=0)
    with pytest.raises(OptionError, match="^`weight` must be a number from 0 to 1e\\+06, got -1$"):
        SourceSettings(weight=-1)


def test_settings_survive_a_round_trip():
    settings = TrainSettings(steps=3, sources=(SourceSettings(images="a", annotations="b"),), mosaic=(1.0,))
    plain = plain_values(settings)
    assert value_from(TrainSettings, plain, where="test") == settings
    assert value_from(TrainSettings, orjson.loads(orjson.dumps(plain)), where="test") == settings
    assert value_from(TrainSettings, yaml.safe_load(yaml.safe_dump(plain)), where="test") == settings


def test_every_setting_has_a_kind_that_its_default_passes_and_a_help():
    for holder in (TrainSettings, SourceSettings):
        for name, known in settings_of(holder).items():
            default = getattr(holder(), name)
            assert known.kind.read(default) == default
            assert len(known.help) > 10


def test_the_schema_takes_what_a_training_takes_and_nothing_else():
    schema = training_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    settings = TrainSettings(sources=(SourceSettings(synthetic=2),), class_names=("car",), mosaic=(0, 1))
    for given in ({}, plain_values(TrainSettings()), plain_values(settings)):
        assert valid(given)
    for wrong in ({"steps": 0}, {"tile": 1}, {"sources": [{"imags": "a"}]}, {"mosaic": [0]}, {"canvas": 250}):
        assert not valid(wrong)


@pytest.mark.parametrize("name", ["train-vehicle-t.yaml", "train-example.yaml"])
def test_the_configs_of_the_project_are_valid_and_name_no_machine(name):
    path = CONFIGS / name
    settings = load_training(path)
    assert settings.sources
    assert settings.validation
    given = yaml.safe_load(path.read_text())
    assert jsonschema.Draft202012Validator(training_schema()).is_valid(given)
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not any('"/' in line or ": /" in line for line in lines)


def test_every_setting_is_explained_in_the_docs():
    page = (CONFIGS.parent / "docs" / "training-reference.md").read_text()
    for holder in (TrainSettings, SourceSettings):
        defaults = default_values(holder)
        assert len(defaults) == len(settings_of(holder))
        for name, known in settings_of(holder).items():
            assert f"| `{name}` | `{_as_yaml(defaults[name])}` | {known.help} |\n" in page, name


def _as_yaml(value):
    """A default as the docs show it: 7.0 is 7, an empty text is \"\"."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_yaml, value)) + "]"
    if value is None or isinstance(value, bool) or value == "":
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
