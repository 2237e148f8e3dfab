from __future__ import annotations

import pytest

from sodslice import SodsliceError
from sodslice.system.registry import Registry


@pytest.fixture
def registry() -> Registry[str]:
    made = []
    return Registry(
        "shape", "sodslice.tests.nothing", {"round": lambda: made.append(1) or f"round {len(made)}"}
    )


def test_an_entry_is_made_once_when_it_is_asked_for(registry):
    assert registry["round"] == registry["round"] == "round 1"


def test_entries_are_added_and_taken_back_for_this_process(registry):
    registry.register("square", "a square")
    assert registry.names() == ("round", "square")
    assert list(registry) == ["round 1", "a square"]
    assert "square" in registry
    with pytest.raises(SodsliceError, match="there is a shape 'square' already"):
        registry.register("square", "another")
    registry.unregister("square")
    assert "square" not in registry


def test_an_unknown_name_is_refused_with_a_hint(registry):
    with pytest.raises(
        SodsliceError, match=r"unknown shape 'rounb' \(did you mean 'round'\?\); known are round"
    ):
        registry["rounb"]


def packaged(folder, name):
    """A package in a folder that brings a shape."""
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[sodslice.tests.nothing]\n{name} = math:pi\n")


def test_packages_are_known_as_soon_as_they_are_there(registry, tmp_path, monkeypatch):
    packaged(tmp_path, "oval")
    assert registry.names() == ("round",)
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.names() == ("round", "oval")
    packaged(tmp_path, "cone")
    assert registry.names() == ("round", "cone", "oval")
