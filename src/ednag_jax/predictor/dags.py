"""Architectures of any space as directed acyclic graphs of typed nodes, in padded arrays.

Every graph runs from one input to one output. Where a space has its operations on edges, they become nodes (the
line graph): one follows another where the edge of the second leaves the node that the edge of the first enters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ednag_jax.spaces import (
    Darts,
    NasBench101,
    NasBench201,
    SearchSpace,
    TransNas101Macro,
    TransNas101Micro,
    darts,
    nasbench101,
    nasbench101_graph,
    nasbench201,
    transnas101,
)
from ednag_jax.spaces.staged import StagedSpace

INPUT, OUTPUT, FIRST_OP = 0, 1, 2
"""Types that all graphs have, and the first of those that a space has of its own."""


class Dag(NamedTuple):
    """Graphs whose nodes are in topological order: every edge leads to a later node."""

    op: Int[Array, "*b v"]
    """Type of each node, one of `DagForm.ops`; 0 where there is none."""
    edge: Bool[Array, "*b v v"]
    """At [u, v], u before v, whether v follows u; only between nodes that exist."""
    mask: Bool[Array, "*b v"]
    """Which nodes exist."""


@dataclass(frozen=True)
class DagForm:
    """What the graphs of a space are like; called with phenotypes [*b e] it returns their `Dag`."""

    ops: tuple[str, ...]
    """Type -> its name."""
    num_nodes: int
    """Room for nodes, v."""
    build: Callable[[Int[Array, "*b e"]], Dag]

    def __call__(self, phenotype: Int[Array, "*b e"]) -> Dag:
        """Returns the graphs of valid phenotypes."""
        return self.build(phenotype)


def dag_of(space: SearchSpace) -> DagForm:
    """Returns the form of a space's graphs.

    Cells of NAS-Bench-201 and TransNAS-Bench-101 micro are line graphs without the edges `none`, and without
    what lies on no path; modules of NAS-Bench-101 are what they are, pruned. DARTS has its two cells side by
    side, each the line graph of its edges. Stacks of blocks are chains. A space that is not known here is the
    chain of its choices, those that matter.

    >>> from ednag_jax.spaces import SPACES
    >>> form = dag_of(SPACES["nasbench201"])
    >>> [form.ops[op] for op in form(jnp.array([3, 0, 1, 0, 4, 0])).op.tolist()]  # masked ones read as input
    ['input', 'nor_conv_3x3', 'input', 'input', 'input', 'avg_pool_3x3', 'input', 'output']
    """
    for kind, form in FORMS.items():
        if isinstance(space, kind):
            return form(space)
    return _choices(space)


def pruned(dag: Dag) -> Dag:
    """Returns the graphs without the nodes that lie on no path from input to output; these two stay."""
    reached = _reached(dag.edge, dag.mask & (dag.op == INPUT))
    backward = jnp.flip(jnp.swapaxes(dag.edge, -1, -2), (-1, -2))
    leading = jnp.flip(_reached(backward, jnp.flip(dag.mask & (dag.op == OUTPUT), -1)), -1)
    return _restricted(dag, (reached & leading) | (dag.op < FIRST_OP))


def _reached(edge: Bool[Array, "*b v v"], start: Bool[Array, "*b v"]) -> Bool[Array, "*b v"]:
    """Returns which nodes are a start or follow, however late, a start."""
    for node in range(1, start.shape[-1]):
        follows = jnp.any(edge[..., node] & start, axis=-1)
        start = start.at[..., node].set(start[..., node] | follows)
    return start


def _restricted(dag: Dag, kept: Bool[Array, "*b v"]) -> Dag:
    """Returns the graphs with only those of their nodes that are kept."""
    mask = dag.mask & kept
    return Dag(
        jnp.where(mask, dag.op, 0).astype(jnp.int32),
        dag.edge & mask[..., :, None] & mask[..., None, :],
        mask,
    )


def _framed(
    op: Int[Array, "*b n"], exists: Bool[Array, "*b n"]
) -> tuple[Int[Array, "*b v"], Bool[Array, "*b v"]]:
    """Returns types and mask of an input, nodes of a space's own types counted from 0, and an output."""
    ends = jnp.zeros((*op.shape[:-1], 1), jnp.int32)
    types = jnp.concatenate([ends + INPUT, op + FIRST_OP, ends + OUTPUT], axis=-1)
    there = jnp.ones((*op.shape[:-1], 1), bool)
    return types, jnp.concatenate([there, exists, there], axis=-1)


def _form(names: Sequence[str], num_nodes: int, build: Callable[[Int[Array, "*b e"]], Dag]) -> DagForm:
    """Returns a form with a space's own types and nodes, input and output added."""
    return DagForm(("input", "output", *names), num_nodes + 2, build)


def _four_node_cell(space: SearchSpace) -> DagForm:
    """Returns the form of cells of 4 nodes with an operation on each of 6 edges."""
    names = nasbench201.OPS if isinstance(space, NasBench201) else transnas101.OPS
    none = names.index("none")
    ends = ((-1, 0), *nasbench201.EDGES, (nasbench201.EDGES[-1][1], -2))  # input and output as edges
    links = np.array([[target == source for source, _ in ends] for _, target in ends])

    def build(phenotype: Int[Array, "*b e"]) -> Dag:
        op, mask = _framed(phenotype - (none + 1), phenotype != none)
        return pruned(_restricted(Dag(op, jnp.broadcast_to(links, (*op.shape, len(ends))), mask), mask))

    return _form(names[none + 1 :], len(nasbench201.EDGES), build)


def _module(space: SearchSpace) -> DagForm:
    """Returns the form of NAS-Bench-101's modules: their own vertices."""
    del space
    size, pairs = nasbench101_graph.NUM_VERTICES, nasbench101_graph.EDGES
    field = np.array([[pairs.index((u, v)) if u < v else len(pairs) for v in range(size)] for u in range(size)])

    def build(phenotype: Int[Array, "*b e"]) -> Dag:
        fields, ops = phenotype[..., : len(pairs)], phenotype[..., len(pairs) :]
        kept = nasbench101_graph.unpack_edges(nasbench101_graph.prune(nasbench101_graph.pack_edges(fields)))
        edge = jnp.pad(kept, [(0, 0)] * (kept.ndim - 1) + [(0, 1)])[..., field] == 1
        used = jnp.any(edge, axis=-1) | jnp.any(edge, axis=-2)
        op, mask = _framed(ops, used[..., 1:-1])
        return _restricted(Dag(op, edge, mask), mask)

    return _form(nasbench101.OPS, nasbench101_graph.NUM_INTERIOR, build)


def _darts(space: SearchSpace) -> DagForm:
    """Returns the form of two cells: input, each cell's two inputs, 8 edges and end, output."""
    del space
    inside = ("before_previous", "previous", *darts.OPS, "end")
    names = [f"{cell}_{name}" for cell, name in product(darts.CELLS, inside)]
    size = darts.NUM_INPUTS + darts.NUM_EDGES + 1
    num = len(darts.CELLS) * size

    def build(phenotype: Int[Array, "*b e"]) -> Dag:
        source, op = darts.edges(phenotype)
        fixed = [
            jnp.full((*op.shape[:-1], 1), inside.index(name)) for name in ("before_previous", "previous", "end")
        ]
        types = jnp.concatenate([*fixed[:2], op + darts.NUM_INPUTS, fixed[2]], axis=-1)
        types = types + len(inside) * np.arange(len(darts.CELLS))[:, None]
        framed, mask = _framed(types.reshape(*op.shape[:-2], num), jnp.ones((*op.shape[:-2], num), bool))
        edge = jnp.zeros((*framed.shape, num + 2), bool)
        for cell in range(len(darts.CELLS)):
            own = slice(1 + cell * size, 1 + (cell + 1) * size)
            edge = edge.at[..., own, own].set(_darts_links(source[..., cell, :]))
            edge = edge.at[..., 0, own.start : own.start + darts.NUM_INPUTS].set(True)
            edge = edge.at[..., own.stop - 1, -1].set(True)
        return Dag(framed, edge, mask)

    return _form(names, num, build)


def _darts_links(source: Int[Array, "*b 8"]) -> Bool[Array, "*b 11 11"]:
    """Returns what follows what within a cell: an edge follows an input, or both edges into its source."""
    giver = np.concatenate([np.arange(darts.NUM_INPUTS), darts.NODE_OF_EDGE + darts.NUM_INPUTS])
    to_edges = giver[:, None] == source[..., None, :]
    batch = source.shape[:-1]
    to_end = jnp.broadcast_to((giver >= darts.NUM_INPUTS)[:, None], (*batch, len(giver), 1))
    from_all = jnp.concatenate([jnp.zeros((*batch, len(giver), darts.NUM_INPUTS), bool), to_edges, to_end], -1)
    return jnp.concatenate([from_all, jnp.zeros((*batch, 1, from_all.shape[-1]), bool)], axis=-2)


def _chain(op: Int[Array, "*b n"], exists: Bool[Array, "*b n"]) -> Dag:
    """Returns the graph in which each node that exists follows the one before it."""
    types, mask = _framed(op, exists)
    place = jnp.cumsum(mask, axis=-1)
    return _restricted(Dag(types, place[..., None] + 1 == place[..., None, :], mask), mask)


def _macro(space: SearchSpace) -> DagForm:
    """Returns the form of stacks of blocks."""
    return _form(transnas101.BLOCKS, space.num_fields, lambda phenotype: _chain(phenotype, phenotype >= 0))


def _stages(space: StagedSpace) -> DagForm:
    """Returns the form of staged networks: fields of the whole, then the blocks, typed by stage and kind."""
    sizes = [len(choice.values) for choice in space.whole]
    starts = list(accumulate(sizes, initial=0))
    whole = [f"{choice.letter}{value:g}" for choice in space.whole for value in choice.values]
    kinds = [
        "".join(f"{c.letter}{v:g}" for c, v in zip(space.block, kind, strict=True))
        for kind in product(*(choice.values for choice in space.block))
    ]
    blocks = [f"stage_{stage}_{kind}" for stage, kind in product(range(space.num_stages), kinds)]
    stage = np.arange(space.num_blocks) // space.depth_range[1]

    def build(phenotype: Int[Array, "*b e"]) -> Dag:
        kind = jnp.zeros_like(phenotype[..., : space.num_blocks])
        for index, choice in enumerate(space.block):
            kind = kind * len(choice.values) + space.block_field(phenotype, index)
        fields = phenotype[..., : len(sizes)] + np.array(starts[:-1], np.int32)
        op = jnp.concatenate([fields, kind + starts[-1] + len(kinds) * stage], axis=-1)
        exists = jnp.concatenate([jnp.ones_like(fields, bool), space.block_exists(phenotype)], axis=-1)
        return _chain(op, exists)

    return _form([*whole, *blocks], len(sizes) + space.num_blocks, build)


def _choices(space: SearchSpace) -> DagForm:
    """Returns the form of the chain of a space's choices, each value a type of its own."""
    names = [f"choice_{place}_{value}" for place, count in enumerate(space.choices) for value in range(count)]
    starts = np.array(list(accumulate(space.choices, initial=0))[:-1], np.int32)

    def build(phenotype: Int[Array, "*b e"]) -> Dag:
        return _chain(space.to_choices(phenotype) + starts, space.matters(phenotype))

    return _form(names, len(space.choices), build)


FORMS: dict[type[SearchSpace], Callable[[Any], DagForm]] = {
    NasBench101: _module,
    NasBench201: _four_node_cell,
    TransNas101Micro: _four_node_cell,
    TransNas101Macro: _macro,
    Darts: _darts,
    StagedSpace: _stages,
}
"""Space -> the form of its graphs; a space that is none of these is a chain of its choices."""
