"""Laws about the code itself: sizes, names, docs, who may use what. Each says what to do when it breaks."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import sodslice
from sodslice.cli import COMMANDS, group

PACKAGE = Path(sodslice.__file__).parent
ROOT = PACKAGE.parent
TESTS = ROOT / "tests"
MODULES = sorted(PACKAGE.rglob("*.py"))

MOST_TOP_NAMES = 23
"""The rooms of the design, of which the service is the last, and two files that Python wants."""

LONGEST_MODULE = 300
LONG_FOR_A_REASON = {
    "ppyoloe/pdparams.py": "reads pickles without running what they say; its parts make no sense apart",
}

MEDIAN_LINES, NINE_IN_TEN_LINES, MOST_LINES, MOST_PARAMETERS = 7, 18, 60, 6

ADOPTERS = ("inference/detector.py", "scene/base.py")
"""Where objects of somebody else's making become ours, with everything that we ask of them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


TREES = {name_of(path): tree_of(path) for path in MODULES}
PACKAGES = [name for name in TREES if name.endswith("__init__.py")]


# How much there is


def test_a_stranger_sees_few_names_at_the_top_level():
    apart = ("py.typed", "weights", "__pycache__")
    found = sorted(path.stem for path in PACKAGE.iterdir() if path.name not in apart)
    assert len(found) <= MOST_TOP_NAMES, (
        f"the top level of the package has {len(found)} names, at most {MOST_TOP_NAMES} are wanted: "
        f"{', '.join(found)}; put the new module into the room that it serves"
    )


def test_every_package_says_what_it_is_for():
    silent = [name for name in PACKAGES if not ast.get_docstring(TREES[name])]
    assert not silent, f"no docstring in {', '.join(silent)}; say in one paragraph what the room is for"


def test_no_module_is_too_long_to_be_read_at_once():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE}
    found = [f"{name} ({lines})" for name, lines in long.items() if name not in LONG_FOR_A_REASON]
    assert not found, f"above {LONGEST_MODULE} lines: {', '.join(found)}; part them by what they talk about"
    short = LONG_FOR_A_REASON.keys() - long.keys()
    assert not short, f"{', '.join(sorted(short))} is short enough; take it off LONG_FOR_A_REASON"


def functions(tree: ast.Module) -> Iterator[Function]:
    """All of them, also methods and those within others."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    """Lines of the body without its docstring; 0 where there is nothing else."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters_of(function: Function) -> list[str]:
    """Names of what a caller may give, apart from what is gathered with stars."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_functions_are_short():
    found = [(lines_of(one), f"{name}:{one.name}") for name, tree in TREES.items() for one in functions(tree)]
    sizes = sorted(size for size in found if size[0])
    lengths, longest = [length for length, _ in sizes], [function for _, function in reversed(sizes)]
    assert statistics.median(lengths) <= MEDIAN_LINES, (
        f"half of the functions have above {MEDIAN_LINES} lines; name parts of them"
    )
    assert lengths[int(0.9 * len(lengths))] <= NINE_IN_TEN_LINES, (
        f"more than one function in ten has above {NINE_IN_TEN_LINES} lines; name parts of the longest: "
        f"{', '.join(longest[:9])}"
    )
    assert lengths[-1] <= MOST_LINES, (
        f"{longest[0]} has {lengths[-1]} lines, at most {MOST_LINES} are wanted; name parts of it"
    )


def test_functions_take_few_things():
    many = [
        f"{name}:{one.name} ({', '.join(parameters_of(one))})"
        for name, tree in TREES.items()
        for one in functions(tree)
        if len(parameters_of(one)) > MOST_PARAMETERS
    ]
    assert not many, f"more than {MOST_PARAMETERS} parameters want a dataclass: {'; '.join(many)}"


def test_lines_and_parameters_are_counted_as_readers_count():
    code = (
        "def one(a, /, b, *c, d=1, **e):\n    '''Says so.'''\n    return (\n        a\n    )\n"
        "class K:\n    def two(self, x): pass\n    def three(self):\n        '''Only says so.'''\n"
    )
    found = {f.name: (lines_of(f), parameters_of(f)) for f in functions(ast.parse(code))}
    assert found == {"one": (3, ["a", "b", "d"]), "two": (1, ["x"]), "three": (0, [])}


# Who may use what


def everywhere(find: Callable[[str, ast.Module], Iterable[object]]) -> str:
    """What is found in any module, as "module: it, it; module: it"."""
    found = {name: [str(one) for one in find(name, tree)] for name, tree in TREES.items()}
    return "; ".join(f"{name}: {', '.join(ones)}" for name, ones in found.items() if ones)


def test_only_the_command_line_prints():
    found = everywhere(lambda name, tree: [] if name.startswith("cli/") else calls(tree, "print"))
    assert not found, f"{found}; return a value, report an event, or log"


def test_what_is_private_to_a_module_stays_there():
    """Names that begin with an underscore, and modules whose names do, outside of their own package."""
    found = everywhere(lambda name, tree: private_imports(tree, package_of(name)))
    assert not found, f"{found}; give what is shared a public name"


@pytest.mark.parametrize("library", ["rasterio", "pycocotools"])
def test_libraries_are_used_by_their_public_names(library):
    found = everywhere(lambda _, tree: private_of_others(tree, library))
    assert not found, f"{found}; that may change in any release, so find a public way"


def test_scenes_and_detectors_are_complete():
    """Whoever uses one need not ask what it has: `SceneBase` and the adopted detector have everything."""

    def asked(name: str, tree: ast.Module) -> list[str]:
        doubts = [] if name in ADOPTERS else calls(tree, "getattr", "hasattr")
        return [doubt for doubt in doubts if re.match(r"\w+\([\w.]*(scene|detector|model),", doubt)]

    found = everywhere(asked)
    assert not found, f"{found}; give it a default where foreign objects are adopted: {' or '.join(ADOPTERS)}"


def calls(tree: ast.Module, *names: str) -> list[str]:
    """Calls of functions by their bare names, as they are written."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def package_of(name: str) -> str:
    """The dotted package of a module: of `scene/base.py` sodslice.scene."""
    return ".".join(("sodslice", *Path(name).parent.parts))


def is_private(word: str) -> bool:
    return word.startswith("_") and not word.endswith("__")


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module and name of each import; the name is "" where the module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def private_imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Private names, and private modules of other packages, that a module of a package imports from ours."""
    for module, name in imports(tree):
        room, _, last = module.rpartition(".")
        foreign = is_private(last) and room != package
        named = is_private(name) and module != package
        if module.split(".")[0] == "sodslice" and (foreign or named):
            yield f"{module}.{name}".rstrip(".")


def private_of_others(tree: ast.Module, library: str) -> Iterator[str]:
    """Private names of a library: imported, or asked of anything in a module that imports it."""
    found = [(module, name) for module, name in imports(tree) if module.split(".")[0] == library]
    for module, name in found:
        if any(map(is_private, (*module.split("."), name))):
            yield f"{module}.{name}".rstrip(".")
    of_tuples = ("_replace", "_asdict", "_fields", "_make")
    for node in ast.walk(tree):
        if found and isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in of_tuples:
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls"):
                yield f"{owner}.{node.attr}"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from sodslice.scene.base import _own", ["sodslice.scene.base._own"]),
        ("from sodslice.scene._inner import name", ["sodslice.scene._inner.name"]),
        ("import sodslice.scene._inner", ["sodslice.scene._inner"]),
        ("from sodslice.cli import _shared", []),
        ("from sodslice.cli._shared import flags", []),
        ("from sodslice.cli._shared import _flags", ["sodslice.cli._shared._flags"]),
        ("from sodslice.system.version import __version__", []),
        ("from elsewhere import _name", []),
    ],
)
def test_private_imports_are_seen(line, found):
    assert list(private_imports(ast.parse(line), "sodslice.cli")) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from rasterio._env import get_gdal_config", ["rasterio._env.get_gdal_config"]),
        ("import rasterio\nrasterio._base.x", ["rasterio._base"]),
        ("import rasterio\nself._x, image._replace(a=1), rasterio.__version__", []),
        ("def f():\n    from rasterio.io import x\n    x._read()", ["x._read"]),
        ("import other\nother._x", []),
    ],
)
def test_private_names_of_a_library_are_seen(code, found):
    assert list(private_of_others(ast.parse(code), "rasterio")) == found


# What is tested


def public_names(tree: ast.Module) -> set[str]:
    """What a module defines at its top level for others."""
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def named_after(name: str) -> str:
    """What the tests of a module are called: of `scene/base.py` test_scene_base."""
    return "_".join(["test", *Path(name).with_suffix("").parts])


def test_every_module_is_named_by_a_test():
    words = {
        word
        for path in TESTS.glob("*.py")
        if path != Path(__file__)
        for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))
    }
    words |= {path.stem for path in TESTS.glob("test_*.py")}
    found = [
        name
        for name, tree in TREES.items()
        if not name.endswith("__.py")
        and not words & {Path(name).stem, named_after(name), *public_names(tree)}
    ]
    assert not found, (
        f"no test names {', '.join(found)} or anything defined there; write {named_after(found[0])}.py: "
        "a law, a worked example, an error message"
    )


# Rooms, docs, and what the help costs


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the package, which stands before the installed one on the path."""
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    command = [sys.executable, "-c", code, "--no-cache"]
    environment = {"PYTHONPATH": str(folder), "PATH": "", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_a_module_without_a_room_is_found(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "sodslice", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    before = lint_imports(tmp_path)
    assert before.returncode == 0, f"imports break the rules of setup.cfg; mend them: {before.stdout}"
    assert "Deprecat" not in before.stderr
    (tmp_path / "sodslice" / "stray.py").write_text('"""In no room."""\n')
    after = lint_imports(tmp_path)
    assert after.returncode != 0, (
        "import-linter lets a module without a room pass; make its layers exhaustive"
    )
    assert "stray" in after.stdout + after.stderr


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docs_that_follow_from_the_code_are_up_to_date():
    command = [sys.executable, "docs/generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr.strip()}: run `make docs`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_docs(command):
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert f"\n## sodslice {command}\n" in page, f"docs/cli.md knows no {command}; run `make docs`"


def test_a_flag_that_is_added_makes_the_docs_stale(generate, monkeypatch, capsys):
    command = group.get_command(click.Context(group), "run")
    assert command is not None
    before = generate.commands_page()
    flag = click.Option(["--brand-new"], help="Does what no flag did.")
    monkeypatch.setattr(command, "params", [*command.params, flag])
    assert "--brand-new" in generate.commands_page()
    assert generate.commands_page() != before
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "cli.md" in capsys.readouterr().err


def test_help_loads_neither_numpy_nor_rasterio():
    heavy = ("numpy", "rasterio", "shapely", "pyproj", "paddle", "sahi", "cv2")
    code = (
        f"import sys\nfor name in {heavy!r}: sys.modules[name] = None\n"
        "from sodslice.cli import main; main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"--help needs a heavy package; import it where it is used: {done.stderr}"
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE), f"--help does not list {command}"
