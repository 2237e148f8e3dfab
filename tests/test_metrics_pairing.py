"""Which result belongs to which image: names as people see them, and a word where there is no choice."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from sodslice.errors import DataError
from sodslice.metrics import Layer, evaluate
from sodslice.metrics.pairing import pair_up

BOX = np.array([[10.0, 10, 30, 30]])


def truth(image: str, **more) -> Layer:
    return Layer("truth.json", ("car",), ("car",), pixels=BOX, image=image, **more)


def found(image: str, source: str = "run.json") -> Layer:
    return Layer(source, ("car",), ("car",), pixels=BOX, scores=np.ones(1, np.float32), image=image)


def pairs(images, truths):
    made = pair_up([found(image, f"{n}.json") for n, image in enumerate(images)], [truth(t) for t in truths])
    return [(mine.image, one.image) for mine, one in made]


@pytest.mark.parametrize("folder", ["", "data/", "C:\\data\\"])
@pytest.mark.parametrize(
    "names", [("a.jpg", "a.png"), ("a.tif", "a.tiff", "a.TIF.png"), ("b/a.jpg", "b/a.png")]
)
def test_images_that_differ_in_their_suffix_are_told_apart(folder, names):
    assert pairs([folder + name for name in reversed(names)], names) == [
        (folder + name, name) for name in names
    ]


def test_folders_go_before_suffixes():
    assert pairs(["x/B/a.jpg", "x/A/a.jpg"], ["A/a.jpg", "B/a.png"]) == [
        ("x/A/a.jpg", "A/a.jpg"),
        ("x/B/a.jpg", "B/a.png"),
    ]


def test_an_image_of_a_third_suffix_is_not_guessed():
    with pytest.raises(
        DataError, match=r"could be a\.jpg, a\.png; name the images by their folders and suff"
    ):
        pairs(["a.tif", "b.tif"], ["a.jpg", "a.png", "b.jpg"])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_count_as_they_look(form):
    names = [unicodedata.normalize(form, name) for name in ("Zürich.tif", "Genève/é.tif")]
    other = [unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], name) for name in names]
    assert pairs(other, names) == list(zip(other, names, strict=True))


def test_one_result_of_another_image_is_compared_with_a_note():
    evaluation = evaluate([found("x/other.tif")], [truth("a.tif")])
    assert evaluation.metrics.ap == pytest.approx(1)
    (note,) = evaluation.notes
    assert "run.json is about x/other.tif, the truth about a.tif" in note


@pytest.mark.parametrize("image", ["x/a.tif", "a.jpg", "a", ""])
def test_one_result_of_the_same_or_of_no_named_image_needs_no_note(image):
    assert evaluate([found(image)], [truth("a.tif")]).notes == ()


def test_results_in_order_need_no_names():
    truths = [truth("a.tif"), truth("b/a.tif")]
    evaluation = evaluate([found("x"), found("x")], truths, in_order=True)
    assert [case.image for case in evaluation.cases] == ["a.tif", "b/a.tif"]
    with pytest.raises(ValueError, match="argument"):
        evaluate([found("x")], truths, in_order=True)


def test_ignored_areas_are_counted_in_a_note():
    two = Layer(
        "truth.json",
        ("car", "car"),
        ("car",),
        pixels=np.concatenate([BOX, BOX + 100]),
        crowd=np.array([False, True]),
        image="a.tif",
    )
    assert (two.to_find, two.ignored) == (1, 1)
    (note,) = evaluate([found("a.tif")], [two]).notes
    assert note.startswith("1 of 2 objects are ignored areas (iscrowd or ignore)")


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ((60, 80), "width and height are exchanged, as where one of both did not see that the EXIF"),
        ((60, 81), "compare files of one scene"),
    ],
)
def test_sizes_that_only_a_turn_explains_are_said_to_be_so(stated, words):
    mine = Layer("run.json", (), ("car",), pixels=BOX[:0], scores=np.ones(0, np.float32), size=(80, 60))
    with pytest.raises(DataError, match=words):
        evaluate([mine], [truth("a.tif", size=stated)])
