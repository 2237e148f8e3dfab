from __future__ import annotations

import re
import subprocess
from pathlib import Path

import sodslice
from sodslice.system.starting import python_command, python_environment


def started(code: str, *words: str, folder: Path, **own: str) -> str:
    done = subprocess.run(
        python_command(code, *words), cwd=folder, env=python_environment(**own), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_modules_in_the_current_folder_are_not_run(tmp_path):
    for name in ("json", "orjson", "numpy", "sodslice", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    said = started("import json, orjson, numpy, sodslice; print(sodslice.__file__)", folder=tmp_path)
    assert said == sodslice.__file__
    assert not (tmp_path / "run").exists()


def test_nor_in_processes_of_such_a_process(tmp_path):
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    code = "from sodslice.system import starting as s; import subprocess; "
    code += "subprocess.run(s.python_command('import json'), env=s.python_environment(), check=True)"
    started(code, folder=tmp_path)
    assert not (tmp_path / "run").exists()


def test_packages_are_found_where_this_process_finds_them(tmp_path, monkeypatch):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "of_mine.py").write_text("found = 'here'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("packages")  # as relative as some paths are
    assert started("import of_mine; print(of_mine.found)", folder=tmp_path.parent) == "here"


def test_words_and_the_environment_are_handed_on(tmp_path):
    code = "print(sys.argv[1:], os.environ['MINE'])"
    assert started(code, "a b", "'", folder=tmp_path, MINE="1") == "['a b', \"'\"] 1"


def test_no_process_of_ours_is_started_in_another_way():
    package = Path(sodslice.__file__).parent
    named = [path for path in package.rglob("*.py") if re.search(r"sys\.executable,", path.read_text())]
    assert [path.relative_to(package).as_posix() for path in named] == ["system/starting.py"]
