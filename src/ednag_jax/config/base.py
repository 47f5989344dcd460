"""What every class of settings is made of: static fields, and the checks of a setting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax.numpy as jnp

from ednag_jax.types import Steps

Swept: TypeAlias = Any
"""A number that may be swept; while jax traces or describes a program its own stand-ins take the place."""


def static(default: Any) -> Any:
    """Returns a dataclass field that jit treats as part of the program: another value compiles anew."""
    return field(default=default, metadata={"static": True})


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError where value is not one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_range(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Raises ValueError where a plain number leaves [low, high]; traced values pass unseen."""
    if isinstance(value, int | float) and not low <= value <= high:
        allowed = f"in [{low:g}, {high:g}]" if high < math.inf else f"at least {low:g}"
        raise ValueError(f"{name} must be {allowed}, got {value}")


@dataclass(frozen=True)
class StepsConfig:
    """What the settings of every strategy without a noise schedule of its own have in common."""

    num_steps: int = static(100)

    def __post_init__(self) -> None:
        check_range("num_steps", self.num_steps, 1)

    def rows(self) -> Steps:
        """Returns the rows of a run."""
        return Steps(jnp.arange(self.num_steps))
