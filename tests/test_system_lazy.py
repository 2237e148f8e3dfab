"""Names of a package that load their modules when they are first used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import sodslice
from sodslice.system.lazy import lazy_names

PACKAGE = Path(sodslice.__file__).parent
LAZY = sorted(
    ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    for path in PACKAGE.rglob("__init__.py")
    if "__getattr__ = lazy_names(" in path.read_text(encoding="utf-8")
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a lazy front and three modules, each of which notes that it was loaded."""
    folder = tmp_path / "parcel"
    (folder / "below").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from sodslice.system.lazy import lazy_names\n"
        "loaded = []\n"
        "__getattr__ = lazy_names(__name__, {'one': 'first second', 'below.two': 'third', 'gone': 'lost',\n"
        "                                    'poor': 'missing'})\n"
    )
    note = "import parcel\nparcel.loaded.append(__name__)\n"
    (folder / "one.py").write_text(f"{note}first, second, hidden = object(), 2, 3\n")
    (folder / "below" / "__init__.py").write_text("")
    (folder / "below" / "two.py").write_text(f"{note}third = 'three'\n")
    (folder / "poor.py").write_text(note)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("parcel")
    for name in [name for name in sys.modules if name.split(".")[0] == "parcel"]:
        del sys.modules[name]


def test_a_module_is_loaded_by_the_first_use_of_a_name_and_only_that_one(package):
    assert package.loaded == []
    assert package.second == 2
    assert package.loaded == ["parcel.one"]
    assert package.third == "three"
    assert package.loaded == ["parcel.one", "parcel.below.two"]


def test_a_name_is_the_very_thing_that_the_module_has(package):
    from parcel import first
    from parcel.one import first as own

    assert first is own
    assert package.first is own


def test_a_name_is_looked_up_once(package):
    thing = package.first
    importlib.import_module("parcel.one").first = None
    assert package.first is thing
    assert "first" in vars(package)


def test_names_that_are_not_listed_are_no_attributes(package):
    for name in ("hidden", "nonsense", "__wrapped__"):
        with pytest.raises(AttributeError) as caught:
            getattr(package, name)
        assert str(caught.value) == f"module 'parcel' has no attribute '{name}'"
    assert not hasattr(package, "hidden")
    with pytest.raises(ImportError, match="cannot import name 'hidden' from 'parcel'"):
        from parcel import hidden  # noqa: F401
    assert package.loaded == []


def test_a_home_without_the_name_or_without_a_module_says_so(package):
    with pytest.raises(AttributeError, match=r"module 'parcel\.poor' has no attribute 'missing'"):
        package.missing  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'parcel\.gone'"):
        package.lost  # noqa: B018


def test_homes_may_be_written_over_several_lines():
    load = lazy_names("sodslice.system", {"version": "\n  __version__\n  ", "lazy": "lazy_names"})
    assert load("lazy_names") is lazy_names
    assert load("__version__") == sodslice.__version__


@pytest.mark.parametrize("name", LAZY)
def test_every_name_of_a_lazy_package_is_there(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        assert getattr(module, public) is not None


def test_there_are_lazy_packages():
    assert {"sodslice", "sodslice.merging"} <= set(LAZY)


def test_a_name_that_needs_no_heavy_module_loads_none():
    code = (
        "import sys\n"
        "from sodslice.merging import Joining\n"
        "print(sorted({'numpy', 'rasterio', 'sahi', 'paddle'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
