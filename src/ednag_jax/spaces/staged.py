"""Spaces of networks made of stages of blocks, where how many blocks a stage has is itself a choice."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import log, prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from ednag_jax.spaces.base import SearchSpace, drawn_at_once, hash_fields
from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.spaces.traits import Traits, categories, counts, joined
from ednag_jax.types import HostPhenotype, KeyArray


class Choice(NamedTuple):
    """A field's letter in the text form, and the values that it chooses from."""

    letter: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class StagedSpace(SearchSpace):
    """Networks of stages of blocks: fields of the whole network, a depth a stage, fields of each block.

    A phenotype holds indices into the values of its choices: first the fields of the whole network, then the
    depth of every stage (0 for the least), then the first field of all blocks, the second of all blocks, and
    so on. Every stage has room for the greatest depth; blocks beyond a stage's depth do not matter, and the
    canonical form, which everything here returns, holds 0 there.

    The genotype is one number per field and value; the arg-max is the field's value, so that all are valid.
    """

    whole: tuple[Choice, ...] = ()
    block: tuple[Choice, ...] = ()
    num_stages: int = 1
    depth_range: tuple[int, int] = (1, 1)
    """Least and greatest number of blocks of a stage."""

    @property
    def fields(self) -> CategoricalSpace:
        """What a phenotype's fields can be, whether they matter or not."""
        whole = [len(choice.values) for choice in self.whole]
        depths = [self._num_depths] * self.num_stages
        blocks = [len(choice.values) for choice in self.block for _ in range(self.num_blocks)]
        return CategoricalSpace(self.name, choices=(*whole, *depths, *blocks))

    @property
    def num_blocks(self) -> int:
        """Room for blocks, over all stages."""
        return self.num_stages * self.depth_range[1]

    @property
    def choices(self) -> tuple[int, ...]:
        return self.fields.choices

    @property
    def genotype_size(self) -> int:
        return self.fields.genotype_size

    @property
    def num_fields(self) -> int:
        return self.fields.num_fields

    @property
    def size(self) -> int:
        """How many different networks there are: k^d blocks of k kinds in a stage of depth d."""
        least, greatest = self.depth_range
        stage = sum(self._num_kinds**depth for depth in range(least, greatest + 1))
        return prod(len(choice.values) for choice in self.whole) * stage**self.num_stages

    @property
    def is_indexable(self) -> bool:
        """False: networks are told apart by the hash of their canonical form."""
        return False

    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns the canonical form of each field's arg-max; the first of equals."""
        return self.canonical(self.fields.decode(genotype))

    def encode(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b d"]:
        """Returns 1 at each field's value and -1 elsewhere; decodes to the canonical form."""
        return self.fields.encode(phenotype)

    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        return self.fields.is_valid(phenotype)

    def from_choices(self, values: Int[Array, "*b e"]) -> Int[Array, "*b e"]:
        """Returns the canonical form."""
        return self.canonical(values)

    def canonical(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b e"]:
        """Returns the phenotype with 0 in the blocks beyond each stage's depth."""
        return jnp.where(self.matters(phenotype), phenotype, 0)

    def arch_id(self, phenotype: Int[Array, "*b e"]) -> UInt32[Array, "*b 2"]:
        """Returns the hash of the canonical form: equal for phenotypes of the same network."""
        return hash_fields(self.canonical(phenotype))

    def whole_field(self, phenotype: Int[Array, "*b e"], choice: int) -> Int[Array, "*b"]:
        """Returns the index chosen for a field of the whole network."""
        return phenotype[..., choice]

    def block_field(self, phenotype: Int[Array, "*b e"], choice: int) -> Int[Array, "*b blocks"]:
        """Returns the index chosen for a field of every block, whether the block exists or not."""
        start = len(self.whole) + self.num_stages + choice * self.num_blocks
        return phenotype[..., start : start + self.num_blocks]

    def depths(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b stages"]:
        """Returns how many blocks each stage has."""
        return phenotype[..., len(self.whole) : len(self.whole) + self.num_stages] + self.depth_range[0]

    def block_exists(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b blocks"]:
        """Returns which of the blocks lie within their stage's depth."""
        slot = jnp.arange(self.depth_range[1])
        exists = slot < self.depths(phenotype)[..., None]
        return exists.reshape(*phenotype.shape[:-1], self.num_blocks)

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns how many blocks have which value, in the network and then in each stage; and every field.

        All three tell the fields of the whole network.
        """
        whole = [categories(phenotype[..., i : i + 1], len(c.values)) for i, c in enumerate(self.whole)]
        rough, coarse = list(whole), list(whole)
        exists = self.block_exists(phenotype)
        for index, choice in enumerate(self.block):
            blocks, number = self.block_field(phenotype, index), len(choice.values)
            stages = (*phenotype.shape[:-1], self.num_stages, -1)
            each = counts(blocks.reshape(stages), number, exists.reshape(stages)) / jnp.sqrt(self.num_stages)
            rough.append(counts(blocks, number, exists))
            coarse.append(each.reshape(*phenotype.shape[:-1], -1))
        return Traits(joined(rough), joined(coarse), super().traits(phenotype).fine)

    @drawn_at_once
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        """Returns num networks drawn uniformly over different networks, with replacement.

        A depth is drawn in proportion to the k^d networks that it makes possible, so most stages are as deep
        as they can be. Drawing every field uniformly, as a genotype from N(0, I) does, favours shallow ones.
        """
        key_depth, key_fields = jax.random.split(key)
        weight = jnp.arange(self._num_depths) * log(self._num_kinds)
        depth = jax.random.categorical(key_depth, weight, shape=(num, self.num_stages))
        start = len(self.whole)
        drawn = self.fields.random(key_fields, num).at[:, start : start + self.num_stages].set(depth)
        return self.canonical(drawn)

    def mutate(self, key: KeyArray, phenotype: Int[Array, " e"]) -> Int[Array, " e"]:
        """Returns a valid neighbour drawn uniformly; the network itself where it has none."""
        edited, is_edit = self._edits(self.canonical(phenotype))
        score = jnp.where(is_edit & self.is_valid(edited), jax.random.uniform(key, is_edit.shape), -1.0)
        return edited[jnp.argmax(score)]

    def neighbours(self, phenotype: Int[Array, " e"]) -> Int[Array, "k e"]:
        """Returns all networks one edit away.

        An edit gives one field of the network or of an existing block another value, drops the last block of a
        stage, or appends a block of any kind to one: being neighbours is mutual. How many there are depends on
        the depths, so rows of edits that are not possible hold the network itself.
        """
        return self._edits(self.canonical(phenotype))[0]

    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the fields of the network, then its stages block by block: `r224 | k3e6 k5e4 | k7e3`."""
        fields = jnp.asarray(phenotype)
        whole = [_text(choice, int(fields[index])) for index, choice in enumerate(self.whole)]
        columns = [np.asarray(self.block_field(fields, index)).tolist() for index in range(len(self.block))]
        blocks = ["".join(map(_text, self.block, kinds)) for kinds in zip(*columns, strict=True)]
        room = self.depth_range[1]
        stages = [blocks[room * s : room * s + int(d)] for s, d in enumerate(self.depths(fields))]
        return " | ".join(" ".join(part) for part in (whole, *stages))

    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the canonical phenotype of a text as `to_str` writes it.

        Raises:
            ValueError: another number of fields, stages or blocks, or a value that is none of the choices.
        """
        whole, *stages = (part.split() for part in text.split("|"))
        self._check_parts(text, whole, stages)
        head = [_parsed(word, (choice,))[0] for word, choice in zip(whole, self.whole, strict=True)]
        kinds = [[_parsed(word, self.block) for word in stage] for stage in stages]
        least, greatest = self.depth_range
        unused = (0,) * len(self.block)
        blocks = [kind for stage in kinds for kind in (*stage, *[unused] * (greatest - len(stage)))]
        depths = [len(stage) - least for stage in stages]
        return jnp.array([*head, *depths, *itertools.chain(*zip(*blocks, strict=True))], jnp.int32)

    def _check_parts(self, text: str, whole: list[str], stages: list[list[str]]) -> None:
        """Raises ValueError where a text has another number of fields, stages or blocks."""
        if len(whole) != len(self.whole) or len(stages) != self.num_stages:
            raise ValueError(
                f"{text!r} has {len(whole)} fields and {len(stages)} stages, expected {len(self.whole)} and "
                f"{self.num_stages}, as in {self.to_str(jnp.zeros(self.num_fields, jnp.int32))!r}"
            )
        least, greatest = self.depth_range
        for stage in stages:
            if not least <= len(stage) <= greatest:
                raise ValueError(f"{text!r} has a stage of {len(stage)} blocks; allowed: {least} to {greatest}")

    @property
    def _num_depths(self) -> int:
        return self.depth_range[1] - self.depth_range[0] + 1

    @property
    def _num_kinds(self) -> int:
        """Different blocks."""
        return prod(len(choice.values) for choice in self.block)

    def matters(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b e"]:
        """Returns which fields are of the network, a depth, or an existing block."""
        exists = self.block_exists(phenotype)
        always = jnp.ones((*exists.shape[:-1], len(self.whole) + self.num_stages), bool)
        return jnp.concatenate([always, *[exists] * len(self.block)], axis=-1)

    def _edits(self, phenotype: Int[Array, " e"]) -> tuple[Int[Array, "k e"], Bool[Array, " k"]]:
        """Returns all networks one edit away and which rows are edits; the others repeat the network."""
        parts = (self._changed(phenotype), self._dropped(phenotype), self._appended(phenotype))
        edited = jnp.concatenate([rows for rows, _ in parts])
        is_edit = jnp.concatenate([possible for _, possible in parts])
        return self.canonical(jnp.where(is_edit[:, None], edited, phenotype)), is_edit

    def _changed(self, phenotype: Int[Array, " e"]) -> tuple[Int[Array, "k e"], Bool[Array, " k"]]:
        """Returns every other value of every field but the depths."""
        choices = self.fields.choices
        depth_fields = range(len(self.whole), len(self.whole) + self.num_stages)
        edits = [(f, s) for f, c in enumerate(choices) if f not in depth_fields for s in range(1, c)]
        field, shift = np.array(edits).T
        rows = (phenotype + np.eye(len(choices), dtype=np.int32)[field] * shift[:, None]) % jnp.array(choices)
        return rows, self.matters(phenotype)[field]

    def _dropped(self, phenotype: Int[Array, " e"]) -> tuple[Int[Array, "s e"], Bool[Array, " s"]]:
        """Returns each stage without its last block."""
        return phenotype - self._depth_units(), self.depths(phenotype) > self.depth_range[0]

    def _appended(self, phenotype: Int[Array, " e"]) -> tuple[Int[Array, "k e"], Bool[Array, " k"]]:
        """Returns each stage with one more block, of every kind."""
        kinds, depth = np.array(_kinds(self.block)), self.depths(phenotype)
        stage, slot = np.divmod(np.arange(self.num_blocks), self.depth_range[1])
        is_new = (stage == np.arange(self.num_stages)[:, None]) & (slot == depth[:, None])
        blocks = (is_new[:, None, None] * kinds[:, :, None]).reshape(self.num_stages, len(kinds), -1)
        longer = phenotype + self._depth_units()
        rows = jnp.repeat(longer[:, None], len(kinds), axis=1).at[..., -blocks.shape[-1] :].add(blocks)
        is_possible = jnp.repeat(depth < self.depth_range[1], len(kinds))
        return rows.reshape(-1, self.num_fields), is_possible

    def _depth_units(self) -> Int[np.ndarray, "s e"]:
        """Returns one more block, stage by stage."""
        return np.eye(self.num_stages, self.num_fields, len(self.whole), dtype=np.int32)


def _text(choice: Choice, index: int) -> str:
    """Returns a field as its letter and value."""
    return f"{choice.letter}{choice.values[index]:g}"


def _parsed(word: str, choices: tuple[Choice, ...]) -> tuple[int, ...]:
    """Returns the index of each field of a word such as `k3e6`."""
    allowed = {"".join(map(_text, choices, kind)): kind for kind in _kinds(choices)}
    if word not in allowed:
        values = " and ".join(f"{c.letter} of {', '.join(f'{v:g}' for v in c.values)}" for c in choices)
        raise ValueError(f"{word!r} is none of the choices: {values}")
    return allowed[word]


def _kinds(choices: tuple[Choice, ...]) -> list[tuple[int, ...]]:
    """Returns every combination of the choices' indices."""
    return list(itertools.product(*(range(len(choice.values)) for choice in choices)))
