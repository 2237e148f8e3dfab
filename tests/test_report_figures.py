"""Figures: their size, that they are written whole, and that they are the same bytes each time."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sodslice.errors import OutputError
from sodslice.report.figures import new_figure, save_figure


def drawn(width: float = 4.0, height: float = 3.0):
    figure = new_figure(width, height)
    figure.subplots().plot([0, 1, 2], [1, 0, 1], label="a line")
    return figure


@pytest.mark.parametrize(("width", "height"), [(4.0, 3.0), (8.0, 5.0), (2.5, 6.0)])
def test_a_figure_has_120_pixels_an_inch(tmp_path, width, height):
    with Image.open(save_figure(drawn(width, height), tmp_path / "a.png")) as picture:
        assert picture.format == "PNG"
        assert picture.size == (width * 120, height * 120)
        assert np.asarray(picture).std() > 1  # something is drawn


def test_the_same_picture_is_the_same_bytes(tmp_path):
    one, other = (save_figure(drawn(), tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert one == other
    assert b"Software" not in one


def test_folders_are_made_and_the_path_is_given_back(tmp_path):
    target = tmp_path / "curves" / "of" / "a.png"
    assert save_figure(drawn(), str(target)) == target
    assert [path.name for path in target.parent.iterdir()] == ["a.png"]


def test_a_picture_replaces_the_one_before(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"something else")
    save_figure(drawn(), target)
    assert Image.open(io.BytesIO(target.read_bytes())).size == (480, 360)


def test_a_figure_that_cannot_be_drawn_leaves_the_picture_before(tmp_path):
    target = save_figure(drawn(), tmp_path / "a.png")
    before = target.read_bytes()

    class Broken:
        def savefig(self, file, **_):
            file.write(b"half")
            raise ValueError("no such font")

    with pytest.raises(ValueError, match="no such font"):
        save_figure(Broken(), target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        save_figure(drawn(), tmp_path / "file" / "a.png")
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_display_is_asked_for(tmp_path):
    """`matplotlib.pyplot` would pick a window system and keep every figure open."""
    code = (
        "import sys; sys.modules['matplotlib.pyplot'] = None\n"
        "from sodslice.report.figures import new_figure, save_figure\n"
        "save_figure(new_figure(1, 1), sys.argv[1])"
    )
    target = tmp_path / "a.png"
    subprocess.run([sys.executable, "-c", code, str(target)], check=True)
    assert target.is_file()


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(OutputError) as caught:
        new_figure(4, 3)
    assert str(caught.value) == (
        "pictures need matplotlib, which is not installed; pip install 'sodslice[train]'"
    )
