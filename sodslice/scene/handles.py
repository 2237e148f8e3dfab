"""Open datasets of one file: one a thread, or one for all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sodslice.scene.opening import Opener


class Handles:
    """Open datasets of one file, opened when they are needed.

    Args:
        opener: of the file.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._local = threading.local()
        self._opened: list[Any] = []
        self._lock = threading.Lock()
        self._shared = threading.RLock()

    def own(self) -> Any:
        """This thread's dataset.

        Raises:
            SceneError: the file cannot be opened.
        """
        dataset = getattr(self._local, "dataset", None)
        if dataset is None:
            dataset = self._opener.open()
            self._local.dataset = dataset
            with self._lock:
                self._opened.append(dataset)
        return dataset

    @contextmanager
    def one_for_all(self) -> Iterator[Any]:
        """The first dataset that was opened, for this thread alone while the block lasts.

        Raises:
            SceneError: the file cannot be opened.
        """
        with self._shared:
            if not self._opened:
                self.own()
            yield self._opened[0]

    def __len__(self) -> int:
        return len(self._opened)

    def close(self) -> None:
        """Close all; reading afterwards opens new ones."""
        with self._lock:
            for dataset in self._opened:
                dataset.close()
            self._opened.clear()
            self._local = threading.local()
