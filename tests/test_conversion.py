import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache as cache_results

import pytest

from sodslice.errors import ModelError, OutputError
from sodslice.inference import read_folder
from sodslice.models.conversion import converted_folder, described_checkpoint
from sodslice.ppyoloe import export
from sodslice.ppyoloe.config import ARCHITECTURES, network_config
from sodslice.ppyoloe.description import folder_yml
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
        (folder / "inference.yml").write_text(folder_yml(network.config, settings))
        made.append(folder)

    monkeypatch.setattr(export, "export_folder", write)
    return made


def checkpoint(path, config, metadata=None):
    save_safetensors(built(config), path, metadata)
    return path


@cache_results
def built(config):
    return lively(config)


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
    save_safetensors(built(TINY), tiny, {"gsd_m": 1})
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


def test_without_locks_the_folder_of_whoever_was_first_is_taken(tiny, monkeypatch, exports):
    write = export.export_folder

    def too_late(network, folder, settings):
        write(network, folder, settings)
        raise OutputError("the folder is there already")

    monkeypatch.setattr(export, "export_folder", too_late)
    assert [converted_folder(tiny, input_size=(64, 64))] == exports


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


@pytest.mark.parametrize("size", [(64, 64), (96, 64)])
@pytest.mark.parametrize("config", [TINY, TINY_ANY_SIZE])
def test_what_is_said_before_an_export_is_what_the_folder_says(tmp_path, monkeypatch, exports, config, size):
    monkeypatch.setitem(ARCHITECTURES, "tiny", config)
    path = checkpoint(tmp_path / "x.safetensors", config, {"gsd_m": 0.25, "draw_threshold": 0.4})
    names = ("bike", "tram")
    said, suffix = described_checkpoint(path, input_size=size, class_names=names)
    assert exports == []
    folder = converted_folder(path, input_size=size, class_names=names)
    for file in (f"inference{suffix}", "inference.pdiparams"):
        (folder / file).touch()
    info = read_folder(folder).info
    assert replace(said, sha256="") == replace(info, sha256="")
    assert (said.class_names, said.gsd_m, said.threshold) == (names, 0.25, 0.4)


def test_the_hash_of_an_export_to_be_goes_by_all_that_it_depends_on(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)

    def key(file, size=(64, 64), names=None):
        return described_checkpoint(file, input_size=size, class_names=names)[0].sha256

    path = checkpoint(tmp_path / "x.safetensors", TINY)
    copy = shutil.copy(path, tmp_path / "copy.safetensors")
    assert key(path) == key(copy)
    other = checkpoint(tmp_path / "y.safetensors", TINY, {"gsd_m": 1})
    keys = {key(path), key(path, (64, 96)), key(path, names=("bike", "tram")), key(other)}
    assert len(keys) == 4
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY_ANY_SIZE)
    free = checkpoint(tmp_path / "z.safetensors", TINY_ANY_SIZE)
    assert key(free) == key(free, (64, 96))


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError) as caught:
        described_checkpoint(path, input_size=(64, 64))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


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
