"""An architecture by any of its names: what `ask` gave, its text, its phenotype; and its id as one integer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Num
from numpy.typing import ArrayLike

from ednag_jax.ask_tell.ledger import Proposal, Told
from ednag_jax.ask_tell.replay import UNKNOWN
from ednag_jax.queries import packed_ids
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import HostPhenotype

Named: TypeAlias = Proposal | str | HostPhenotype
"""An architecture as `ask` gave it, or its text, or its phenotype."""


def proposal_of(arch: Any, space: SearchSpace) -> Proposal:
    """Returns an architecture from any of its forms.

    Raises:
        ValueError: it is not of the space.
    """
    if isinstance(arch, Proposal):
        arch = arch.phenotype
    phenotype = np.asarray(space.from_str(arch) if isinstance(arch, str) else arch)
    if (
        phenotype.shape != (space.num_fields,)
        or phenotype.dtype.kind not in "iu"
        or not is_valid(phenotype, space)
    ):
        raise ValueError(
            f"{phenotype.tolist()} is no architecture of space {space.name!r}, which has {space.num_fields} "
            "fields; give what `ask` gave, or its text"
        )
    return Proposal(space.to_str(phenotype), phenotype.astype(np.int32))


def results_of(archs: Any, accuracy: ArrayLike, space: SearchSpace) -> list[Told]:
    """Returns architectures with their results; infinite, like NaN, is a failure.

    Raises:
        ValueError: not one number for each, or an architecture that is not of the space.
    """
    listed = [archs] if isinstance(archs, Proposal | str) else list(archs)
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite
        said = np.atleast_1d(np.asarray(accuracy, np.float32))
    if said.shape != (len(listed),):
        raise ValueError(f"accuracy must be one number for each of {len(listed)} archs, got {said.shape}")
    said = np.where(np.abs(said) < UNKNOWN, said, np.nan)
    proposals = [proposal_of(arch, space) for arch in listed]
    return [Told(p.arch, p.phenotype, float(s)) for p, s in zip(proposals, said, strict=True)]


def is_valid(phenotype: Int[np.ndarray, " e"], space: SearchSpace) -> bool:
    """Returns whether a phenotype is an architecture of the space."""
    return bool(_validity(phenotype.astype(np.int32), space=space))


def arch_id(phenotype: Int[np.ndarray, " e"], space: SearchSpace) -> Num[Array, "1 *h"]:
    """Returns the id of one architecture, as the space has it."""
    return _arch_id(phenotype[None], space=space)


def number_of(phenotype: Int[np.ndarray, " e"], space: SearchSpace) -> int:
    """Returns the id of one architecture as one integer."""
    return int(packed_ids(np.asarray(arch_id(phenotype, space)))[0])


def stacked(proposals: Iterable[Proposal], space: SearchSpace) -> Int[np.ndarray, "n e"]:
    """Returns the phenotypes of architectures, none of them included."""
    rows: Sequence[np.ndarray] = [proposal.phenotype for proposal in proposals]
    return np.array(rows, np.int32).reshape(-1, space.num_fields)


# One architecture a call: another number of them would be compiled anew.
@partial(jax.jit, static_argnames="space")
def _arch_id(phenotype: Int[Array, "1 e"], *, space: SearchSpace) -> Num[Array, "1 *h"]:
    return space.arch_id(jnp.asarray(phenotype))


@partial(jax.jit, static_argnames="space")
def _validity(phenotype: Int[Array, " e"], *, space: SearchSpace) -> Bool[Array, ""]:
    return space.is_valid(jnp.asarray(phenotype))
