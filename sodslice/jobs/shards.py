"""`Shard`: the share of a job that one of several machines does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sodslice.errors import OptionError
from sodslice.running import RunPlan

PART_TILES = 16
"""A scene of which each shard would get so many tiles or more is shared out among all of them."""


@dataclass(frozen=True)
class Shard:
    """One of several shares of a job; `Shard()` is all of it.

    Which scenes belong to it is said by each scene alone, so that shards which begin at different times, in a
    folder to which files are added, neither miss one nor do it twice.

    Args:
        number: from 1 on.
        of: how many shards there are.

    Raises:
        OptionError: there is no such shard.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise OptionError(f"`shard` is one of 1/{self.of} to {self.of}/{self.of}, got {self}")

    @classmethod
    def read(cls, word: str | Shard | None) -> Shard:
        """A shard from "2/3"; all of the job from None.

        Raises:
            OptionError: it is no shard.
        """
        if isinstance(word, Shard) or word is None:
            return word or cls()
        number, slash, of = str(word).partition("/")
        if not (slash and number.strip().isdecimal() and of.strip().isdecimal() and int(of) > 0):
            raise OptionError(f"`shard` is two numbers such as 2/3, the second of three shares, got {word!r}")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def suffix(self) -> str:
        """What tells its files from those of others; "" for all of the job."""
        return "" if self.of == 1 else f".{self.number}-of-{self.of}"

    def holds(self, name: str) -> bool:
        """Whether a scene that is not shared out belongs to it.

        Args:
            name: of the scene's results.
        """
        lot = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        return lot % self.of == self.number - 1

    def part_of(self, plan: RunPlan, *, alone: bool) -> RunPlan | None:
        """Its part of a scene that is shared out; None of one that is not, or that cannot be kept in parts.

        Args:
            plan: of the scene.
            alone: whether the user named it and no other.
        """
        least = 1 if alone else PART_TILES
        if self.of == 1 or not plan.resumable or len(plan) < self.of * least:
            return None
        return plan.part(self.number, self.of)
