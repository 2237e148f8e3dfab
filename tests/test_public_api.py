"""The names that users import, and what importing them costs."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import sodslice

HEAVY = ("paddle", "openvino", "sahi", "cv2", "rasterio", "matplotlib", "pycocotools")


def test_all_is_sorted_and_every_name_resolves():
    assert sodslice.__all__ == sorted(sodslice.__all__)
    for name in sodslice.__all__:
        assert getattr(sodslice, name) is not None


def test_all_is_what_the_design_promises():
    promised = {
        "ArrayScene",
        "BlobDetector",
        "Detections",
        "GeoRef",
        "Options",
        "Outcome",
        "RunPlan",
        "RunResult",
        "SodsliceError",
        "Tile",
        "execute",
        "finish",
        "load_model",
        "load_options",
        "load_result",
        "make_plan",
        "merge",
        "open_scene",
        "plan_tiles",
        "run",
        "run_many",
        "write",
    }
    assert promised <= set(sodslice.__all__)


def test_no_module_hides_a_name_that_is_loaded_when_it_is_first_used():
    """Importing a module sets the package's attribute of its name, so such a name would be two things."""
    for found in pkgutil.walk_packages(sodslice.__path__, "sodslice."):
        if found.ispkg:
            package = importlib.import_module(found.name)
            modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
            lazily = hasattr(package, "__getattr__")
            assert not lazily or not modules & set(package.__all__), found.name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        sodslice.nonsense  # noqa: B018


def blocked(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which the heavy packages cannot be imported."""
    block = f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, check=False)


def test_import_needs_no_heavy_package():
    done = blocked("import sodslice; sodslice.Options; sodslice.Tile")
    assert done.returncode == 0, done.stderr


def test_help_needs_no_heavy_package():
    done = blocked("from sodslice.cli import main; main(['--help'])")
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_help_of_every_command_needs_no_heavy_package():
    code = (
        "from sodslice.cli import COMMANDS, group\n"
        "for name in COMMANDS:\n"
        "    group.main([name, '--help'], standalone_mode=False)\n"
    )
    done = blocked(code)
    assert done.returncode == 0, done.stderr
