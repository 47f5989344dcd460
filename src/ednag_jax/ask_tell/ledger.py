"""Who was asked about and what was told: each architecture once, whatever the order of asking and telling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Proposal:
    """An architecture to evaluate; two are equal where their text is."""

    arch: str
    """Its text form."""
    phenotype: np.ndarray = field(compare=False, repr=False)
    """int32 [e], as the space decodes it."""


@dataclass(frozen=True)
class Told(Proposal):
    """An architecture with its result."""

    accuracy: float
    """NaN where the evaluation failed."""

    @property
    def is_failed(self) -> bool:
        """Whether the evaluation failed."""
        return self.accuracy != self.accuracy


class Ledger:
    """Three kinds of architectures by their ids: told, handed out, and still to be handed out."""

    def __init__(self) -> None:
        self.told: dict[int, Told] = {}
        """In the order in which they were first told."""
        self.waiting: dict[int, Proposal] = {}
        """Without a result, in the order in which a step wanted them."""
        self.asked: set[int] = set()
        """Of those waiting, the ones handed out."""

    def want(self, number: int, proposal: Proposal) -> None:
        """Adds an architecture to those waiting, unless it is known here."""
        if number not in self.told:
            self.waiting.setdefault(number, proposal)

    def unasked(self) -> list[int]:
        """Returns which are still to be handed out."""
        return [number for number in self.waiting if number not in self.asked]

    def hand_out(self, num: int | None) -> list[Proposal]:
        """Returns the first num that are still to be handed out (None: all), which they then are."""
        numbers = self.unasked()[:num]
        self.asked.update(numbers)
        return [self.waiting[number] for number in numbers]

    def put(self, number: int, result: Told) -> bool:
        """Notes a result, and returns whether it says more than what was known.

        The first result of an architecture counts, but for a failure, which a later success takes the place of.
        """
        before = self.told.get(number)
        self.waiting.pop(number, None)
        self.asked.discard(number)
        if before is not None and (result.is_failed or not before.is_failed):
            return False
        self.told[number] = result
        return True

    def forget(self, numbers: Iterable[int]) -> None:
        """Puts architectures back to be handed out anew; those that are not handed out stay as they are."""
        self.asked.difference_update(numbers)

    def best(self) -> Told | None:
        """Returns the best told, the first of equals; None where none succeeded."""
        return max((t for t in self.told.values() if not t.is_failed), key=lambda t: t.accuracy, default=None)
