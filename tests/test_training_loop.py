"""The training itself: it learns, it can be resumed bit for bit, several processes are one."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sodslice.inference.engines.paddle import import_paddle

import_paddle()

from sodslice.errors import Cancelled, DataError, ModelError, OptionError, OutputError  # noqa: E402
from sodslice.ppyoloe.config import ARCHITECTURES  # noqa: E402
from sodslice.ppyoloe.weights import load_network  # noqa: E402
from sodslice.training.checkpoint import CHECKPOINT, read_checkpoint  # noqa: E402
from sodslice.training.log import CURVES, read_log  # noqa: E402
from sodslice.training.loop import BEST, LAST, Limits, train  # noqa: E402
from sodslice.training.optimizer import learning_rate  # noqa: E402
from sodslice.training.progress import Silence  # noqa: E402
from sodslice.training.settings import TrainSettings  # noqa: E402
from sodslice.training.source_settings import SourceSettings  # noqa: E402
from tests.ppyoloe_weights import TINY_ANY_SIZE  # noqa: E402
from tests.training_data import write_set  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
COCO = SourceSettings(images="images", annotations="truth.json")
SHIPPED = "vehicle-t"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A network whose steps take no time, for what holds of any network."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY_ANY_SIZE)


@pytest.fixture
def drawn():
    """Curves are drawn in tests that ask for this."""


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Else they are not: drawing them takes longer than most of these trainings."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("sodslice.training.log.plot_training", lambda lines, path: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("data") / "set")


def _settings(data, **changes):
    small = {
        "model": "tiny",
        "data_root": str(data),
        "class_names": ("vehicle",),
        "sources": (COCO,),
        "validation": (COCO,),
        "steps": 40,
        "batch": 2,
        "canvas": 64,
        "warm_up": 4,
        "workers": 0,
        "log_every": 5,
        "checkpoint_every": 15,
        "validate_every": 1000,
    }
    return TrainSettings(**{**small, **changes})


def _weights(folder):
    return load_file(folder / LAST)


def _same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_14_steps_are_7_and_7_more_after_a_resume_bit_for_bit(data, tmp_path):
    settings = _settings(data, steps=14, log_every=2, checkpoint_every=5)
    whole = train(settings, tmp_path / "whole")
    first = train(settings, tmp_path / "parts", limits=Limits(steps=7))
    second = train(settings, tmp_path / "parts", resume=True)
    assert (first.step, first.finished, second.step, second.finished) == (7, False, 14, True)
    assert whole.finished
    one, other = (read_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    for group in ("network", "average", "velocities"):
        assert _same(getattr(one, group), getattr(other, group)), group
    assert _same(_weights(tmp_path / "whole"), _weights(tmp_path / "parts"))
    logs = [
        [line["loss"] for line in read_log(tmp_path / name) if "loss" in line] for name in ("whole", "parts")
    ]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 8
    assert len(one.velocities) > 200


def test_workers_prepare_the_same_batches_as_the_training_itself(data, tmp_path):
    for workers in (0, 2):
        train(_settings(data, steps=3, workers=workers), tmp_path / str(workers))
    assert _same(_weights(tmp_path / "0"), _weights(tmp_path / "2"))


def test_other_seeds_give_other_weights(data, tmp_path):
    for seed in (0, 1):
        train(_settings(data, steps=2, seed=seed), tmp_path / str(seed))
    assert not _same(_weights(tmp_path / "0"), _weights(tmp_path / "1"))


def test_a_training_validates_keeps_the_best_and_draws_its_curves(data, tmp_path, drawn):
    result = train(_settings(data, model=SHIPPED, steps=6, validate_every=3, log_every=2), tmp_path)
    lines = read_log(tmp_path)
    assert [line["step"] for line in lines if "ap" in line] == [3, 6]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 4, 6]
    assert result.weights == tmp_path / BEST
    assert result.best is not None
    network, metadata = load_network(tmp_path / BEST)
    assert network.config.class_names == ("vehicle",)
    found = [line["threshold"] for line in lines if "ap" in line]
    assert metadata.get("draw_threshold") in found
    assert str(data) not in str(metadata)
    assert (tmp_path / CURVES).read_bytes().startswith(b"\x89PNG")
    assert not [path.name for path in tmp_path.iterdir() if "part" in path.name]


def test_a_frozen_part_stays_and_the_rest_learns(data, tmp_path):
    start = tmp_path / "start"
    train(_settings(data, steps=1), start)
    frozen = _settings(data, steps=3, frozen=("backbone.stem",), weights=str(start / LAST), average=0.0)
    train(frozen, tmp_path / "next")
    before, after = _weights(start), read_checkpoint(tmp_path / "next").network
    trainable = [name for name in before if name.endswith("conv.weight")]
    changed = {name for name in trainable if not np.array_equal(before[name], after[name])}
    assert not any(name.startswith("backbone.stem") for name in changed)
    assert any(name.startswith("backbone.stages") for name in changed)


def test_a_part_that_does_not_exist_cannot_be_frozen(data, tmp_path):
    with pytest.raises(OptionError, match="the network has no part 'bakbone' to freeze"):
        train(_settings(data, frozen=("bakbone",)), tmp_path)


def test_a_folder_that_holds_a_training_is_not_overwritten(data, tmp_path):
    train(_settings(data, steps=1), tmp_path)
    with pytest.raises(OutputError, match="holds a training already; give `resume`"):
        train(_settings(data, steps=1), tmp_path)


def test_resuming_needs_a_checkpoint_with_the_same_settings(data, tmp_path):
    settings = _settings(data, steps=2)
    with pytest.raises(DataError, match="there is no training to resume"):
        train(settings, tmp_path, resume=True)
    train(settings, tmp_path, limits=Limits(steps=1))
    with pytest.raises(DataError, match=r"`learning_rate` is 0\.5, the training in .* has 0\.02"):
        train(dataclasses.replace(settings, learning_rate=0.5), tmp_path, resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(DataError, match="is damaged"):
        train(settings, tmp_path, resume=True)


def test_data_errors_come_before_anything_is_written(data, tmp_path):
    wrong = _settings(data, sources=(SourceSettings(images="images", annotations="gone.json"),))
    with pytest.raises(DataError, match=r"gone\.json"):
        train(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_validation_that_fails_costs_no_step(data, tmp_path, monkeypatch):
    settings = _settings(data, steps=4, validate_every=2, checkpoint_every=100)
    train(settings, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("sodslice.training.loop.validate", _fail)
        with pytest.raises(DataError, match="an image is gone"):
            train(settings, tmp_path / "parts")
    assert read_checkpoint(tmp_path / "parts").step == 2
    result = train(settings, tmp_path / "parts", resume=True)
    assert (result.step, result.finished) == (4, True)
    assert [line["step"] for line in read_log(tmp_path / "parts") if "ap" in line] == [2, 4]
    assert _same(_weights(tmp_path / "whole"), _weights(tmp_path / "parts"))
    one, other = (read_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert one.best == other.best
    assert _same(load_file(tmp_path / "whole" / BEST), load_file(tmp_path / "parts" / BEST))


def test_a_last_validation_that_fails_is_made_up_for(data, tmp_path, monkeypatch):
    settings = _settings(data, steps=2)
    with monkeypatch.context() as patch:
        patch.setattr("sodslice.training.loop.validate", _fail)
        with pytest.raises(DataError, match="an image is gone"):
            train(settings, tmp_path)
    assert train(settings, tmp_path, resume=True).weights == tmp_path / BEST
    before = (tmp_path / BEST).stat().st_mtime_ns
    train(settings, tmp_path, resume=True)
    assert (tmp_path / BEST).stat().st_mtime_ns == before


def _fail(*_):
    raise DataError("an image is gone")


def test_an_image_that_goes_costs_no_step(data, tmp_path, monkeypatch):
    folder = shutil.copytree(data, tmp_path / "data")
    settings = _settings(folder, steps=500, checkpoint_every=1000)
    monkeypatch.setattr("sodslice.training.sources.PictureCache.get", lambda _self, _key, make: make())

    class Thief(Silence):
        def step(self, step, facts):
            if step == 3:
                shutil.rmtree(folder / "images")

    with pytest.raises(DataError, match=r"there is no file .*; 3 steps are saved, go on with `resume`"):
        train(settings, tmp_path / "run", progress=Thief())
    saved = read_checkpoint(tmp_path / "run")
    assert saved.step == 3
    shutil.copytree(data / "images", folder / "images")
    assert (
        train(settings, tmp_path / "run", resume=True, limits=Limits(steps=saved.step + 1)).step
        == saved.step + 1
    )


def test_a_training_that_is_called_off_before_its_first_step_writes_nothing(data, tmp_path):
    with pytest.raises(Cancelled, match="before its first step; nothing was written"):
        train(_settings(data), tmp_path / "run", limits=Limits(stop=lambda: True))
    assert not (tmp_path / "run").exists()


def test_images_are_looked_through_after_all_that_is_quick_to_check(data, tmp_path):
    looked = []

    class Watcher(Silence):
        def checked(self, done, total):
            looked.append((done, total))

    train(_settings(data, steps=1), tmp_path / "run", progress=Watcher())
    assert looked == [(n, 8) for n in range(1, 9)]
    looked.clear()
    with pytest.raises(OutputError, match="holds a training already"):
        train(_settings(data, steps=1), tmp_path / "run", progress=Watcher())
    with pytest.raises(ModelError, match="there is no checkpoint gone"):
        train(_settings(data, weights="gone.safetensors"), tmp_path / "other", progress=Watcher())
    assert looked == []


def test_other_classes_than_those_of_the_weights_are_refused_with_what_to_say(data, tmp_path):
    settings = _settings(data, model=SHIPPED, class_names=("vehicle", "boat"), weights=SHIPPED)
    with pytest.raises(
        ModelError, match=r"it has other classes: .*in the settings of a training: `new_head: true`"
    ):
        train(settings, tmp_path / "run")
    train(dataclasses.replace(settings, new_head=True, steps=1), tmp_path / "run")


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    settings = TrainSettings(steps=110, warm_up=10, learning_rate=0.02, final_rate=0.1)
    rates = [learning_rate(settings, step) for step in range(110)]
    assert rates[:10] == pytest.approx([0.002 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(0.02)
    assert rates[60] == pytest.approx(0.02 * 0.55)
    assert rates == rates[:11] + sorted(rates[11:], reverse=True)
    assert learning_rate(settings, 110) == pytest.approx(0.002)


def _command(data, output, *more):
    config = output.parent / "config.yaml"
    names = "class_names: [vehicle]\ncanvas: 64\nbatch: 2\nworkers: 1\nwarm_up: 2\nlog_every: 1\n"
    source = "[{images: images, annotations: truth.json}]\n"
    config.write_text(f"{names}sources: {source}validation: {source}checkpoint_every: 2\n")
    words = ["train", str(config), "-o", str(output), "--data-root", str(data), *more]
    return [sys.executable, "-m", "sodslice", *words]


def _environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_the_command_trains_and_says_where_the_weights_are(data, tmp_path):
    command = _command(data, tmp_path / "run", "--steps", "3")
    done = subprocess.run(
        command, env=_environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"trained 3 of 3 steps, validation AP \d+\.\d, weights .*best\.safetensors\n", done.stdout
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_signal_ends_the_command_with_a_checkpoint_to_resume_from(data, tmp_path):
    output = tmp_path / "run"
    process = subprocess.Popen(
        _command(data, output, "--steps", "9999"), env=_environment(), stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 200
    while not (output / CHECKPOINT).exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"stopped, go on with --resume" in said
    assert read_checkpoint(output).step == read_log(output)[-1]["step"]


LAUNCHED = """
from sodslice.inference.engines.paddle import import_paddle
paddle = import_paddle()
from sodslice.training.processes import Processes
pair = Processes(batch=2)
assert pair.world == 2
gradients = [paddle.full([2, 3], pair.rank + 1.0), paddle.full([4], 10.0 * (pair.rank + 1))]
pair.sum_gradients(gradients)
assert (gradients[0].numpy() == 3).all() and (gradients[1].numpy() == 30).all()
assert pair.sum_number(2.0 + pair.rank) == 5.0
assert pair.any_of(pair.rank == 1) and not pair.any_of(False)
layer = paddle.nn.Linear(3, 2)
layer.weight.set_value(paddle.full([3, 2], float(pair.rank)))
pair.share_weights(layer)
assert (layer.weight.numpy() == 0).all()
from sodslice.cli import main
main()
"""


@pytest.mark.slow
def test_two_processes_learn_together(data, tmp_path):
    script = tmp_path / "launched.py"
    script.write_text(LAUNCHED)
    config = _command(data, tmp_path / "pair", "--steps", "6")
    launch = [
        sys.executable,
        "-m",
        "paddle.distributed.launch",
        "--nproc_per_node",
        "2",
        "--log_dir",
        str(tmp_path / "log"),
    ]
    environment = {**_environment(), "PADDLE_DISTRI_BACKEND": "gloo"}
    done = subprocess.run(
        [*launch, str(script), *config[3:]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    logs = "\n".join(path.read_text()[-3000:] for path in sorted((tmp_path / "log").glob("worker*")))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert read_checkpoint(tmp_path / "pair").step == 6
    alone = subprocess.run(
        _command(data, tmp_path / "alone", "--steps", "6"),
        env=_environment(),
        capture_output=True,
        timeout=600,
        check=True,
    )
    assert alone.returncode == 0
    # The same canvases and the same sum of gradients; only the batch statistics are of half the batch.
    pair, one = (read_checkpoint(tmp_path / name).network for name in ("pair", "alone"))
    names = [name for name in one if name.endswith("conv.weight")]
    gaps = [np.abs(pair[name] - one[name]).max() / np.abs(one[name]).max() for name in names]
    assert max(gaps) < 0.2


@pytest.mark.slow
def test_the_launch_line_of_the_docs_starts_a_training(data, tmp_path):
    words = _command(data, tmp_path / "pair", "--steps", "2")[3:]
    environment = {**_environment(), "PADDLE_DISTRI_BACKEND": "gloo"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, "--log_dir", str(tmp_path / "log"), "sodslice", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_checkpoint(tmp_path / "pair").step == 2


@pytest.mark.slow
def test_a_network_from_scratch_learns_eight_images_by_heart(data, tmp_path):
    plain = {
        "colour": 0.1,
        "blur": 0.0,
        "noise": 0.0,
        "jpeg": 0.0,
        "haze": 0.0,
        "nodata_border": 0.0,
        "flat": 0.0,
        "texture": 0.0,
    }
    settings = _settings(
        data,
        **plain,
        model=SHIPPED,
        steps=200,
        batch=4,
        canvas=128,
        learning_rate=0.02,
        warm_up=40,
        average=0.98,
        mosaic=(1.0,),
        object_size=(20, 28),
        validate_every=200,
    )
    train(settings, tmp_path)
    assert next(line["ap50"] for line in read_log(tmp_path) if "ap50" in line) > 0.95
