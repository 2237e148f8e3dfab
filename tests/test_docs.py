"""What README and docs tell their readers to type works as it stands there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from dataclasses import asdict
from pathlib import Path

import click
import pytest
import yaml

import sodslice
from sodslice.cli import COMMANDS, group
from sodslice.settings import load_options
from sodslice.training.settings import load_training
from tests.page_files import prepare
from tests.page_process import SAID, STEPS, Page, parse
from tests.pages import PAGES, ROOT, Step, inline_code, steps_of

NOT_RUN = ["train", "demo", "bench", "serve"]
"""Commands that take too long here, or do not end: notebooks/05-train.ipynb trains, tests/test_demo.py runs
the demo, tests/test_report_speed.py measures, tests/test_service_server.py serves."""

BROUGHT = [
    "PP-YOLOE_plus_SOD-L_pretrained.pdparams",
    "PP-YOLOE_plus_SOD-L_pretrained",
    "hard.json",
]
"""Files that readers must bring, and names of such; commands with them are parsed and not run."""

NOT_HERE = ["gpu:0", "npu:0"]
"""Devices that this machine may not have; commands with them are parsed and not run."""

OTHER_FLAGS = {"--array", "--devices", "--nproc_per_node"}
"""Flags that pages name of programs of others."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"(?<![\w/.~-])(?:docs|tests|benchmarks|configs|notebooks|sodslice)/[\w./-]+")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with all files that pages name."""
    folder = tmp_path_factory.mktemp("pages")
    prepare(folder)
    for name in BROUGHT:
        (folder / name).touch()
    return folder


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def of_kind(*kinds: str) -> list[Step]:
    return [step for page in PAGES for step in steps_of(page) if step.kind in kinds]


TYPED = [page for page in PAGES if any(s.kind in ("sodslice", "python code") for s in steps_of(page))]


@pytest.fixture(scope="module")
def said(request, prepared) -> dict[str, str]:
    """By the name of each page that is tested, what its reader runs into; "" if all works."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == Path(__file__)]
    pages = [call.params["page"] for call in calls if call and "page" in call.params]
    folders = {page.stem: _steps_laid_out(page, prepared) for page in pages}
    command = [sys.executable, "-m", "tests.page_process", *map(str, folders.values())]
    done = subprocess.run(
        command,
        cwd=prepared,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    said = {name: folder / SAID for name, folder in folders.items()}
    return {name: file.read_text() if file.exists() else done.stderr for name, file in said.items()}


def _steps_laid_out(page: Path, prepared: Path) -> Path:
    """A folder of a page's own, with all files and its steps."""
    folder = prepared.with_name(f"{prepared.name}-{page.stem}")
    shutil.copytree(prepared, folder)
    steps = [asdict(step) for step in steps_of(page) if step.kind in ("sodslice", "python code", "yaml")]
    given = {"steps": steps, "not_run": NOT_RUN, "brought": [*BROUGHT, *NOT_HERE]}
    (folder / STEPS).write_text(json.dumps(given))
    return folder


@pytest.mark.parametrize("page", TYPED, ids=names(TYPED))
def test_what_a_page_tells_to_type_works(page, said):
    wrong = said[page.stem]
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ("sodslice plan nowhere.tif", "there is no nowhere.tif for the test: add it to tests"),
        ("sodslice train nowhere.yaml", "there is no nowhere.yaml for the test: add it to tests"),
        ("sodslice train my.yaml --stpes 3", "No such option '--stpes'"),
        ("sodslice run PP-YOLOE_plus_SOD-L_pretrained.pdparams --conf 3", "No such option '--conf'"),
        ("sodslice paddlex --device gpu:0 --inptu a.jpg", "No such option '--inptu'"),
        ("sodslice export PP-YOLOE_plus_SOD-L_pretrained.pdparams --gsd zero -o a", "'zero' is not"),
        ("sodslice run", "Missing argument"),
    ],
)
def test_what_does_not_work_as_typed_is_told(typed, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Page(not_run=NOT_RUN, brought=[*BROUGHT, *NOT_HERE])
    assert wrong in page.take(Step("sodslice", typed, "page.md:1"))


def test_code_within_a_text_is_held_to_its_flags(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Page(not_run=NOT_RUN, brought=BROUGHT)
    for typed, wrong in (
        ("sodslice run --keep-raw", ""),
        ("sodslice merge RESULT -o OUT", ""),
        ("sodslice merge RESULT --keep-raw", "no such option --keep-raw"),
        ("sodslice export CHECKPOINT --raw", ""),
    ):
        assert page.take(Step("sodslice", typed, "page.md:1", block=False)) == wrong


def test_a_page_is_cut_into_what_is_typed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n    sodslice run a.tif -o b.json   a remark\n    said\n\n"
        "With `sodslice plan\na.tif`:\n\n"
        "```console\n$ sodslice config > run.yaml\nsodslice\n```\n\n```python\nx = 1\n```\n\n"
        "- a list\n\n    make demo     # a remark\n\n```text\nsodslice nonsense\n```\n"
    )
    typed = [(step.kind, step.text.strip(), step.where, step.block) for step in steps_of(page)]
    assert typed == [
        ("sodslice", "sodslice run a.tif -o b.json", "page.md:3", True),
        ("sodslice", "sodslice plan a.tif", "page.md:6", False),
        ("sodslice", "sodslice config > run.yaml", "page.md:10", True),
        ("python code", "x = 1", "page.md:15", True),
        ("make", "make demo", "page.md:20", True),
    ]


def test_targets_of_make_are_in_the_makefile():
    text = (ROOT / "Makefile").read_text()
    targets, variables = (
        set(re.findall(r"^([\w-]+):", text, re.M)),
        set(re.findall(r"^(\w+) [?:]?=", text, re.M)),
    )
    for step in of_kind("make"):
        for word in step.words:
            name, is_variable, _ = word.partition("=")
            assert name in (variables if is_variable else targets), f"{step.where}: {step.text}"


def test_what_pip_installs_is_there():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"])
    for step in of_kind("pip"):
        named = [word for word in step.words if re.match(r"(\.|sodslice)(\[|$)", word)]
        for word in named:
            asked = set(re.findall(r"[\w-]+", word.partition("[")[2]))
            assert asked <= extras, f"{step.where}: {step.text}"
            assert word != "sodslice" or step.words[0] == "uninstall", f"{step.where}: not on PyPI"


def test_scripts_and_modules_that_pages_run_are_there_and_know_their_flags():
    for step in of_kind("python"):
        words = step.words
        if words[0] == "-m":
            assert importlib.util.find_spec(words[1].split(".")[0]), f"{step.where}: {step.text}"
            continue
        script = ROOT / words[0]
        assert script.is_file(), f"{step.where}: there is no {words[0]}"
        text = script.read_text()
        known = [word for word in words[1:] if word.startswith("--")]
        assert all(f'"{word}"' in text for word in known), f"{step.where}: {step.text}"


def test_yaml_of_pages_is_read_as_settings(tmp_path):
    for step in of_kind("yaml"):
        file = tmp_path / "page.yaml"
        file.write_text(step.text)
        if "sources" in yaml.safe_load(step.text):
            load_training(file, {})
        else:
            load_options(file)


def test_trainings_of_the_project_are_read_and_their_commands_are_commands():
    for config in sorted((ROOT / "configs").glob("*.yaml")):
        load_training(config, {})
        typed = re.findall(r"^#   sodslice (.*)", config.read_text(encoding="utf-8"), re.MULTILINE)
        assert typed, f"{config.name} does not say how it is used"
        for words in typed:
            parse(words.split())


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "docs" / "decisions").glob("*.md")]:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                path, _, heading = target.partition("#")
                aim = page.parent / path if path else page
                assert aim.exists(), f"{page.name} leads to {target}"
                assert not heading or heading in _headings(aim), f"{page.name} leads to {target}"


def _headings(page: Path) -> set[str]:
    """Headings as they are spelt behind the # of a link."""
    titles = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_files_of_the_project_that_pages_name_are_there():
    for page in PAGES:
        for code, line in inline_code(page):
            for path in PATH.findall(code):
                assert (ROOT / path).exists(), f"{page.name}:{line}: there is no {path}"


def test_flags_that_pages_name_are_flags_of_some_command():
    known = {flag for name in COMMANDS for flag in _flags(group.get_command(click.Context(group), name))}
    scripts = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    for page in PAGES:
        for code, line in inline_code(page):
            for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", code):
                there = flag in known | OTHER_FLAGS or f'"{flag}"' in scripts
                assert there, f"{page.name}:{line}: no command has {flag}"


def _flags(command: click.Command) -> set[str]:
    inner = getattr(command, "commands", {}).values()
    parameters = command.get_params(click.Context(command))
    own = {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*map(_flags, inner))


def test_readme_begins_with_what_works_on_a_fresh_clone():
    first, second = steps_of(ROOT / "README.md")[:2]
    assert (first.text, second.text) == ("make demo", "make test")
    assert "demo-out" in (ROOT / "Makefile").read_text()


def test_a_session_is_held_to_what_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ sodslice --version\nsodslice, version 9.9.9\n$ sodslice --version\nsadslice 1\n```\n"
    )
    right, wrong = steps_of(page)
    process = Page(not_run=NOT_RUN, brought=BROUGHT)
    assert process.take(right) == ""
    assert "the page shows\nsadslice 1\nand this is said\nsodslice, version " in process.take(wrong)


def test_pages_say_what_they_need_that_is_not_shipped():
    of_the_project = {"index", "api", "changelog", "contributing", "cli", "settings"}
    for page in (ROOT / "docs").glob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        assert page.stem in of_the_project or lines[2].startswith("**Needs**: "), page.name


def test_words_of_the_makers_stay_in_decisions():
    private = re.compile(r"\b(rooms|wedges?|has the say|cells)\b", re.IGNORECASE)
    for page in PAGES:
        if page.name != "CONTRIBUTING.md":
            found = private.findall(page.read_text(encoding="utf-8"))
            assert not found, f"{page.name}: {found}"


def test_lines_for_cron_are_commands():
    lines = [
        line
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(?:[\d*/,-]+\s+){5}\S", line)
    ]
    assert lines
    for line in lines:
        parse(line.partition("/bin/sodslice ")[2].split())


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    for name in set(sodslice.__all__) - {"__version__"}:
        assert re.search(rf'id="sodslice\.(?:[a-z_.]+\.)?{name}"', reference), name


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200
