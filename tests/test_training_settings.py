"""Settings of a training: read, checked, explained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sodslice.errors import OptionError
from sodslice.training.settings import (
    SourceSettings,
    TrainSettings,
    load_settings,
    settings_from,
    settings_to_mapping,
)

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def _write(folder, text):
    path = folder / "train.yaml"
    path.write_text(text)
    return path


def test_a_misspelt_setting_gets_a_hint(tmp_path):
    with pytest.raises(OptionError) as caught:
        load_settings(_write(tmp_path, "learning_rat: 0.1"))
    assert str(caught.value) == "train.yaml has no setting 'learning_rat' (did you mean 'learning_rate'?)"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("steps: 0", "steps in train.yaml must be a whole number from 1 to 1000000000, got 0"),
        (
            "canvas: 250",
            "canvas in train.yaml must be a whole number that is a multiple of 32 from 64 to 4096, got 250",
        ),
        ("jpeg: 1.5", "jpeg in train.yaml must be a number from 0 to 1, got 1.5"),
        ("object_size: [9]", "object_size in train.yaml must be two numbers, smallest and largest, got [9]"),
        ("steps: true", "steps in train.yaml must be a number, got True"),
        ("sources: [{imags: a}]", "source 1 has no setting 'imags' (did you mean 'images'?)"),
        ("[1, 2]", "train.yaml must be a mapping of settings, got [1, 2]; write lines like 'steps: 2000'"),
    ],
)
def test_wrong_values_are_refused_with_what_was_expected(tmp_path, line, wanted):
    with pytest.raises(OptionError) as caught:
        load_settings(_write(tmp_path, line))
    assert str(caught.value) == wanted


def test_paths_start_from_the_folder_of_the_file_and_flags_win(tmp_path):
    path = _write(tmp_path, "weights: start.safetensors\ndata_root: data\nsteps: 7")
    settings = load_settings(path)
    assert settings.weights == str(tmp_path / "start.safetensors")
    assert settings.data_root == str(tmp_path / "data")
    changed = load_settings(path, steps=9, data_root="elsewhere")
    assert (changed.steps, changed.data_root) == (9, "elsewhere")


def test_settings_survive_a_round_trip():
    settings = TrainSettings(steps=3, sources=(SourceSettings(images="a", annotations="b"),), mosaic=(1.0,))
    assert settings_from(TrainSettings, settings_to_mapping(settings), where="test") == settings


def test_every_setting_has_a_check_its_default_passes_and_a_help():
    for kind in (TrainSettings, SourceSettings):
        for field in dataclasses.fields(kind):
            assert field.metadata["check"](field.default) == field.default
            assert len(field.metadata["help"]) > 10


@pytest.mark.parametrize("name", ["train-vehicle-t.yaml", "train-example.yaml"])
def test_the_configs_of_the_project_are_valid_and_name_no_machine(name):
    path = CONFIGS / name
    settings = load_settings(path)
    assert settings.sources
    assert settings.validation
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not any('"/' in line or ": /" in line for line in lines)


def test_every_setting_is_explained_in_the_docs():
    page = (CONFIGS.parent / "docs" / "training.md").read_text()
    for kind in (TrainSettings, SourceSettings):
        for field in dataclasses.fields(kind):
            assert f"`{field.name}`" in page, field.name
            assert field.metadata["help"] in page, field.name
