"""help() of what takes options names every setting."""

from __future__ import annotations

import pydoc

import pytest

import sodslice
from sodslice.settings import all_settings
from sodslice.settings.helping import settings_text


@pytest.mark.parametrize("name", ["run", "run_many", "make_plan"])
def test_help_names_all_settings(name):
    text = pydoc.render_doc(getattr(sodslice, name), renderer=pydoc.plaintext)
    assert "Args:" in text
    for setting in all_settings():
        assert f"        {setting}: " in text


def test_each_setting_says_what_it_is_and_its_default():
    text = " ".join(settings_text().split())
    assert "threshold: " in text
    assert (
        "geometry: What stands for an object in map formats: its box, or the middle of it. Default: 'box'"
        in text
    )
    assert max(map(len, settings_text().splitlines())) <= 100
