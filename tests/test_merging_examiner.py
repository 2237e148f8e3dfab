"""The seam rule before the fixed examiner: real layouts, a simulated tile detector, an exact score."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from sodslice.merging import merge
from sodslice.tables.detections import Detections

pytestmark = pytest.mark.shared
SEEDS = 3


@pytest.fixture(scope="module")
def examiner(shared):
    spec = importlib.util.spec_from_file_location("merge_examiner", shared / "merge_sim" / "sim.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by(method: str):
    def rule(boxes, scores, labels, ids, corners):
        sides = corners[:, 2:] - corners[:, :2]
        tiles = np.concatenate([np.arange(len(corners))[:, None], corners[:, :2], sides], axis=1)
        merged = merge(Detections(boxes, scores, labels, ids), tiles, method=method)
        return merged.boxes, merged.scores.astype(np.float64), merged.labels

    return rule


@pytest.mark.parametrize(
    "settings", [{}, {"correlated": True}, {"background": 2.0}], ids=["plain", "correlated", "background"]
)
def test_seam_beats_sahi_and_centre_ownership(examiner, settings):
    truth, labels, width, height = examiner.load_layout()
    rules = {"seam": by("seam"), "sahi": by("sahi-greedy-nmm"), "ownership": examiner.ownership}
    ap: dict[str, list[float]] = {name: [] for name in rules}
    false: dict[str, list[float]] = {name: [] for name in rules}
    for seed in range(SEEDS):
        found = examiner.detect(truth, labels, width, height, tile=640, overlap=0.2, seed=seed, **settings)
        for name, rule in rules.items():
            numbers = examiner.score(*rule(*found), truth, labels)
            ap[name].append(numbers["AP"])
            false[name].append(numbers["FP@.3"])
    means = {name: np.mean(values) for name, values in ap.items()}
    assert means["seam"] >= means["sahi"] + 5
    assert means["seam"] >= means["ownership"] + 0.5
    assert np.mean(false["seam"]) <= np.mean(false["ownership"]) + 3 * len(truth) / 1000
