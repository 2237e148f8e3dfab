"""Contact sheets: each detection once, with what is around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sodslice import RunResult, write
from sodslice.cli import group
from sodslice.errors import DataError, OutputError
from sodslice.report.sheet import CELL_PX, GAP_PX, HEAD_PX, write_sheet
from sodslice.results import is_own
from sodslice.results.colours import colour_of
from tests.placed_results import UTM, placed_result
from tests.rasters import write_raster


@pytest.fixture
def result(tmp_path) -> RunResult:
    pixels = np.full((3, 800, 1000), 90, np.uint8)
    path = write_raster(tmp_path / "a.tif", pixels, crs="EPSG:32616", transform=UTM.transform)
    found = placed_result()
    return replace(found, scene=replace(found.scene, path=str(path)))


def test_a_sheet_has_the_surest_and_the_most_doubtful(result, tmp_path):
    path = write_sheet(result, tmp_path / "sheet.png")
    assert is_own(path)
    with Image.open(path) as picture:
        sheet = np.array(picture).astype(int)
    cell = sheet[GAP_PX + HEAD_PX :, GAP_PX:][:CELL_PX, :CELL_PX]
    outline = (cell == np.array(colour_of(result.detections.labels[0]))).all(axis=2)
    assert outline.sum() > 100
    x0, _, x1, _ = result.detections.boxes[0]
    columns = np.flatnonzero(outline.any(axis=0))
    assert columns.max() - columns.min() == pytest.approx(CELL_PX / 3, abs=4)
    assert x1 - x0 > 40


def test_few_detections_are_shown_once(result, tmp_path):
    few, more = (Image.open(write_sheet(result[:count], tmp_path / f"{count}.png")) for count in (3, 20))
    assert few.height < more.height
    with pytest.raises(DataError, match="holds no detection to show"):
        write_sheet(result[:0], tmp_path / "none.png")


def test_files_of_others_are_left_alone_and_the_command_writes_both(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"its suffix must be \.png"):
        write_sheet(result, "sheet.jpg")
    Image.new("RGB", (4, 4)).save("mine.png")
    with pytest.raises(OutputError, match=r"mine\.png is here and was not written by sodslice"):
        write_sheet(result, "mine.png")
    write(result, "a.json")
    done = CliRunner().invoke(group, ["report", "a.json", "-o", "a.html", "--sheet", "sheet.png"])
    assert done.output.endswith("40 objects -> a.html, sheet.png\n")
    assert (tmp_path / "sheet.png").exists()
