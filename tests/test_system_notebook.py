"""What users of notebooks see: bars, cells that are interrupted and run again, and errors in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sodslice.system.notebook import Bar, in_notebook
from tests.kernels import Kernel, printed, raised, shown

SETUP = """
import time

import numpy as np
from PIL import Image

import sodslice


class Slow:
    info = sodslice.ModelInfo(class_names=("thing",), sha256="a" * 64)
    seen, seconds, says_at = 0, 0.07, -1

    def detect(self, pixels):
        time.sleep(self.seconds)
        Slow.seen += len(pixels)
        if Slow.seen == self.says_at:
            print("now", flush=True)
        return [sodslice.Detections.empty() for _ in pixels]


def few():
    Slow.seen = 0
    return {"model": Slow(), "options": {"tile": 100, "overlap": 0, "batch": 1}}


for name in "ab":
    Image.fromarray(np.full((500, 500, 3), 90, np.uint8)).save(f"{name}.png")
"""
"""Scenes of 25 tiles, and a detector that takes its time."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    try:
        assert not raised(kernel.run(SETUP))
        yield kernel
    finally:
        kernel.close()


# Bars


def test_a_run_shows_a_bar_of_its_own_accord_which_is_gone_at_the_end(kernel):
    said = kernel.run("result = sodslice.run('a.png', **few())")
    (first, page), *more = shown(said)
    assert first == "display"
    assert re.fullmatch(
        r'<progress max="1" value="0\.\d+" style=".*"></progress> \d+ of 25 tiles, about \d s', page
    )
    assert len(more) > 2
    assert {kind for kind, _ in more} == {"update_display"}
    assert more[-1][1] == ""
    assert [one.kind for one in said if not one.kind.endswith("display_data")] == []
    texts = [one.content["data"]["text/plain"] for one in said]
    assert re.fullmatch(r"\[#+ +\] \d+ of 25 tiles, about \d s", texts[0])
    assert texts[-1] == ""


def test_runs_one_after_another_in_a_cell_share_a_place(kernel):
    said = kernel.run("for _ in range(2): sodslice.run('a.png', **few())")
    assert [kind for kind, _ in shown(said)].count("display") == 1
    assert [page for _, page in shown(said)].count("") == 2
    assert next(iter(shown(kernel.run("sodslice.run('a.png', **few());"))))[0] == "display"


def test_a_job_shows_one_bar_over_all_images(kernel):
    said = kernel.run("statuses = [one.status for one in sodslice.run_many(['a.png', 'b.png'], **few())]")
    pages = [page for _, page in shown(said)]
    assert re.search(r"</progress> 0 of 2 images, 0\.\d of 0\.5 Mpx, about \d s$", pages[0])
    assert any("> 1 of 2 images" in page for page in pages)
    assert pages[-1] == ""
    assert [kind for kind, _ in shown(said)].count("display") == 1
    assert printed(said, "stderr") == ""


def test_scenes_without_a_place_are_opened_by_many_threads_without_a_warning(tmp_path):
    """The job's bar has them opened ahead, while others are; stderr is red in a notebook."""
    code = (
        f"{SETUP}\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    list(pool.map(lambda _: sodslice.open_scene('a.png').close(), range(400)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_an_execution_of_a_plan_shows_a_bar(kernel):
    said = kernel.run(
        "given = few()\nplan = sodslice.make_plan('a.png', **given)\n"
        "from sodslice.running import Here\nfrom sodslice.inference import as_ready\n"
        "sodslice.execute(plan, 'a.raw', hands=Here(None, as_ready(Slow())))"
    )
    assert not raised(said)
    assert [page for _, page in shown(said)][-1] == ""
    assert len(shown(said)) > 2


def test_short_work_shows_nothing(kernel):
    said = kernel.run("Slow.seconds = 0\nresult = sodslice.run('a.png', **few())\nSlow.seconds = 0.07")
    assert said == []


def test_who_gives_events_sees_no_bar(kernel):
    said = kernel.run(
        "from sodslice.running import Events\nresult = sodslice.run('a.png', events=Events(), **few())"
    )
    assert said == []


def test_bars_load_no_widgets(kernel):
    code = "import sys; print([name for name in ('tqdm', 'ipywidgets') if name in sys.modules])"
    assert printed(kernel.run(code)) == "[]\n"


def test_a_script_sees_no_bar_and_loads_no_ipython(tmp_path):
    code = (
        f"{SETUP}\nsodslice.run('a.png', **few())\n"
        "import sys; assert 'IPython' not in sys.modules\n"
        "import IPython; list(sodslice.run_many(['a.png'], **few()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_fork_of_a_kernel_is_no_notebook(kernel):
    code = (
        "import os\nfrom sodslice.system.notebook import in_notebook\nback, forth = os.pipe()\n"
        "if not os.fork():\n    os.write(forth, str(in_notebook()).encode())\n    os._exit(0)\n"
        "print(os.read(back, 5).decode(), in_notebook())"
    )
    assert printed(kernel.run(code)) == "False True\n"


def test_a_test_is_no_notebook():
    assert not in_notebook()


def test_a_bar_that_was_never_moved_has_nothing_to_take_away():
    with Bar() as bar:
        bar.move(0.5, "half")  # too early to be shown


# Interrupted cells


RUN = "few_of_them = few()\nresult = sodslice.run('a.png', output='a.json', **few_of_them)\nprint(Slow.seen)"


def test_a_cell_that_was_interrupted_goes_on_when_it_is_run_again(kernel):
    stopped = kernel.run(f"Slow.says_at = 15\n{RUN}", interrupt_at="now")
    assert raised(stopped)[-1].endswith("KeyboardInterrupt: ")
    assert re.fullmatch(r"stopped at 1[2-6] of 25 tiles", shown(stopped)[-1][1])
    again = kernel.run(RUN)
    before = int(re.search(r"going on with a\.json\.journal: (\d+) of 25 tiles", printed(again, "stderr"))[1])
    assert 14 <= before <= 16
    assert printed(again) == f"{25 - before}\n"
    assert printed(kernel.run("print(result.timings.tiles_from_journal)")) == f"{before}\n"


def test_a_job_that_was_interrupted_goes_on_when_its_cell_is_run_again(kernel):
    cell = (
        "statuses = [one.status for one in sodslice.run_many(['a.png', 'b.png'], output='many', **few())]\n"
        "print(statuses, Slow.seen)"
    )
    stopped = kernel.run(f"Slow.says_at = 35\n{cell}", interrupt_at="now")
    assert "KeyboardInterrupt" in raised(stopped)[-1]
    again = kernel.run(cell)
    before = int(re.search(r"b\.png\.json\.journal: (\d+) of 25 tiles", printed(again, "stderr"))[1])
    assert 9 <= before <= 11
    assert printed(again) == f"['skipped', 'done'] {25 - before}\n"


def test_a_job_whose_loop_was_interrupted_is_not_in_its_own_way(kernel):
    cell = (
        "outcomes = sodslice.run_many(['a.png', 'b.png'], output='loop', **few())\n"
        "for one in outcomes:\n    print(one.status, flush=True); time.sleep(one.status == 'done')\n"
    )
    kernel.run(cell, interrupt_at="done")
    assert printed(kernel.run(cell)) == "skipped\ndone\n"


# Errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("sodslice.run('nowhere.tif')", "SceneError: there is no file nowhere.tif"),
        (
            "sodslice.run('a.png', options={'tille': 100})",
            "OptionError: a run has no setting 'tille' (did you mean 'tile'?)",
        ),
        (
            "sodslice.run('a.png', options={'tile': 'abc'})",
            "OptionError: `tile` must be a whole number from 32, got 'abc'",
        ),
        (
            "sodslice.run('a.png', output='a.png')",
            "OutputError: `output=a.png` would overwrite a.png, which the run reads; give another name",
        ),
        (
            "list(sodslice.run_many('*.nothing'))",
            "SceneError: no image fits the pattern *.nothing",
        ),
    ],
)
def test_an_error_is_its_message_and_the_line_that_met_it(kernel, call, message):
    assert raised(kernel.run(f"x = 1\n{call}")) == [message, f"line 2: {call}  (more: %tb)"]


def test_the_line_is_that_of_the_function_in_which_it_happened(kernel):
    kernel.run("def find(path):\n    return sodslice.run(\n        path)")
    assert raised(kernel.run("find('nowhere.tif')"))[1] == "line 2: return sodslice.run(  (more: %tb)"


def test_the_whole_traceback_is_shown_where_it_is_asked_for(kernel):
    short = raised(kernel.run("sodslice.run('nowhere.tif')"))
    whole = raised(kernel.run("%tb"))
    assert len(short) == 2
    assert len(whole) > 10
    assert whole[-1] == short[0]
    assert any("runs.py" in line for line in whole)
    assert any("raster.py" in line for line in whole)
    assert not any("interactiveshell" in line for line in whole)


def test_errors_that_are_not_ours_keep_their_traceback(kernel):
    code = (
        "class Broken(Slow):\n    def detect(self, pixels):\n        return 1 / 0\n"
        "sodslice.run('a.png', **{**few(), 'model': Broken()})"
    )
    lines = raised(kernel.run(code))
    assert len(lines) > 10
    assert "division by zero" in lines[-1]
