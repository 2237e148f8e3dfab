from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_broken_files_end_with_a_result_or_one_line_of_error(tmp_path):
    count = os.environ.get("SODSLICE_FUZZ", "200")
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz", count, str(tmp_path)]
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
        env=os.environ | single,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *faults, ends = map(json.loads, done.stdout.splitlines())
    assert not faults, done.stderr[-3000:]
    assert sum(ends.values()) == int(count)
    assert ends["done"] > 0
    assert ends["refused"] > 0
