from __future__ import annotations

import json
import logging
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sodslice
from sodslice.errors import ModelError, OutputError, SodsliceError
from sodslice.inference import InferenceChoice, read_folder
from sodslice.inference.engines import choosing
from sodslice.models import (
    MODELS,
    Pulling,
    checkpoint_of,
    load_model,
    load_spec,
    model_info,
    model_names,
    pull,
    remove,
    resolve_model,
    verify,
)
from sodslice.models.shelf import OFFICIAL, OFFICIAL_URL, place_of, places_here
from sodslice.models.store import files_of
from sodslice.models.trial import try_one_tile
from sodslice.ppyoloe.config import ARCHITECTURES
from sodslice.system.arriving import Limits
from sodslice.system.locks import alone
from tests.command_line import sodslice as command_line
from tests.ppyoloe_weights import TINY, lively
from tests.tars import bad_members, member, model_members, tar_of, tar_of_folder
from tests.tiny_exports import tiny_export
from tests.web import claim, redirect, serve, stall, status, trickle, truncate, web_server

SMALL = "PP-YOLOE_plus_SOD-S"
AT = f"/official_inference_model/paddle3.0.0/{SMALL}_infer.tar"
WEIGHTS = f"{SMALL}_pretrained"
WEIGHTS_AT = f"/official_pretrained_model/{WEIGHTS}.pdparams"
SOON = Limits(silence_s=0.5, tries=2, pause_s=0.01)
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("SODSLICE_CACHE", str(folder))
    monkeypatch.delenv("SODSLICE_MIRROR", raising=False)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a small model that an engine runs as it is, on tiles of 64 x 96."""
    return tiny_export("raw ONNX", tmp_path_factory)


@pytest.fixture(scope="module")
def archive(model, tmp_path_factory):
    """The bytes of its archive."""
    return tar_of_folder(tmp_path_factory.mktemp("archive") / "m.tar", model).read_bytes()


@pytest.fixture(scope="module")
def weights():
    """The bytes of a `.pdparams` file of a small network."""
    arrays = {name: tensor.numpy() for name, tensor in lively(TINY).state_dict().items()}
    return pickle.dumps(arrays, protocol=2)


def how(web, **more):
    return Pulling(web.url, limits=SOON, **more)


def everything(folder):
    """All files of the store but its locks."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


# Fetching


def test_an_official_model_is_fetched_checked_and_served_by_its_name(web, archive, model, cache):
    web.put(AT, archive)
    told = []
    pulled = pull(SMALL, how=how(web), progress=lambda *done: told.append(done))
    assert pulled.fresh
    assert pulled.path == cache / "models" / SMALL
    assert told[-1] == (len(archive), len(archive))
    assert pulled.notes.tried == "a tile runs on openvino"
    assert read_folder(pulled.path).info.sha256 == read_folder(model).info.sha256
    assert everything(cache / "models") == [
        f"{SMALL}.json",
        f"{SMALL}/inference.onnx",
        f"{SMALL}/inference.yml",
    ]
    spec = resolve_model(SMALL, InferenceChoice(device="cpu"))
    assert (spec.word, spec.location) == (SMALL, str(pulled.path))
    assert load_model(SMALL, device="cpu").info.class_names == ("car", "bus")
    again = pull(SMALL, how=how(web))
    assert (again.fresh, again.notes) == (False, pulled.notes)
    assert len(web.asked) == 1


def test_a_mirror_may_have_its_files_in_one_place(web, archive):
    web.put(f"/{SMALL}_infer.tar", archive)
    assert pull(SMALL, how=how(web)).notes.url == f"{web.url}/{SMALL}_infer.tar"
    assert [path for path, _ in web.asked] == [AT, f"/{SMALL}_infer.tar"]


@pytest.mark.parametrize("kind", ["url", "path", "environment"])
def test_a_mirror_may_be_a_folder_of_this_machine(kind, archive, tmp_path, monkeypatch):
    folder = tmp_path / "mirror of mine"
    folder.mkdir()
    (folder / f"{SMALL}_infer.tar").write_bytes(archive)
    word = {"url": f"{folder.as_uri()}/", "path": str(folder), "environment": ""}[kind]
    if kind == "environment":
        monkeypatch.setenv("SODSLICE_MIRROR", str(folder))
    assert pull(SMALL, how=Pulling(word)).fresh
    assert (folder / f"{SMALL}_infer.tar").is_file()


@pytest.mark.parametrize(
    ("mirror", "words"),
    [
        ("nowhere", "the mirror nowhere is neither a URL nor a folder of this machine"),
        ("ftp://example.org", r"begins with ftp://; models come from https:// or file:// URLs"),
        (
            "https://example.org/m?sig=secret",
            "m has a query, which may be a key and which outputs would show",
        ),
        ("https://me:secret@example.org", "the URL of example.org holds a user name or a password"),
        ("file://other/x", "names the machine other"),
    ],
)
def test_a_mirror_that_is_none_is_refused(mirror, words):
    with pytest.raises(ModelError, match=words) as error:
        pull(SMALL, how=Pulling(mirror))
    assert "secret" not in str(error.value)


def test_what_is_fetched_by_a_url_is_fetched_once_and_only_then(web, archive, cache, caplog):
    url = web.put("/a/My%20model.tar", archive)
    with caplog.at_level(logging.WARNING, "sodslice"):
        first, second = model_info(url), model_info(url)
    place = place_of(url)
    assert first == second
    assert len(web.asked) == 1
    assert place.path.parent == cache / "models" / "from-urls"
    assert place.path.name.startswith("My_model-")
    assert [record.getMessage() for record in caplog.records] == [
        f"fetching {url}, this once; it is kept in {place.path}"
    ]
    assert [one.word for one in places_here()] == [url]


def test_a_url_that_leads_nowhere_is_said(web):
    url = f"{web.url}/m.tar"
    with pytest.raises(ModelError) as error:
        load_model(url)
    assert str(error.value) == (
        f"{url}: the server answers 404 Not Found; by hand: bring that file here from another machine and "
        "give its path in place of the URL"
    )


def test_models_of_urls_are_told_apart_by_the_whole_url(web, archive):
    one, other = web.put("/a/m.tar", archive), web.put("/b/m.tar", archive)
    assert files_of(one) != files_of(other)


def test_a_run_takes_a_url_and_its_plan_needs_no_network(web, archive, tmp_path):
    url = web.put("/m.tar", archive)
    scene = np.zeros((64, 96, 3), np.uint8)
    plan = sodslice.make_plan(scene, model=url, options={"device": "cpu"})
    assert plan.model.word == url
    assert Path(plan.model.location).is_absolute()
    web.files.clear()
    load_spec(plan.model).close()
    assert sodslice.run(scene, model=url, options={"device": "cpu"}).provenance.model.name
    assert len(web.asked) == 1


def test_names_are_not_fetched_unless_somebody_says_so(web, archive, monkeypatch):
    web.put(AT, archive)
    monkeypatch.setenv("SODSLICE_MIRROR", web.url)
    with pytest.raises(ModelError) as error:
        load_model(SMALL)
    assert str(error.value) == (
        f"{SMALL} is not on this machine; fetch it with `sodslice models pull {SMALL}`, or bring "
        f"{OFFICIAL_URL}{AT} here and give the path of that file in place of the name"
    )
    with pytest.raises(ModelError, match=f"`sodslice models pull {WEIGHTS}`"):
        checkpoint_of(SMALL)
    assert web.asked == []


# Checkpoints


def test_a_checkpoint_is_fetched_and_serves_by_its_name_and_that_of_its_model(
    web, weights, cache, monkeypatch, caplog
):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    web.put(WEIGHTS_AT, weights)
    pulled = pull(SMALL, weights=True, how=how(web))
    assert pulled.path == cache / "models" / f"{WEIGHTS}.pdparams"
    assert pulled.path.read_bytes() == weights
    assert pull(WEIGHTS, how=how(web)).fresh is False
    assert checkpoint_of(SMALL) == checkpoint_of(WEIGHTS) == files_of(WEIGHTS) == pulled.path
    assert resolve_model(WEIGHTS, InferenceChoice(device="cpu"), tile=128).info.input_size == (128, 128)
    assert not caplog.records
    assert resolve_model(SMALL, InferenceChoice(device="cpu"), tile=96).info.input_size == (96, 96)
    assert caplog.records[0].getMessage() == (
        f"the exported folder of {SMALL} is not on this machine; its checkpoint serves, "
        "exported for the tiles"
    )


def test_a_name_means_its_folder_where_both_are_here(web, archive, weights, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    web.put(AT, archive)
    web.put(WEIGHTS_AT, weights)
    folder, checkpoint = pull(SMALL, how=how(web)).path, pull(WEIGHTS, how=how(web)).path
    assert (files_of(SMALL), files_of(WEIGHTS)) == (folder, checkpoint)


def test_a_checkpoint_of_a_url_is_fetched(web, weights, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    url = web.put("/best.pdparams", weights)
    assert checkpoint_of(url) == files_of(url)
    assert checkpoint_of(url).read_bytes() == weights
    with pytest.raises(ModelError, match="which says itself what it is; leave out `weights`"):
        pull(url, weights=True)
    with pytest.raises(ModelError, match="which says itself where it comes from; leave out `mirror`"):
        pull(url, how=how(web))


def test_a_checkpoint_that_is_none_is_not_taken(web, cache):
    web.put(WEIGHTS_AT, b"<html>")
    with pytest.raises(ModelError) as error:
        pull(WEIGHTS, how=how(web))
    assert str(error.value).startswith(
        f"{WEIGHTS} is not taken: {WEIGHTS}.pdparams: {WEIGHTS}.pdparams is no intact .pdparams file"
    )
    assert everything(cache) == []


# What a server may do


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([status(404)], rf"cannot be fetched: .*{AT}: the server answers 404 Not Found; .*404 Not Found; by"),
        ([status(500)], "tried 2 times, the server answers 500 Internal Server Error"),
        ([status(403)], "the server answers 403 Forbidden"),
        ([stall(100), stall(0)], "tried 2 times, nothing came for 0.5 s; 0.0 MiB of it are kept"),
        ([claim(20_000_000)], "tried 2 times, the connection broke"),
        ([claim(1000)], r"is not taken: .*_infer.tar (is no intact tar archive|holds no exported model)"),
        ([redirect("/elsewhere.tar")], "the server answers 404"),
        ([redirect(AT)], "leads to another place more than 5 times"),
    ],
    ids=["404", "500", "403", "stall", "too-long", "too-short", "redirect", "loop"],
)
def test_what_a_server_does_instead_is_said_and_leaves_no_model(answers, words, web, archive, cache):
    web.put(AT, archive, *answers)
    with pytest.raises(ModelError, match=words) as error:
        pull(SMALL, how=how(web))
    assert "\n" not in str(error.value)
    assert [name for name in everything(cache) if ".download" not in name] == []
    assert SMALL not in model_names()[:2]
    web.put(AT, archive)
    assert pull(SMALL, how=how(web)).fresh


def test_without_a_network_it_is_said_how_to_bring_the_file_by_hand(monkeypatch):
    monkeypatch.setattr("sodslice.models.shelf.OFFICIAL_URL", "http://127.0.0.1:9")
    with pytest.raises(ModelError) as error:
        pull(SMALL, how=Pulling(limits=SOON))
    assert re.fullmatch(
        rf"{SMALL} cannot be fetched: http://127.0.0.1:9{AT}: tried 2 times, no connection \(.*\); by hand: "
        "bring that file here from another machine and give its path in place of the name",
        str(error.value),
    )


def test_an_interrupted_download_goes_on_in_the_next_pull(web, archive):
    web.put(AT, archive, truncate(5000), status(500))
    with pytest.raises(ModelError, match="another try goes on from there"):
        pull(SMALL, how=how(web))
    web.put(AT, archive)
    assert pull(SMALL, how=how(web)).fresh
    assert web.asked[-1] == (AT, "bytes=5000-")


@pytest.mark.parametrize("kind", bad_members())
def test_an_unsafe_archive_leaves_nothing_in_the_store_and_nothing_outside(kind, web, cache, tmp_path):
    bad, words = bad_members()[kind]
    web.put(AT, tar_of(tmp_path / "bad.tar", *model_members(), bad).read_bytes())
    before = everything(tmp_path)
    with pytest.raises(ModelError) as error:
        pull(SMALL, how=how(web))
    assert str(error.value).startswith(f"{SMALL} is not taken: {SMALL}_infer.tar is not unpacked: ")
    assert words in str(error.value)
    assert everything(tmp_path) == before
    assert not Path("/tmp/evil").exists()


def test_a_model_that_does_not_run_is_not_taken(web, cache, tmp_path):
    web.put(AT, tar_of(tmp_path / "bad.tar", *model_members()).read_bytes())
    with pytest.raises(ModelError) as error:
        pull(SMALL, how=how(web))
    assert str(error.value).startswith(f"{SMALL} is not taken: openvino cannot run it: ")
    assert str(cache) not in str(error.value)
    assert everything(cache / "models") == []


def test_a_yml_of_something_else_is_not_taken(web, cache, tmp_path):
    members = [member("m/inference.yml", b"label_list: [a]\n"), member("m/inference.onnx", b"x")]
    web.put(AT, tar_of(tmp_path / "bad.tar", *members).read_bytes())
    with pytest.raises(ModelError, match=r"is not taken: .*has no list `Preprocess`"):
        pull(SMALL, how=how(web))


def test_a_model_that_nothing_here_runs_is_taken_and_that_is_said(web, archive, model, monkeypatch):
    web.put(AT, archive)
    absent = [replace(engine, version=lambda: None) for engine in choosing.ENGINES]
    monkeypatch.setattr(choosing, "ENGINES", absent)
    words = "not tried: no engine here runs .*, a .onnx graph: openvino is not installed"
    assert re.match(words, try_one_tile(model))
    pulled = pull(SMALL, how=how(web))
    assert re.match(words, pulled.notes.tried)
    assert f"runs {SMALL}_infer.tar" in pulled.notes.tried


# What came first counts


def test_another_file_under_the_same_name_is_refused_unless_one_says_so(web, archive, model, tmp_path, cache):
    web.put(AT, archive)
    first = pull(SMALL, how=how(web))
    shutil.copytree(model, tmp_path / "other")
    with (tmp_path / "other" / "inference.yml").open("a") as file:
        file.write("# another\n")
    web.put(AT, tar_of_folder(tmp_path / "other.tar", tmp_path / "other").read_bytes())
    for gone in (False, True):
        if gone:
            remove(SMALL)
        with pytest.raises(ModelError) as error:
            pull(SMALL, how=how(web, again=True))
        assert re.fullmatch(
            rf"{web.url}{AT} is not the file that came on {re.escape(first.notes.pulled)}: its sha256 is "
            rf"[0-9a-f]{{64}}, that of the first was {first.notes.sha256}; if you expect that, pull it with "
            "`accept_change`",
            str(error.value),
        )
        assert verify() == ([] if gone else verify(SMALL))
        assert gone or (first.path / "inference.yml").read_bytes() == (model / "inference.yml").read_bytes()
    taken = pull(SMALL, how=how(web, accept_change=True))
    assert taken.notes.sha256 != first.notes.sha256
    assert (taken.path / "inference.yml").read_text().endswith("# another\n")
    assert pull(SMALL, how=how(web, again=True)).fresh


def test_verify_says_what_is_not_as_it_came(web, archive):
    web.put(AT, archive)
    path = pull(SMALL, how=how(web)).path
    assert [(one.word, one.wrong) for one in verify()] == [(SMALL, ())]
    (path / "inference.yml").write_text("label_list: [x]")
    (path / "inference.json").write_text("{}")
    (path / "inference.onnx").unlink()
    assert verify(SMALL)[0].wrong == (
        "inference.onnx is gone",
        "inference.yml has changed",
        "inference.json did not come with it",
    )
    assert pull(SMALL, how=how(web, again=True)).fresh
    assert verify(SMALL)[0].wrong == ()


def test_damaged_notes_are_said(web, archive):
    web.put(AT, archive)
    pull(SMALL, how=how(web))
    place = place_of(SMALL)
    for content in ("", "[]", '{"files": 3}', '{"files": {}, "word": "x", "more": 1}'):
        place.notes.write_text(content)
        with pytest.raises(ModelError, match="is damaged; remove it, and pull the model again"):
            verify(SMALL)


def test_remove_takes_what_was_fetched_and_nothing_else(web, archive, weights, model, monkeypatch, cache):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    url = web.put("/m.tar", archive)
    web.put(AT, archive)
    web.put(WEIGHTS_AT, weights)
    for word in (SMALL, WEIGHTS):
        pull(word, how=how(web))
    pull(url)
    assert remove(WEIGHTS)[0][1] == len(weights)
    assert files_of(SMALL).is_dir()
    assert [path for path, _ in remove(SMALL)] == [cache / "models" / SMALL]
    assert [path for path, _ in remove(url)] == [place_of(url).path]
    assert places_here() == []
    for word in (SMALL, url):
        with pytest.raises(ModelError, match=f"nothing of {re.escape(word)} is on this machine"):
            remove(word)
    for word, words in (
        ("vehicle-t", "vehicle-t ships with sodslice; there is nothing to fetch and nothing to remove"),
        ("blobs", "blobs has no files"),
        (str(model), "is not among what is fetched; it can be given as `model` as it is"),
        ("PP-YOLOE_plus_SOD-M", r"\(did you mean 'PP-YOLOE_plus_SOD-[SL]'\?\)"),
    ):
        for act in (remove, pull):
            with pytest.raises(ModelError, match=words):
                act(word)
    assert MODELS["vehicle-t"].folder.is_dir()
    assert model.is_dir()


def test_a_part_of_a_download_is_removed_too(web, archive, cache):
    web.put(AT, archive, truncate(5000), status(500))
    with pytest.raises(ModelError):
        pull(SMALL, how=how(web))
    assert remove(SMALL) == [(cache / "models" / SMALL, 5000)]
    assert everything(cache) == []


def test_a_cache_that_cannot_be_written_is_said(web, archive, tmp_path, monkeypatch):
    web.put(AT, archive)
    (tmp_path / "file").touch()
    monkeypatch.setenv("SODSLICE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set SODSLICE_CACHE to another folder"):
        pull(SMALL, how=how(web))


# Archives and URLs of this machine


def test_an_archive_serves_as_its_folder_does_by_path_and_by_url(model, archive, tmp_path, monkeypatch):
    path = tmp_path / "some model.tar"
    path.write_bytes(archive)
    monkeypatch.chdir(tmp_path)
    facts = model_info(model)
    folder = files_of(path)
    assert folder == files_of(path.as_uri()) == files_of("some model.tar")
    for word in (path, path.as_uri(), model.as_uri(), "some model.tar"):
        assert model_info(word) == facts
    spec = resolve_model("some model.tar", InferenceChoice(device="cpu"))
    assert spec.location == str(folder)
    assert load_model(path, device="cpu").info == facts


def test_an_archive_that_changes_is_another_model(archive, tmp_path):
    path = tmp_path / "m.tar"
    path.write_bytes(archive)
    first = files_of(path)
    path.write_bytes(archive + bytes(10240))
    assert files_of(path) != first


def test_an_archive_of_this_machine_is_as_safe(cache, tmp_path):
    path = tar_of(tmp_path / "m.tar", *model_members(), member("../evil", b"x"))
    with pytest.raises(ModelError, match=r"m.tar is not unpacked: '../evil' leads out of the folder"):
        load_model(path)
    assert everything(tmp_path) == ["m.tar"]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("nowhere.tar", "the model nowhere.tar is not there; give an exported folder, a .tar of one, a"),
        ("file:///nowhere/m.tar", "the model /nowhere/m.tar is not there"),
        ("ftp://example.org/m.tar", "begins with ftp://; models come from https:// or file:// URLs"),
        ("https://example.org/m.zip", "ends in .zip; a model is fetched as .tar, .pdparams, .safetensors"),
        ("https://example.org/", "ends in no suffix"),
        ("https://me:secret@example.org/m.tar", "holds a user name or a password, which outputs would show"),
        ("file://other/m.tar", "names the machine other; file:///... is one of this machine"),
        ("https://[::1/m.tar", "is no URL"),
        ("https://[::1/m.tar?sig=secret", r"https://\[::1/m.tar is no URL; write https://host/name.tar"),
        (
            "https://example.org/m.tar?sig=secret",
            "^https://example.org/m.tar has a query, which may be a key and which outputs would show; "
            "download it by hand and give the file$",
        ),
        ("s3://b/m.tar?sig=secret", "begins with s3://"),
    ],
)
def test_a_word_that_leads_to_no_model_is_refused_in_one_line(word, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for refused in (lambda: model_info(word), lambda: load_model(word)):
        with pytest.raises(SodsliceError, match=words) as error:
            refused()
        assert "secret" not in str(error.value)


# Several processes


def started(web, cache, model=SMALL):
    code = (
        "import sys; from sodslice.models import pull, Pulling; "
        f"done = pull({model!r}, how=Pulling({web.url!r})); print(done.fresh, done.path)"
    )
    environment = {
        **os.environ,
        "SODSLICE_CACHE": str(cache),
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes)


def test_two_processes_that_want_the_same_model_fetch_it_once(web, archive, cache):
    web.put(AT, archive, trickle(10, 0.05))
    both = [started(web, cache) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(out.split()[0] for out, _ in said) == ["False", "True"]
    assert len(web.asked) == 1
    assert verify(SMALL)[0].wrong == ()


def test_who_waits_for_another_is_told(web, archive, cache, caplog):
    web.put(AT, archive)
    lock = place_of(SMALL).lock
    lock.parent.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        with alone(lock), caplog.at_level(logging.WARNING, "sodslice"):
            pulled = pool.submit(pull, SMALL, how=how(web))
            ends = time.monotonic() + 60
            while not caplog.records and time.monotonic() < ends:
                time.sleep(0.02)
            assert web.asked == []
        assert pulled.result(timeout=60).fresh
    said = f"another process fetches or removes {SMALL}; waiting for it"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_pull_that_was_killed_goes_on_and_leaves_nothing_behind(web, archive, cache):
    half = len(archive) // 2
    web.put(AT, archive, stall(half), serve)
    process = started(web, cache)
    part = place_of(SMALL).download
    ends = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size == half) and time.monotonic() < ends:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    left = cache / "models" / f".{SMALL}.{process.pid}-01234567.part"
    left.mkdir()
    assert pull(SMALL, how=how(web)).fresh
    assert web.asked == [(AT, ""), (AT, f"bytes={half}-")]
    assert sorted(path.name for path in (cache / "models").iterdir()) == [
        SMALL,
        f"{SMALL}.json",
        f"{SMALL}.lock",
    ]


# The command line


def test_the_command_line_pulls_lists_shows_verifies_and_removes(web, archive, tmp_path, cache):
    web.put(AT, archive)
    url = web.put("/m.tar", archive)

    def said(*words, code=0):
        done = command_line("models", *words, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert f"{SMALL:<30} PaddleDetection's, 10 VisDrone classes, 640 x 640  (not on this machine)" in said()
    pulled = said("pull", SMALL, "--mirror", web.url)
    assert re.fullmatch(
        rf"{SMALL} fetched: \d\.\d MiB, sha256 [0-9a-f]{{64}}, a tile runs on openvino -> "
        rf"{re.escape(str(cache))}/models/{SMALL}\n",
        pulled,
    )
    assert "is here already" in said("pull", SMALL, "--mirror", web.url)
    assert said("pull", url, "-q") == ""
    listed = said("list")
    assert re.search(rf"{SMALL} .* \(here: folder \d\.\d MiB\)", listed)
    assert re.search(rf"{url} +fetched  \(\d\.\d MiB\)", listed)
    shown = said("info", SMALL)
    assert f"place       {cache}/models/{SMALL}\n" in shown
    assert f"from {web.url}{AT}\n" in shown
    assert "place" not in said("info", "vehicle-t")
    assert said("verify").count(": as it came (") == 2
    (cache / "models" / SMALL / "inference.yml").write_text("x")
    assert f"error: not as it came: {SMALL}; fetch it anew" in said("verify", SMALL, code=1)
    web.put(AT, archive + bytes(10240))
    assert "pull it with --accept-change" in said("pull", SMALL, "--again", "--mirror", web.url, code=1)
    assert "fetched" in said("pull", SMALL, "--again", "--accept-change", "--mirror", web.url)
    assert said("rm", SMALL, url).count("removed ") == 2
    assert said("verify") == "nothing was fetched\n"
    assert "vehicle-t ships with sodslice" in said("rm", "vehicle-t", code=1)
    assert f"fetch it with `sodslice models pull {SMALL}`" in said("info", SMALL, code=1)


def test_commands_take_archives_and_names_of_fetched_models(web, archive, weights, tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setenv("SODSLICE_MIRROR", web.url)
    web.put(AT, archive)
    web.put(WEIGHTS_AT, weights)
    (tmp_path / "m.tar").write_bytes(archive)
    for words in (
        ("models", "pull", SMALL),
        ("models", "pull", SMALL, "--weights"),
        ("export", SMALL, "-o", "vino", "--format", "openvino"),
        ("export", "m.tar", "-o", "vino-2", "--format", "openvino"),
    ):
        done = command_line(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert read_folder(tmp_path / "vino").info.class_names == ("car", "bus")
    assert checkpoint_of(SMALL).name == f"{WEIGHTS}.pdparams"


def test_the_settings_of_a_training_leave_names_and_urls_as_they_are(tmp_path):
    from sodslice.training.settings import load_training

    text = (ROOT / "configs" / "train-example.yaml").read_text()
    for word in ("vehicle-t", SMALL, WEIGHTS, "https://example.org/x.pdparams"):
        path = tmp_path / "t.yaml"
        path.write_text(re.sub(r"(?m)^weights:.*$", "", text) + f"\nweights: {word}\n")
        assert load_training(path).weights == word


def test_every_official_name_has_a_place_and_notes_are_json(web, archive):
    assert set(OFFICIAL) <= set(MODELS)
    for name in OFFICIAL:
        assert place_of(name).sources == (
            f"{OFFICIAL_URL}/official_inference_model/paddle3.0.0/{name}_infer.tar",
        )
    assert place_of("vehicle-t") is None
    web.put(AT, archive)
    pull(SMALL, how=how(web))
    notes = json.loads(place_of(SMALL).notes.read_text())
    assert (notes["word"], notes["bytes"]) == (SMALL, len(archive))


# Odd caches


def test_a_model_that_is_here_needs_no_lock(web, archive, tmp_path):
    url = web.put("/m.tar", archive)
    files = files_of(url)
    lock = place_of(url).lock
    lock.unlink()
    lock.mkdir()  # which cannot be opened for writing, even by an administrator
    assert files_of(url) == files
    mine = tmp_path / "mine.tar"
    mine.write_bytes(archive)
    folder = files_of(mine)
    lock = folder.with_name(f"{folder.name}.lock")
    lock.unlink()
    lock.mkdir()
    assert files_of(mine) == folder


@pytest.mark.parametrize(
    "damaged",
    [
        b"{}",
        b"[]",
        b'{"word":1,"url":"","sha256":"","bytes":1,"pulled":"","files":{}}',
        b'{"word":"https://h/x.txt","url":"","sha256":"","bytes":1,"pulled":"","files":{}}',
        b'{"word":"https://h/x.tar","url":"","sha256":"","bytes":"1","pulled":"","files":{}}',
        b'{"word":"https://[h/x.tar","url":"","sha256":"","bytes":1,"pulled":"","files":{}}',
        b'{"word":"https://h/x.tar","url":"","sha256":"","bytes":1,"pulled":"","files":{"a":1}}',
        None,
    ],
)
def test_notes_that_are_damaged_are_passed_over_and_said(damaged, web, archive, caplog):
    url = web.put("/m.tar", archive)
    odd = files_of(url).parent / "odd.json"
    if damaged is None:
        odd.mkdir()
    else:
        odd.write_bytes(damaged)
    caplog.clear()
    assert [place.word for place in places_here()] == [url]
    (record,) = caplog.records
    assert record.getMessage().startswith("passed over: ")


def test_the_name_of_a_place_fits_into_file_systems_whatever_the_url():
    place = place_of(f"https://h/{'%E6%A8%A1' * 80}.pdparams")
    assert len(place.notes.name.encode()) < 120
    assert place.notes.name.isascii()
