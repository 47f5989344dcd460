"""Where the nodes and edges of a small graph are drawn.

A node stands as far along as the longest way to it is long. Arrows are bent no more than it takes to pass by
other nodes and arrows; there are few enough of both to try all ways of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BOX = np.array([1.3, 0.7])
RIGHTWARD, DOWNWARD = np.array([2.0, 1.4]), np.array([2.2, 1.6])
"""Distance of two nodes beside each other, and above each other, in a graph that leads this way."""
CLEARANCE = BOX / 2 + 0.15
"""An arrow that comes nearer to a node's middle, in both directions, would touch its box."""
BENDS = (0.0, *(side * bend for bend in (0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5) for side in (1, -1)))
"""How far the middle of an arrow is pulled to one side, over its length."""
SAMPLES = np.linspace(0, 1, 33)[:, None]

PLAIN = ""
"""Operation of an edge that only leads on."""


class Node(NamedTuple):
    """A box."""

    text: str
    colour: str = "white"


class Edge(NamedTuple):
    """An arrow between two nodes, by their places."""

    source: int
    target: int
    op: str = PLAIN


class Graph(NamedTuple):
    """One panel; every edge leads to a later node."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def node_places(graph: Graph, *, downward: bool = False) -> Float[np.ndarray, "v 2"]:
    """Returns the middles of the boxes: by depth from left to right, or downwards, side by side at equal depth.

    Of all orders of the nodes of equal depth that with the fewest lines across a node or each other is taken.
    """
    depth = [0] * len(graph.nodes)
    for source, target, _ in sorted(graph.edges, key=lambda edge: edge.target):
        depth[target] = max(depth[target], depth[source] + 1)
    levels = [[node for node, own in enumerate(depth) if own == level] for level in range(max(depth) + 1)]
    orders = itertools.product(*(itertools.permutations(level) for level in levels))
    layouts = [_laid_out(order, downward) for order in orders]
    return min(layouts, key=lambda places: _tangle(places, graph.edges))


def _laid_out(levels: Sequence[Sequence[int]], downward: bool) -> Float[np.ndarray, "v 2"]:
    """Returns the middles of the boxes for an order of the nodes within every level."""
    places = np.zeros((sum(map(len, levels)), 2))
    for depth, level in enumerate(levels):
        for lane, node in enumerate(level):
            offset = lane - (len(level) - 1) / 2
            places[node] = (offset, -depth) if downward else (depth, -offset)
    return places * (DOWNWARD if downward else RIGHTWARD)


def _tangle(places: Float[np.ndarray, "v 2"], edges: Sequence[Edge]) -> int:
    """Returns how many straight lines would cross another, and ten times how many would cross a node."""
    lines = [curve(places[edge.source], places[edge.target]) for edge in edges]
    hits = sum(_hits(line, places, edge) for line, edge in zip(lines, edges, strict=True))
    pairs = itertools.combinations(zip(lines, edges, strict=True), 2)
    return 10 * hits + sum(_crosses(a, b) for (a, one), (b, other) in pairs if not {*one[:2]} & {*other[:2]})


def _crosses(a: Float[np.ndarray, "p 2"], b: Float[np.ndarray, "p 2"]) -> bool:
    """Returns whether two straight lines cross: the ends of each lie on either side of the other."""

    def parted(line: np.ndarray, other: np.ndarray) -> bool:
        (along, across), ends = line[-1] - line[0], other[[0, -1]] - line[0]
        first, last = along * ends[:, 1] - across * ends[:, 0]
        return bool(first * last < 0)

    return parted(a, b) and parted(b, a)


def curve(
    start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], bend: float = 0.0
) -> Float[np.ndarray, "p 2"]:
    """Returns points of an arrow: a parabola whose middle is pulled to its right, as matplotlib's `arc3` is."""
    along = end - start
    middle = (start + end) / 2 + bend * np.array([along[1], -along[0]])
    return (1 - SAMPLES) ** 2 * start + 2 * SAMPLES * (1 - SAMPLES) * middle + SAMPLES**2 * end


def _hits(points: Float[np.ndarray, "p 2"], places: Float[np.ndarray, "v 2"], edge: Edge) -> int:
    """Returns how many nodes that an arrow has nothing to do with it would touch."""
    others = np.delete(places, [edge.source, edge.target], axis=0)
    return int(np.sum(np.any(np.all(np.abs(points[:, None] - others) < CLEARANCE, axis=-1), axis=0)))


def edge_bends(places: Float[np.ndarray, "v 2"], edges: Sequence[Edge]) -> list[float]:
    """Returns how far each arrow is bent, of `BENDS`: the least with which it passes by nodes and arrows.

    Short arrows choose first; a long one passes by those that have.
    """
    bends, drawn = [0.0] * len(edges), list[np.ndarray]()
    length = [float(np.hypot(*(places[edge.target] - places[edge.source]))) for edge in edges]
    for index in np.argsort(length, kind="stable"):
        edge = edges[index]
        ways = [curve(places[edge.source], places[edge.target], bend) for bend in BENDS]
        cost = [
            10 * _hits(way, places, edge) + 4 * _overlap(way, drawn) + abs(bend)
            for way, bend in zip(ways, BENDS, strict=True)
        ]
        best = int(np.argmin(cost))
        bends[index] = BENDS[best]
        drawn.append(ways[best])
    return bends


def _overlap(points: Float[np.ndarray, "p 2"], drawn: Sequence[Float[np.ndarray, "p 2"]]) -> float:
    """Returns which share of an arrow lies upon others, its ends left out: at a node they are always near."""
    inner = points[6:-6]
    return sum(
        float(np.mean(np.linalg.norm(inner[:, None] - other, axis=-1).min(axis=1) < 0.2)) for other in drawn
    )


def extent(
    places: Float[np.ndarray, "v 2"], edges: Sequence[Edge], bends: Sequence[float]
) -> Float[np.ndarray, "2 2"]:
    """Returns the lower left and the upper right corner of all that is drawn."""
    lines = [curve(places[e.source], places[e.target], bend) for e, bend in zip(edges, bends, strict=True)]
    points = np.concatenate([places - BOX / 2, places + BOX / 2, *lines])
    return np.stack([points.min(axis=0) - 0.1, points.max(axis=0) + 0.1])
