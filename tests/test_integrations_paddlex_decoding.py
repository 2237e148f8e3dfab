"""JPEGs that are looked at whole come from OpenCV, as in PaddleX."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from sodslice.integrations.paddlex.decoding import as_opencv_decodes
from sodslice.scene import Rendering, as_scene

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def whole(scene):
    return scene.read(0, 0, scene.width, scene.height)[0]


@pytest.mark.parametrize("from_bytes", [False, True])
def test_colours_are_those_of_opencv(tmp_path, from_bytes):
    file = tmp_path / "a.jpg"
    Image.fromarray(NOISE).save(file, quality=80)
    scene = as_scene(file.read_bytes() if from_bytes else file)
    seen = as_opencv_decodes(scene, Rendering())
    assert np.array_equal(whole(seen), cv2.imread(str(file))[:, :, ::-1])
    assert (seen.name, seen.notes) == (scene.name, scene.notes)


def test_what_exif_turns_is_turned_alike(tmp_path):
    file = tmp_path / "a.jpg"
    picture = Image.fromarray(NOISE)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(file, exif=exif, quality=80)
    scene = as_scene(file)
    seen = as_opencv_decodes(scene, Rendering())
    assert (seen.width, seen.height, seen.orientation) == (60, 80, 6)
    assert np.abs(whole(seen).astype(float) - whole(scene)).mean() < 30


def test_other_scenes_stay_as_they_are(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    Image.fromarray(NOISE).save(tmp_path / "a.jpg")
    png, array = as_scene(tmp_path / "a.png"), as_scene(NOISE)
    assert as_opencv_decodes(png, Rendering()) is png
    assert as_opencv_decodes(array, Rendering()) is array
    own = Rendering(bands=(3, 2, 1))
    scene = as_scene(tmp_path / "a.jpg", own)
    assert as_opencv_decodes(scene, own) is scene


def test_where_opencv_cannot_gdal_decodes(tmp_path, monkeypatch):
    Image.fromarray(NOISE).save(tmp_path / "a.jpg")
    scene = as_scene(tmp_path / "a.jpg")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    assert as_opencv_decodes(scene, Rendering()) is scene

    def too_large(*_):
        raise cv2.error("too many pixels")

    monkeypatch.setattr(cv2, "imdecode", too_large)
    assert as_opencv_decodes(scene, Rendering()) is scene
