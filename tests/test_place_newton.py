"""Newton's method on maps whose inverse is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.place.newton import ROUNDS, solve

small = st.floats(-0.4, 0.4)
points = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=8).map(
    lambda rows: np.array(rows, np.float64).reshape(-1, 2)
)


def bent(p: np.ndarray) -> np.ndarray:
    """A smooth map near to the identity."""
    x, y = p[:, 0], p[:, 1]
    return np.stack([x + 0.1 * np.sin(y) + 0.05 * x * y, y - 0.08 * x**2 + 0.02 * y**3], axis=1)


@given(points)
def test_the_points_that_are_found_are_sent_to_what_was_wanted(wanted):
    found = solve(bent, wanted, np.zeros_like(wanted))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(bent(found), wanted, rtol=0, atol=1e-12)


@given(points, points)
def test_where_the_search_starts_does_not_matter_near_the_solution(there, offset):
    count = min(len(there), len(offset))
    there, offset = there[:count], offset[:count] * 0.2
    np.testing.assert_allclose(solve(bent, bent(there), there + offset), there, rtol=0, atol=1e-10)


@settings(max_examples=50)
@given(points, st.tuples(small, small, small, small), st.tuples(small, small))
def test_affine_maps_are_solved_as_numpy_solves_them(wanted, turn, shift):
    matrix = np.eye(2) + np.reshape(turn, (2, 2))
    expected = np.linalg.solve(matrix, (wanted - shift).T).T
    found = solve(lambda p: p @ matrix.T + shift, wanted, np.zeros_like(wanted))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@given(points, st.randoms(use_true_random=False))
def test_each_point_is_solved_by_itself(wanted, dice):
    rows = list(range(len(wanted)))
    dice.shuffle(rows)
    whole = solve(bent, wanted, np.zeros_like(wanted))
    np.testing.assert_allclose(solve(bent, wanted[rows], np.zeros_like(wanted)), whole[rows], atol=1e-12)


def test_a_square_root_by_hand():
    """x² = 2 and y² = 9 from (1, 1): the roots on the side of the start."""
    found = solve(lambda p: p**2, np.array([[2.0, 9.0], [2.0, 9.0]]), np.array([[1.0, 1.0], [-1.0, 1.0]]))
    np.testing.assert_allclose(found, [[np.sqrt(2), 3], [-np.sqrt(2), 3]], rtol=0, atol=1e-11)


def test_what_cannot_be_reached_is_nan_and_does_not_disturb_the_others():
    """x² is never -1; sin x and y are no trouble beside it."""
    wanted = np.array([[-1.0, 0.5], [0.25, 0.5], [np.nan, 0.5], [0.25, np.inf]])
    found = solve(lambda p: np.stack([p[:, 0] ** 2, p[:, 1]], axis=1), wanted, np.full((4, 2), 0.7))
    assert np.isnan(found[[0, 2, 3]]).all()
    np.testing.assert_allclose(found[1], [0.5, 0.5], atol=1e-11)


@pytest.mark.filterwarnings("error")
def test_a_flat_map_has_no_solution_and_no_warning():
    found = solve(np.zeros_like, np.ones((2, 2)), np.zeros((2, 2)))
    assert np.isnan(found).all()


def test_the_start_is_left_as_it_is():
    start = np.zeros((1, 2))
    solve(bent, np.ones((1, 2)), start)
    assert not start.any()


def test_no_points_are_no_work():
    assert solve(bent, np.empty((0, 2)), np.empty((0, 2))).shape == (0, 2)


def test_the_search_ends():
    calls = []

    def jumpy(p):
        calls.append(len(p))
        return np.cbrt(p)  # Newton's steps on a cube root grow for ever

    assert np.isnan(solve(jumpy, np.zeros((1, 2)), np.ones((1, 2)))).all()
    assert len(calls) <= 3 * ROUNDS
