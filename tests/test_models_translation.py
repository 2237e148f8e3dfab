"""Translations are made once, known by content, and trusted only when they answer as Paddle does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sodslice import load_model
from sodslice.errors import ModelError, OutputError
from sodslice.inference import read_folder
from sodslice.models import translation
from sodslice.models.store import SHIPPED
from sodslice.models.translation import hold_against, translation_of, trusted, write_translation
from tests.tiny_exports import tiny_export

DEFAULT = SHIPPED / "vehicle-t"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return tiny_export("any size", tmp_path_factory)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SODSLICE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def here(monkeypatch):
    """Translations are made in this process, which has Paddle already; a list of what was translated."""
    made = []

    def translate(model, folder):
        made.append(model)
        write_translation(read_folder(model), folder)

    monkeypatch.setattr(translation, "_translate_in_child", translate)
    return made


def test_the_shipped_translation_is_that_of_the_shipped_graph(tmp_path):
    files = read_folder(DEFAULT)
    shipped = translation_of(files)
    assert shipped.folder == DEFAULT / translation.BESIDE
    write_translation(files, tmp_path / "again")
    assert (tmp_path / "again" / translation.GRAPH).read_bytes() == shipped.graph.read_bytes()
    with (
        np.load(tmp_path / "again" / translation.CHECK) as again,
        np.load(shipped.folder / translation.CHECK) as check,
    ):
        assert np.array_equal(again["tile"], check["tile"])
        np.testing.assert_allclose(again["boxes"], check["boxes"], atol=0.02)


def test_a_graph_is_translated_once_and_known_by_its_content(exported, tmp_path, here, cache):
    first = translation_of(read_folder(exported))
    again = translation_of(read_folder(shutil.copytree(exported, tmp_path / "elsewhere")))
    assert again == first
    assert first.folder.parent == cache / "translations"
    assert here == [exported]
    changed = shutil.copytree(exported, tmp_path / "changed")
    content = bytearray((changed / "inference.pdiparams").read_bytes())
    content[-1] ^= 1
    (changed / "inference.pdiparams").write_bytes(content)
    assert translation_of(read_folder(changed)).folder != first.folder
    assert len(here) == 2
    (first.folder / translation.GRAPH).unlink()
    assert translation_of(read_folder(exported)).graph.is_file()
    assert len(here) == 3


def test_a_cache_that_cannot_be_written_is_said(exported, here, cache):
    cache.write_text("no folder")
    with pytest.raises(OutputError, match=r"the cache .* cannot be used .*SODSLICE_CACHE"):
        translation_of(read_folder(exported))


def test_two_processes_translate_once(exported, cache):
    program = (
        "import logging, sys; logging.basicConfig()\n"
        "from pathlib import Path\n"
        "from sodslice.inference import read_folder\n"
        "from sodslice.models.translation import translation_of\n"
        "print(translation_of(read_folder(Path(sys.argv[1]))).folder)\n"
    )
    words = [sys.executable, "-c", program, str(exported)]
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [one.communicate(timeout=300) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert sum("translating" in errors for _, errors in said) == 1
    assert sorted(path.name for path in (cache / "translations").iterdir() if path.is_dir()) == [
        said[0][0].strip().rpartition("/")[2]
    ]


def test_what_the_child_says_is_the_error(tmp_path, exported):
    folder = shutil.copytree(exported, tmp_path / "m")
    content = json.loads((folder / "inference.json").read_text())
    operations = content["program"]["regions"][0]["blocks"][0]["ops"]
    next(one for one in operations if one["#"] == "1.swish")["#"] = "1.erfinv"
    (folder / "inference.json").write_text(json.dumps(content))
    with pytest.raises(
        ModelError, match=r"cannot be translated: .*only Paddle runs: erfinv; use `engine=paddle`"
    ):
        translation_of(read_folder(folder))
    with pytest.raises(ModelError, match="openvino cannot run it: it has operations that only Paddle runs"):
        load_model(folder, engine="openvino")


class Answering:
    """A session that gives what Paddle gave, changed."""

    input_names = ("image",)
    description = "other 1.0"

    def __init__(self, made, change):
        with np.load(made.folder / translation.CHECK) as check:
            self.answers = change(check["boxes"].copy(), check["scores"].copy())

    def run(self, feeds):
        assert feeds["image"].shape[0] == 1
        return [answer[None] for answer in self.answers]

    def close(self):
        pass


def moved(boxes, scores):
    boxes[np.argmax(scores.max(axis=0)), 0] += 0.06
    return boxes, scores


def moved_where_nothing_is(boxes, scores):
    boxes[np.argmin(scores.max(axis=0)), 0] += 9
    return boxes, scores


def lowered(boxes, scores):
    scores[0, 0] += 0.002
    return boxes, scores


def unknown(boxes, scores):
    scores[0, 0] = np.nan
    return boxes, scores


@pytest.mark.parametrize("change", [moved, lowered, unknown])
def test_a_session_with_other_answers_than_paddles_is_refused(change):
    files = read_folder(DEFAULT)
    made = translation_of(files)
    with pytest.raises(
        ModelError, match="other 1.0 gives other answers than Paddle for vehicle-t: .*engine=paddle"
    ):
        hold_against(made, Answering(made, change), files, pixels=False)


def test_a_session_with_paddles_answers_is_taken():
    files = read_folder(DEFAULT)
    made = translation_of(files)
    for change in (moved_where_nothing_is, lambda boxes, scores: (boxes + 0.01, scores)):
        hold_against(made, Answering(made, change), files, pixels=False)


def _distrust(made):
    with trusted(made, "engine 1"):
        raise ModelError("other answers")


def test_trust_is_noted_by_engine_and_only_when_all_went_well(cache):
    made = translation_of(read_folder(DEFAULT))
    with pytest.raises(ModelError):
        _distrust(made)
    for engine, before in (("engine 1", False), ("engine 1", True), ("engine 2", False)):
        with trusted(made, engine) as known:
            assert known == before
    shutil.rmtree(cache)
    cache.write_text("no folder")
    for _ in range(2):
        with trusted(made, "engine 1") as known:
            assert not known
