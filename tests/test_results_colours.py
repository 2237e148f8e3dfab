"""Colours of classes: unlike each other to all eyes, and the same however many there are."""

from __future__ import annotations

import numpy as np
import pytest

from sodslice.results.colours import EYES, FIRST, OTHER, class_colours, colour_of


def seen_apart(colours, eye) -> float:
    """The least distance of two colours as an eye gets them: a plainer measure than the code's."""
    share = np.array(colours) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = np.clip(linear @ eye.T, 0, 1) ** (1 / 2.4)
    gaps = np.linalg.norm(light[:, None] - light, axis=-1)
    return gaps[~np.eye(len(colours), dtype=bool)].min()


def test_the_first_are_okabe_and_itos():
    assert [f"#{bytes(colour).hex()}" for colour in class_colours(7)] == list(FIRST)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 10, 100])
def test_a_class_keeps_its_colour_when_others_are_added(count):
    assert class_colours(count) == class_colours(300)[:count]
    assert colour_of(count) == class_colours(300)[count]


def test_hundreds_have_colours_of_their_own_and_then_they_come_again():
    assert len(set(class_colours(449))) == 449
    assert class_colours(451) == class_colours(449) + class_colours(2)


@pytest.mark.parametrize("eye", EYES, ids=["most people", "protanopes", "deuteranopes"])
def test_twenty_classes_are_told_apart_by_all_eyes(eye):
    assert seen_apart([OTHER, *class_colours(20)], eye) > 0.08


def test_no_colour_is_lost_in_shadow_or_glare():
    grey = np.array(class_colours(300)) @ (0.2126, 0.7152, 0.0722)
    assert grey.min() > 40
    assert grey.max() < 240
