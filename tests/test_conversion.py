import logging
import os
import shutil
import subprocess
import sys

import pytest

from sodslice.detector import read_folder
from sodslice.errors import ModelError, OutputError
from sodslice.models.conversion import cache_folder, converted_folder
from sodslice.ppyoloe import export
from sodslice.ppyoloe.config import ARCHITECTURES, network_config
from sodslice.ppyoloe.weights import save_safetensors
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, lively


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("SODSLICE_CACHE", str(folder))
    return folder


@pytest.fixture
def exports(monkeypatch):
    """The folders that were exported; the export itself writes only the description."""
    made = []

    def write(network, folder, settings):
        folder.mkdir()
        (folder / "inference.yml").write_text(export._yml(network, settings))
        made.append(folder)

    monkeypatch.setattr(export, "export_folder", write)
    return made


def checkpoint(path, config, metadata=None):
    save_safetensors(lively(config), path, metadata)
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    return checkpoint(tmp_path / "tiny.safetensors", TINY)


def test_a_checkpoint_becomes_a_folder_that_describes_itself(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY_ANY_SIZE)
    path = checkpoint(tmp_path / "x.safetensors", TINY_ANY_SIZE, {"model_name": "cars", "gsd_m": 0.1})
    with caplog.at_level(logging.WARNING, "sodslice"):
        folder = converted_folder(path, input_size=(64, 64))
        again = converted_folder(path, input_size=(640, 640))
    assert folder == again
    assert [record.getMessage() for record in caplog.records] == [
        f"exporting {path} for tiles of any size, this once; it is kept in {folder}"
    ]
    info = read_folder(folder).info
    assert (info.name, info.gsd_m, info.input_size, info.class_names) == ("cars", 0.1, None, ("car", "bus"))


def test_each_size_is_exported_once(tiny, exports):
    small = converted_folder(tiny, input_size=(64, 64))
    large = converted_folder(tiny, input_size=(64, 96))
    assert [small, large] == exports
    assert converted_folder(tiny, input_size=(64, 64)) == small
    assert len(exports) == 2


def test_the_cache_goes_by_content_not_by_name(tiny, exports, tmp_path):
    first = converted_folder(tiny, input_size=(64, 64))
    copy = tmp_path / "other name.safetensors"
    shutil.copy(tiny, copy)
    assert converted_folder(copy, input_size=(64, 64)) == first
    save_safetensors(lively(TINY), tiny, {"gsd_m": 1})
    assert converted_folder(tiny, input_size=(64, 64)) != first
    assert len(exports) == 2


def test_other_class_names_are_another_export(tiny, exports):
    one = converted_folder(tiny, input_size=(64, 64))
    other = converted_folder(tiny, input_size=(64, 64), class_names=("bike", "tram"))
    assert one != other
    assert read_folder_names(other) == ["bike", "tram"]


def read_folder_names(folder):
    lines = (folder / "inference.yml").read_text().splitlines()
    start = lines.index("label_list:") + 1
    return [line[2:] for line in lines[start : start + 2]]


def test_what_a_killed_export_left_is_cleared_away(tiny, exports):
    folder = converted_folder(tiny, input_size=(64, 64))
    left = folder.with_name(f".{folder.name}.1.part")
    left.mkdir()
    (left / "inference.pdiparams").write_text("half")
    shutil.rmtree(folder)
    assert converted_folder(tiny, input_size=(64, 64)) == folder
    assert not left.exists()


def test_a_failed_export_leaves_no_folder(tiny, monkeypatch, cache):
    def fail(network, folder, settings):
        raise ModelError("it differs")

    monkeypatch.setattr(export, "export_folder", fail)
    with pytest.raises(ModelError, match="it differs"):
        converted_folder(tiny, input_size=(64, 64))
    assert [path.suffix for path in (cache / "exports").iterdir()] == [".lock"]


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SODSLICE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "sodslice"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "sodslice"


def test_a_cache_that_cannot_be_written_is_said_with_the_way_out(tiny, exports, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("SODSLICE_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        OutputError, match=r"file cannot be used \(.*\); set SODSLICE_CACHE to another folder"
    ):
        converted_folder(tiny, input_size=(64, 64))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"is no checkpoint: give a .pdparams or .safetensors file"):
        converted_folder(tmp_path, input_size=(64, 64))


@pytest.mark.slow
def test_two_processes_that_want_the_same_folder_make_it_once(tmp_path, cache):
    path = checkpoint(tmp_path / "t.safetensors", network_config("T"))
    code = (
        "import logging, sys; from pathlib import Path\n"
        "logging.basicConfig(level=logging.WARNING, format='%(message)s')\n"
        "from sodslice.models.conversion import converted_folder\n"
        "print(converted_folder(Path(sys.argv[1]), input_size=(640, 640)))"
    )
    words = [sys.executable, "-c", code, str(path)]
    pair = [
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300) for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert answers[0][0] == answers[1][0]
    assert sum("exporting" in errors for _, errors in answers) == 1
    (folder,) = [entry for entry in (cache / "exports").iterdir() if entry.is_dir()]
    assert str(folder) == answers[0][0].strip()
    assert read_folder(folder).info.input_size is None
