from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODEL_FILES = {"inference.json", "inference.pdiparams", "inference.yml"}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    copy = tmp_path_factory.mktemp("source")
    for name in tracked.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_wheel_and_sdist_carry_the_default_model(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    inside = {n.split("/")[-1] for n in names if n.startswith("sodslice/weights/vehicle-t/")}
    assert inside >= MODEL_FILES
    assert "sodslice/py.typed" in names
    assert not any(n.startswith(("tests/", "benchmarks/")) for n in names)
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
    inside = {n.split("/")[-1] for n in names if "/sodslice/weights/vehicle-t/" in n}
    assert inside >= MODEL_FILES


def test_the_metadata_says_what_the_project_is(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith("METADATA"))).decode()
        scripts = wheel.read(next(n for n in wheel.namelist() if n.endswith("entry_points.txt"))).decode()
    assert "Requires-Python: <3.14,>=3.10" in metadata
    assert "Apache-2.0" in metadata
    assert "sodslice = sodslice.cli:main" in scripts
