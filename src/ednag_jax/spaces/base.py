"""What a search space is: how a genotype becomes an architecture, and back. No accuracies, no search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num, UInt32

from ednag_jax.spaces.traits import Traits
from ednag_jax.types import HostPhenotype, KeyArray

INDEXABLE_SIZE = 2**31
"""Spaces smaller than this identify an architecture by its int32 table index, others by a hash."""

drawn_at_once = partial(jax.jit, static_argnames=("self", "num"), inline=True)
"""Decorates `random`: called by itself it is one program, where every operation alone would be compiled."""


@dataclass(frozen=True)
class SearchSpace(ABC):
    """A search space and one encoding of it as real numbers; frozen, so it can be a static argument.

    Genotypes are [... d] float32, phenotypes [... e] int32: op ids per edge or the space's own fields.
    Methods on arrays are pure and take any leading axes; the text forms are for the host.
    """

    name: str
    encoding: str = "compact"

    @property
    @abstractmethod
    def genotype_size(self) -> int:
        """d, the real numbers that encode one architecture."""

    @property
    @abstractmethod
    def num_fields(self) -> int:
        """e, the integers of one phenotype."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many valid architectures there are."""

    @property
    @abstractmethod
    def choices(self) -> tuple[int, ...]:
        """How many values each of the k independent choices has that together make an architecture.

        What a distribution over architectures is made of: see `from_choices`. Where not every combination is
        an architecture, `is_valid` says so.
        """

    def with_encoding(self, encoding: str) -> SearchSpace:
        """Returns the same space under another encoding.

        Raises:
            ValueError: it has no such encoding; a space with more than its own overrides this.
        """
        if encoding != self.encoding:
            raise ValueError(
                f"encoding of space {self.name!r} must be {self.encoding!r}, got {encoding!r}: the padded "
                "encoding is for spaces with one choice a field; set encoding='compact' in the config"
            )
        return self

    @abstractmethod
    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns the phenotype of a genotype; where it is no architecture, `is_valid` says so."""

    @abstractmethod
    def encode(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b d"]:
        """Returns a genotype in [-1, 1] that decodes to a valid phenotype."""

    def from_choices(self, values: Int[Array, "*b k"]) -> Int[Array, "*b e"]:
        """Returns the phenotype of one value a choice, from 0 to below its number; here they are the fields."""
        return values

    def to_choices(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b k"]:
        """Returns the choices that made a valid phenotype; any value where one does not matter."""
        return phenotype

    def matters(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b k"]:
        """Returns which choices the architecture depends on, the others being what they are: here all."""
        return jnp.ones((*phenotype.shape[:-1], len(self.choices)), bool)

    @abstractmethod
    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        """Returns whether the phenotype is an architecture of the space."""

    def arch_index(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
        """Returns the table row of a valid phenotype, in [0, size); for an invalid one any row.

        Raises:
            ValueError: the space is not indexable.
        """
        raise ValueError(f"space {self.name!r} has no table index; it tells architectures apart by a hash")

    @abstractmethod
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        """Returns num architectures drawn uniformly, with replacement."""

    @abstractmethod
    def mutate(self, key: KeyArray, phenotype: Int[Array, " e"]) -> Int[Array, " e"]:
        """Returns a neighbour drawn uniformly."""

    @abstractmethod
    def neighbours(self, phenotype: Int[Array, " e"]) -> Int[Array, "k e"]:
        """Returns all architectures one edit away."""

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns what a predictor compares: here the numbers that encode it, for all descriptions.

        A space that knows more of its architectures (paths, resolutions) overrides this.
        """
        numbers = self.encode(phenotype) / jnp.sqrt(4.0 * self.num_fields)
        return Traits(numbers, numbers, numbers)

    @abstractmethod
    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the text form of one architecture (host)."""

    @abstractmethod
    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the phenotype of a text form; ValueError says what is wrong with the text (host)."""

    @property
    def is_indexable(self) -> bool:
        """Whether `arch_index` exists: architectures are few enough, and countable by a formula."""
        return self.size < INDEXABLE_SIZE

    def arch_id(self, phenotype: Int[Array, "*b e"]) -> Num[Array, "..."]:
        """Returns what tells architectures apart: the table index, or a 64-bit hash as two uint32.

        A space whose phenotypes can differ without the architecture differing overrides this with a hash
        of the canonical form.
        """
        return self.arch_index(phenotype) if self.is_indexable else hash_fields(phenotype)


def hash_fields(phenotype: Int[Array, "*b e"]) -> UInt32[Array, "*b 2"]:
    """Returns a 64-bit hash of the fields of each phenotype as two uint32.

    Every (position, value) pair is mixed to 32 bits and the pairs are summed, once for each of two seeds.
    """
    position = jnp.arange(phenotype.shape[-1], dtype=jnp.uint32)
    pair = phenotype.astype(jnp.uint32) * jnp.uint32(0x9E3779B1) + position * jnp.uint32(0x85EBCA77)
    seeds = jnp.array([0x27D4EB2F, 0x165667B1], jnp.uint32)
    return jnp.sum(mix_bits(pair[..., None, :] ^ seeds[:, None]), axis=-1, dtype=jnp.uint32)


def mix_bits(word: UInt32[Array, "*b"]) -> UInt32[Array, "*b"]:
    """Returns each word with every bit spread over all 32, one to one: the finaliser of MurmurHash3."""
    for shift, multiplier in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        word = (word ^ (word >> shift)) * jnp.uint32(multiplier)
    return word ^ (word >> 16)
