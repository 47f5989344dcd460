"""Any product of categorical choices as a search space, under the compact and the padded encoding."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.config import ENCODINGS, check_choice
from ednag_jax.spaces.base import SearchSpace, drawn_at_once
from ednag_jax.types import HostPhenotype, KeyArray

PADDING = 2
"""The padded encoding's extra nodes (input, output) and extra ops (input, output)."""


@dataclass(frozen=True)
class CategoricalSpace(SearchSpace):
    """The product of e independent choices, field j taking one of `choices[j]` values.

    * `compact` encoding: d = sum(choices) numbers; the arg-max of a field's numbers is its value, so
      every genotype is valid.
    * `padded` encoding (the published experiments' for cells): e + 2 nodes (input, the fields, output) of
      max(choices) + 2 ops (input, output, the values); a field whose arg-max is no value of its own
      makes the architecture invalid.

    Raises:
        ValueError: no field, a field with fewer than one value, or an unknown encoding.

    >>> space = CategoricalSpace("mine", choices=(3,) * 8)
    >>> space.size, space.genotype_size
    (6561, 24)
    """

    choices: tuple[int, ...] = ()

    def __init__(self, name: str, choices: tuple[int, ...], encoding: str = "compact") -> None:
        check_choice("encoding", encoding, ENCODINGS)
        if not choices or min(choices) < 1:
            raise ValueError(f"choices must be one or more counts of at least 1, got {choices}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "encoding", encoding)
        object.__setattr__(self, "choices", tuple(int(c) for c in choices))

    @property
    def num_fields(self) -> int:
        return len(self.choices)

    @property
    def size(self) -> int:
        return prod(self.choices)

    @property
    def genotype_size(self) -> int:
        if self.encoding == "padded":
            return (self.num_fields + PADDING) * (max(self.choices) + PADDING)
        return sum(self.choices)

    def with_encoding(self, encoding: str) -> CategoricalSpace:
        check_choice("encoding", encoding, ENCODINGS)
        return dataclasses.replace(self, encoding=encoding)

    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns the arg-max of each field's numbers; the first of equals."""
        batch, widest = genotype.shape[:-1], max(self.choices)
        if self.encoding == "padded":
            nodes = genotype.reshape(*batch, self.num_fields + PADDING, widest + PADDING)
            value = jnp.argmax(nodes[..., 1:-1, :], axis=-1).astype(jnp.int32) - PADDING
            inside = (value >= 0) & (value < jnp.array(self.choices))
            return jnp.where(inside, value, -1)
        if min(self.choices) == widest:  # all alike: a reshape costs less than a gather
            return jnp.argmax(genotype.reshape(*batch, self.num_fields, widest), axis=-1).astype(jnp.int32)
        index, used = self._field_slots()
        return jnp.argmax(jnp.where(used, genotype[..., index], -jnp.inf), axis=-1).astype(jnp.int32)

    def encode(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b d"]:
        """Returns 1 at each field's value and -1 elsewhere."""
        widest = max(self.choices)
        if self.encoding == "padded":
            ops = jnp.concatenate(
                [
                    jnp.zeros_like(phenotype[..., :1]),
                    phenotype + PADDING,
                    jnp.ones_like(phenotype[..., :1]),
                ],
                axis=-1,
            )
            return _plus_minus_one(ops, widest + PADDING).reshape(*phenotype.shape[:-1], -1)
        _, used = self._field_slots()
        return _plus_minus_one(phenotype, widest)[..., used]

    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        return jnp.all((phenotype >= 0) & (phenotype < jnp.array(self.choices)), axis=-1)

    def arch_index(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
        """Returns the mixed-radix number of the fields, the first field counting most."""
        return jnp.sum(jnp.maximum(phenotype, 0) * self._place_values(), axis=-1, dtype=jnp.int32)

    def from_index(self, index: Int[Array, "*b"]) -> Int[Array, "*b e"]:
        """Returns the phenotype of a table row."""
        return (jnp.asarray(index)[..., None] // self._place_values()) % jnp.array(self.choices)

    @drawn_at_once
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        return jax.random.randint(key, (num, self.num_fields), 0, jnp.array(self.choices))

    def mutate(self, key: KeyArray, phenotype: Int[Array, " e"]) -> Int[Array, " e"]:
        fields, values = self._edits()
        edit = jax.random.randint(key, (), 0, len(fields))
        field, shift = jnp.array(fields)[edit], jnp.array(values)[edit]
        return phenotype.at[field].set((phenotype[field] + shift) % jnp.array(self.choices)[field])

    def neighbours(self, phenotype: Int[Array, " e"]) -> Int[Array, "k e"]:
        fields, shifts = self._edits()
        one_hot = jax.nn.one_hot(fields, self.num_fields, dtype=jnp.int32)
        return (phenotype + one_hot * jnp.array(shifts)[:, None]) % jnp.array(self.choices)

    def to_str(self, phenotype: HostPhenotype) -> str:
        return "-".join(str(int(value)) for value in phenotype)

    def from_str(self, text: str) -> Int[Array, " e"]:
        parts = text.split("-")
        if len(parts) != self.num_fields or not all(part.isdecimal() for part in parts):
            raise ValueError(f"{text!r} is not {self.num_fields} numbers joined by '-'")
        values = [int(part) for part in parts]
        if any(value >= allowed for value, allowed in zip(values, self.choices, strict=True)):
            raise ValueError(f"{text!r} has a value outside its choices {self.choices}")
        return jnp.array(values, jnp.int32)

    def _place_values(self) -> Int[Array, " e"]:
        if not self.is_indexable:
            raise ValueError(f"space {self.name!r} has {self.size} architectures, too many for a table index")
        return jnp.array([prod(self.choices[j + 1 :]) for j in range(self.num_fields)], jnp.int32)

    def _field_slots(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns where each field's numbers lie in the compact genotype, and which slots are used, [e c]."""
        slot = np.arange(max(self.choices))
        starts = np.cumsum([0, *self.choices[:-1]])
        used = slot < np.array(self.choices)[:, None]
        return np.where(used, starts[:, None] + slot, 0), used

    def _edits(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns every one-field edit as (field, shift): the value moves by shift, modulo its choices."""
        edits = [(j, shift) for j, c in enumerate(self.choices) for shift in range(1, c)]
        fields, shifts = zip(*edits, strict=True) if edits else ((), ())
        return np.array(fields, np.int32), np.array(shifts, np.int32)


def _plus_minus_one(value: Int[Array, "*b e"], width: int) -> Float[Array, "*b e {width}"]:
    """Returns 1 at each value's slot and -1 elsewhere."""
    return 2.0 * jax.nn.one_hot(value, width) - 1.0
