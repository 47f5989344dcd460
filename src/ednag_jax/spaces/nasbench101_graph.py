"""NAS-Bench-101 modules as graphs: pruning, and the hashes that do not see the order of the vertices.

The 21 possible edges of a module are kept as the bits of one integer, so that pruning is a handful of integer
operations: bit x + y (y - 1) / 2 is the edge from vertex x to vertex y > x. Vertex 0 is the input, vertex 6
the output. The edges into one vertex lie side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from ednag_jax.spaces.base import mix_bits

NUM_VERTICES = 7
NUM_INTERIOR = NUM_VERTICES - 2
MAX_EDGES = 9
EDGES = tuple((source, target) for target in range(NUM_VERTICES) for source in range(target))
"""Bit -> (source, target)."""
INPUT_LABEL, OUTPUT_LABEL = -1, -2
"""Of the vertices without an operation, where the official release numbers the others 0, 1, 2."""
_SEEDS = np.array([0x27D4EB2F, 0x165667B1], np.uint32)
_NEIGHBOUR_FACTOR = np.uint32(0x9E3779B1)


def pack_edges(edges: Int[Array, "*b 21"]) -> Int[Array, "*b"]:
    """Returns the edges as bits of one integer; anything but a 1 counts as no edge."""
    return jnp.sum((edges == 1).astype(jnp.int32) << jnp.arange(len(EDGES)), axis=-1, dtype=jnp.int32)


def unpack_edges(bits: Int[Array, "*b"]) -> Int[Array, "*b 21"]:
    """Returns the edges as zeros and ones."""
    return (bits[..., None] >> jnp.arange(len(EDGES))) & 1


@jax.jit  # also called from the host, one module at a time
def prune(bits: Int[Array, "*b"]) -> Int[Array, "*b"]:
    """Returns the edges between vertices that lie on a path from input to output; 0 where there is no path.

    This is what the official release does to every module before it counts its edges or looks it up
    (Ying et al. 2019, section 2): other vertices and their edges compute nothing that is used.
    """
    reached = jnp.ones_like(bits)
    for vertex in range(1, NUM_VERTICES):
        reached |= ((_sources(bits, vertex) & reached) != 0).astype(bits.dtype) << vertex
    leading = jnp.full_like(bits, 1 << (NUM_VERTICES - 1))
    for vertex in range(NUM_VERTICES - 1, 0, -1):
        leading |= _sources(bits, vertex) * (leading >> vertex & 1)
    kept, pruned = reached & leading, jnp.zeros_like(bits)
    for vertex in range(1, NUM_VERTICES):
        pruned |= (_sources(bits, vertex) & kept) * (kept >> vertex & 1) << _first_bit(vertex)
    return pruned


def num_edges(bits: Int[Array, "*b"]) -> Int[Array, "*b"]:
    """Returns how many edges there are."""
    return jax.lax.population_count(bits)


def module_hash(pruned: Int[Array, "*b"], ops: Int[Array, "*b 5"]) -> UInt32[Array, "*b 2"]:
    """Returns 64 bits that are equal for isomorphic modules and differ between all 423,624 of the benchmark.

    With m a mixing of 32 bits and l a vertex's op, one sweep from input to output, then one back:

        up_v = m(l_v seed + c sum_{u -> v} up_u),    down_u = m(up_u + c sum_{u -> v} down_v);

    the hash is down of the input, once for each of two seeds. A sum does not see the order of its terms, and
    any order in which edges point forwards gives the same sweeps, so relabelling changes nothing. Up
    tells a vertex's ancestors, down what its descendants and all their ancestors are.

    Args:
        pruned: edges after `prune`.
        ops: of the interior vertices; those of vertices without edges do not count.
    """
    edge = {pair: (pruned >> bit & 1).astype(jnp.uint32)[..., None] for bit, pair in enumerate(EDGES)}
    up: list[Array] = []
    for vertex in range(NUM_VERTICES):
        incoming = sum((edge[source, vertex] * up[source] for source in range(vertex)), jnp.uint32(0))
        up.append(mix_bits(_labels(ops, vertex) * _SEEDS + _NEIGHBOUR_FACTOR * incoming))
    down: dict[int, Array] = {}
    for vertex in reversed(range(NUM_VERTICES)):
        outgoing = sum((edge[vertex, target] * down[target] for target in down), jnp.uint32(0))
        down[vertex] = mix_bits(up[vertex] + _NEIGHBOUR_FACTOR * outgoing)
    return down[0]


def pruned_module(phenotype: Int[Array, " e"]) -> tuple[np.ndarray, list[int]]:
    """Returns adjacency matrix [v v] and labels [v] of the vertices on a path, in their order (host).

    Both are empty where there is no path.
    """
    fields = np.asarray(phenotype)
    pruned = prune(pack_edges(jnp.asarray(fields[: len(EDGES)])))
    matrix = np.zeros((NUM_VERTICES, NUM_VERTICES), int)
    matrix[tuple(zip(*EDGES, strict=True))] = np.asarray(unpack_edges(pruned))
    kept = np.flatnonzero(matrix.any(axis=0) | matrix.any(axis=1))
    labels = [INPUT_LABEL, *fields[len(EDGES) :].tolist(), OUTPUT_LABEL]
    return matrix[np.ix_(kept, kept)], [labels[vertex] for vertex in kept]


def official_hash(matrix: np.ndarray, labels: Sequence[int]) -> str:
    """Returns the MD5 name, 32 hex digits, that the official release gives a pruned module (host).

    A vertex starts as the digest of its (out-degree, in-degree, label); then, as many times as there
    are vertices, it becomes the digest of its sorted predecessors, sorted successors and itself. The module is
    the digest of the sorted list of its vertices.

    Args:
        matrix: [v v], 1 at row x and column y for the edge x -> y.
        labels: -1 for the input, op ids 0 conv3x3, 1 conv1x1, 2 maxpool3x3, then -2 for the output.

    >>> official_hash(np.array([[0, 1], [0, 0]]), [-1, -2])
    '043721b9c7fe8c5fad811d47d83132ec'
    """
    linked = np.asarray(matrix) == 1
    degrees = zip(linked.sum(axis=1).tolist(), linked.sum(axis=0).tolist(), map(int, labels), strict=True)
    names = [_md5(str(vertex)) for vertex in degrees]
    for _ in range(len(names)):
        names = [
            _md5(f"{_joined(names, linked[:, vertex])}|{_joined(names, linked[vertex])}|{name}")
            for vertex, name in enumerate(names)
        ]
    return _md5(str(sorted(names)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _joined(names: list[str], chosen: np.ndarray) -> str:
    return "".join(sorted(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen))


def _first_bit(vertex: int) -> int:
    """Returns the bit of the edge from the input to a vertex."""
    return vertex * (vertex - 1) // 2


def _sources(bits: Int[Array, "*b"], vertex: int) -> Int[Array, "*b"]:
    """Returns the vertices with an edge into `vertex`, as bits."""
    return bits >> _first_bit(vertex) & ((1 << vertex) - 1)


def _labels(ops: Int[Array, "*b 5"], vertex: int) -> UInt32[Array, "*b #2"]:
    """Returns a vertex's op, input and output included, as a number of at least 1."""
    if 0 < vertex < NUM_VERTICES - 1:
        return (ops[..., vertex - 1, None] + 3).astype(jnp.uint32)
    return jnp.full((*ops.shape[:-1], 1), 1 if vertex == 0 else 2, jnp.uint32)
