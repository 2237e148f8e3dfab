"""What is made ahead in threads comes in order, in time, and with its errors."""

from __future__ import annotations

import threading
import time

import pytest

from sodslice.system.ahead import made_ahead


def test_what_is_made_comes_in_order_however_long_each_takes():
    def make(item: int) -> int:
        time.sleep(0.01 * (3 - item % 4))
        return item * 2

    assert list(made_ahead(make, range(12))) == [item * 2 for item in range(12)]


def test_only_few_items_are_asked_for_ahead():
    asked = []

    def items():
        for item in range(100):
            asked.append(item)
            yield item

    making = made_ahead(lambda item: item, items())
    next(making)
    assert len(asked) <= 4
    making.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("sodslice-ahead")]


def test_one_item_is_made_here():
    assert list(made_ahead(lambda _: threading.current_thread(), [1])) == [threading.current_thread()]
    assert list(made_ahead(str, [])) == []


def test_an_error_comes_out_as_it_was():
    def make(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    made = []
    with pytest.raises(ValueError, match="three"):
        made.extend(made_ahead(make, range(9)))
    made_before = made_ahead(make, range(9))
    assert [next(made_before) for _ in range(3)] == [0, 1, 2]
