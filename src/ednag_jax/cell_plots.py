"""Pictures of architectures: cells as graphs of boxes and arrows, stacks of blocks as rows of boxes.

A node stands as far along as the longest way to it is long. Arrows are bent no more than it takes to pass by
other nodes and arrows; there are few enough of both to try all ways of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from ednag_jax.figures import COLOURS
from ednag_jax.spaces import (
    Darts,
    NasBench101,
    NasBench201,
    SearchSpace,
    TransNas101Macro,
    TransNas101Micro,
    darts,
    nasbench101,
    nasbench201,
    transnas101,
)
from ednag_jax.spaces.nasbench101_graph import pruned_module
from ednag_jax.spaces.staged import StagedSpace
from ednag_jax.types import HostPhenotype

WIDTH = 8.4
"""Of a picture in inches: 1,008 pixels, which can be read at 600."""
FONT_SIZE = 12.0
NONE, PLAIN = "none", ""
"""Operations of an edge that are drawn faint: one that computes nothing, and one that only leads on."""
GREY, FAINT = "#555555", "#bbbbbb"
LIGHT = ("white", COLOURS[3], COLOURS[4], COLOURS[5])
"""Colours on which black text is read better than white."""

BOX = np.array([1.3, 0.6])
STEP = np.array([2.0, 1.3])
"""Distance of two nodes beside each other, and above each other."""
CLEARANCE = BOX / 2 + 0.15
"""An arrow that comes nearer to a node's middle, in both directions, would touch its box."""
BENDS = tuple(side * bend for bend in (0.0, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0) for side in (1, -1))
"""How far the middle of an arrow is pulled to one side, over its length."""
SAMPLES = np.linspace(0, 1, 33)[:, None]

STACK_BOX, STACK_STEP = np.array([1.75, 0.85]), np.array([2.1, 1.25])
BLOCKS_PER_ROW = 8
BLOCK_TEXTS = ("plain", "channels x 2", "size / 2", "channels x 2\nsize / 2")
BLOCK_COLOURS = ("white", COLOURS[5], COLOURS[4], COLOURS[3])
LETTERS = {"d": "width", "e": "expand", "h": "heads", "k": "kernel", "m": "MLP", "r": "image size"}
"""Of the text form of a staged space, in words."""
WORD = re.compile(r"[a-z][\d.]+")


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


def architecture_figure(space: SearchSpace, phenotype: HostPhenotype) -> Figure:
    """Returns a picture of one architecture; `figures.save` writes it.

    Args:
        space: one of `SPACES`, or of their classes.
        phenotype: a valid one of it.

    Raises:
        ValueError: the phenotype is not valid, or the shape of the space's architectures is not known.
    """
    fields = jnp.asarray(phenotype, jnp.int32)
    if fields.shape != (space.num_fields,) or not space.is_valid(fields):
        raise ValueError(
            f"phenotype {fields.tolist()} is no architecture of space {space.name!r}, which has "
            f"{space.num_fields} fields; take one of `decode`, `random` or `from_str`"
        )
    for kind, draw in PICTURES.items():
        if isinstance(space, kind):
            return draw(space, np.asarray(fields))
    known = ", ".join(kind.__name__ for kind in PICTURES)
    raise ValueError(f"space {space.name!r} has no picture; spaces of {known} have one")


# --------------------------------------------------------------------------------------------------- graphs


def _four_nodes(space: SearchSpace, phenotype: np.ndarray) -> Figure:
    """Returns a cell with an operation on each of 6 edges."""
    ops = nasbench201.OPS if isinstance(space, NasBench201) else transnas101.OPS
    edges = tuple(Edge(*pair, ops[op]) for pair, op in zip(nasbench201.EDGES, phenotype, strict=True))
    nodes = tuple(Node(text) for text in ("input", "1", "2", "output"))
    return graph_figure([Graph("", nodes, edges)], ops)


def _module(space: SearchSpace, phenotype: np.ndarray) -> Figure:
    """Returns a module with its operations in the boxes, without what lies on no path."""
    del space
    matrix, labels = pruned_module(jnp.asarray(phenotype))
    inside = tuple(Node(nasbench101.OPS[op].split("-")[0], COLOURS[op]) for op in labels[1:-1])
    edges = tuple(Edge(int(source), int(target)) for source, target in np.argwhere(matrix))
    return graph_figure([Graph("", (Node("input"), *inside, Node("output")), edges)], ())


def _two_cells(space: SearchSpace, phenotype: np.ndarray) -> Figure:
    """Returns the normal and the reduction cell side by side."""
    del space
    sources, ops = (np.asarray(part) for part in darts.edges(jnp.asarray(phenotype)))
    first = darts.NUM_INPUTS
    nodes = (Node("c(k-2)"), Node("c(k-1)"), *(Node(str(i)) for i in range(darts.NUM_NODES)), Node("c(k)"))
    joined = tuple(Edge(node, len(nodes) - 1) for node in range(first, len(nodes) - 1))
    graphs = []
    for cell, title in enumerate(("normal cell", "reduction cell")):
        own = zip(sources[cell], darts.NODE_OF_EDGE + first, ops[cell], strict=True)
        edges = tuple(Edge(int(source), int(node), darts.OPS[op]) for source, node, op in own)
        graphs.append(Graph(title, nodes, (*edges, *joined)))
    return graph_figure(graphs, darts.OPS)


def graph_figure(graphs: Sequence[Graph], ops: Sequence[str]) -> Figure:
    """Returns a graph from left to right, or several side by side from top to bottom, with a legend.

    Args:
        graphs: one a panel.
        ops: all operations of the space; an operation has the same colour in every picture of it.
    """
    colours = dict(zip((op for op in ops if op != NONE), COLOURS, strict=False))
    places = [node_places(graph, downward=len(graphs) > 1) for graph in graphs]
    bends = [edge_bends(place, graph.edges) for place, graph in zip(places, graphs, strict=True)]
    laid_out = list(zip(graphs, places, bends, strict=True))
    figure = _panels([_extent(place, graph.edges, bend) for graph, place, bend in laid_out])
    for axes, (graph, place, bend) in zip(figure.axes, laid_out, strict=True):
        axes.set_title(graph.title, fontsize=FONT_SIZE)
        _draw_graph(axes, graph, place, bend, colours)
    used = {edge.op for graph in graphs for edge in graph.edges}
    lines = [Line2D([], [], color=colours[op], linewidth=3, label=op) for op in colours if op in used]
    if lines:
        figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False, fontsize=FONT_SIZE)
    return figure


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
    return places * STEP


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


def _extent(
    places: Float[np.ndarray, "v 2"], edges: Sequence[Edge], bends: Sequence[float]
) -> Float[np.ndarray, "2 2"]:
    """Returns the lower left and the upper right corner of all that is drawn."""
    lines = [curve(places[e.source], places[e.target], bend) for e, bend in zip(edges, bends, strict=True)]
    points = np.concatenate([places - BOX / 2, places + BOX / 2, *lines])
    return np.stack([points.min(axis=0) - 0.1, points.max(axis=0) + 0.1])


def _panels(extents: Sequence[Float[np.ndarray, "2 2"]]) -> Figure:
    """Returns a figure with a panel for every extent, all at one scale, its height as it takes."""
    spans = np.array([high - low for low, high in extents])
    inches = min(WIDTH / spans[:, 0].sum(), 1.1)
    figure = Figure(figsize=(WIDTH, spans[:, 1].max() * inches + 0.9), layout="constrained")
    grid = figure.add_gridspec(1, len(extents), width_ratios=spans[:, 0])
    for column, (low, high) in enumerate(extents):
        axes = figure.add_subplot(grid[0, column])
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", anchor="N")
        axes.axis("off")
    return figure


def _draw_graph(
    axes: Axes,
    graph: Graph,
    places: Float[np.ndarray, "v 2"],
    bends: Sequence[float],
    colours: dict[str, str],
) -> None:
    """Draws boxes, and arrows from box to box."""
    boxes = [_draw_box(axes, node, place, BOX) for node, place in zip(graph.nodes, places, strict=True)]
    for edge, bend in zip(graph.edges, bends, strict=True):
        has_colour = edge.op in colours
        arrow = FancyArrowPatch(
            tuple(places[edge.source]),
            tuple(places[edge.target]),
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=16,
            patchA=boxes[edge.source],
            patchB=boxes[edge.target],
            shrinkA=0,
            shrinkB=1,
            zorder=2 if has_colour else 1,
            color=colours.get(edge.op, FAINT if colours else GREY),  # where there is no other, it is not faint
            linewidth=2.4 if has_colour else 1.2,
            linestyle=":" if edge.op == NONE else "-",
        )
        axes.add_patch(arrow)


def _draw_box(
    axes: Axes, node: Node, middle: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"]
) -> FancyBboxPatch:
    """Draws a box with its text, and returns it."""
    (left, low), (width, height) = middle - size / 2, size
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.12", "edgecolor": GREY, "linewidth": 1.2}
    box = FancyBboxPatch((left, low), width, height, facecolor=node.colour, zorder=3, **style)
    axes.add_patch(box)
    colour = "black" if node.colour in LIGHT else "white"
    axes.text(
        middle[0], middle[1], node.text, ha="center", va="center", fontsize=FONT_SIZE, color=colour, zorder=4
    )
    return box


# --------------------------------------------------------------------------------------------------- stacks


def _macro(space: SearchSpace, phenotype: np.ndarray) -> Figure:
    """Returns the blocks in a row, and what each does to channels and resolution."""
    del space
    blocks = [Node(BLOCK_TEXTS[block], BLOCK_COLOURS[block]) for block in phenotype if block >= 0]
    return stack_figure([("", blocks)])


def _stages(space: StagedSpace, phenotype: np.ndarray) -> Figure:
    """Returns a row a stage, its blocks coloured by their first choice."""
    whole, *stages = (part.split() for part in space.to_str(phenotype).split(" | "))
    first = [f"{space.block[0].letter}{value:g}" for value in space.block[0].values]
    rows = []
    for number, stage in enumerate(stages, 1):
        blocks = [Node(_in_words(kind), COLOURS[first.index(WORD.findall(kind)[0])]) for kind in stage]
        rows.append((f"stage {number}" if len(stages) > 1 else "", blocks))
    return stack_figure(rows, title=", ".join(map(_in_words, whole)))


def _in_words(text: str) -> str:
    """Returns the text form of a block with a word for each of its letters, one a line."""
    return "\n".join(f"{LETTERS.get(part[0], part[0])} {part[1:]}" for part in WORD.findall(text))


def stack_figure(rows: Sequence[tuple[str, Sequence[Node]]], *, title: str = "") -> Figure:
    """Returns boxes in rows from left to right, each row with a label, and arrows from box to box.

    Rows of more than `BLOCKS_PER_ROW` boxes are broken.
    """
    lines = [
        (label if start == 0 else "", blocks[start : start + BLOCKS_PER_ROW])
        for label, blocks in rows
        for start in range(0, len(blocks), BLOCKS_PER_ROW)
    ]
    margin = 1.3 if any(label for label, _ in rows) else 0.0
    width = STACK_STEP[0] * max(len(blocks) for _, blocks in lines)
    figure = _panels([np.array([[-margin, -STACK_STEP[1] * len(lines)], [width, 0.0]])])
    (axes,) = figure.axes
    axes.set_title(title, fontsize=FONT_SIZE)
    before = None
    for row, (label, blocks) in enumerate(lines):
        axes.text(-margin, -(row + 0.5) * STACK_STEP[1], label, va="center", fontsize=FONT_SIZE)
        for column, node in enumerate(blocks):
            middle = STACK_STEP * np.array([column + 0.5, -row - 0.5])
            _draw_box(axes, node, middle, STACK_BOX)
            if before is not None:
                _draw_link(axes, before, middle)
            before = middle
    return figure


def _draw_link(axes: Axes, start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]) -> None:
    """Draws an arrow between two boxes: to the right, or around to the row below."""
    right, up = STACK_BOX / 2 * np.eye(2)
    between = (start[1] + end[1]) / 2
    if start[1] == end[1]:
        points = [start + right, end - right]
    else:
        points = [start - up, np.array([start[0], between]), np.array([end[0], between]), end + up]
    path = Path(np.stack(points))
    axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=14, color=GREY, linewidth=1.2))


PICTURES: dict[type[SearchSpace], Callable[[Any, np.ndarray], Figure]] = {
    NasBench101: _module,
    NasBench201: _four_nodes,
    TransNas101Micro: _four_nodes,
    TransNas101Macro: _macro,
    Darts: _two_cells,
    StagedSpace: _stages,
}
"""Space -> what draws its architectures."""
