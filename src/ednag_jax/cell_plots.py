"""Pictures of architectures: cells as graphs of boxes and arrows, stacks of blocks as rows of boxes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from ednag_jax.cell_layout import BOX, Edge, Graph, Node, edge_bends, extent, node_places
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
NONE = "none"
"""The operation that computes nothing."""
GREY, FAINT = "#555555", "#bbbbbb"
LIGHT = ("white", COLOURS[3], COLOURS[4], COLOURS[5])
"""Colours on which black text is read better than white."""

STACK_BOX, STACK_STEP = np.array([1.75, 1.0]), np.array([2.1, 1.4])
BLOCKS_PER_ROW = 8
LEAST_WIDTH = 8.5
"""Of all panels together, in the unit of boxes: so that a small graph does not get large ones."""
BLOCK_TEXTS = ("plain", "channels x 2", "size / 2", "channels x 2\nsize / 2")
BLOCK_COLOURS = ("white", COLOURS[5], COLOURS[4], COLOURS[3])
LETTERS = {"d": "width", "e": "expand", "h": "heads", "k": "kernel", "m": "MLP", "r": "image size"}
"""Of the text form of a staged space, in words."""
WORD = re.compile(r"[a-z][\d.]+")


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
    texts = [re.sub(r"(\d)", r"\n\1", op.split("-")[0], count=1) for op in nasbench101.OPS]
    inside = tuple(Node(texts[op], COLOURS[op]) for op in labels[1:-1])
    edges = tuple(Edge(int(source), int(target)) for source, target in np.argwhere(matrix))
    return graph_figure([Graph("", (Node("input"), *inside, Node("output")), edges)], ())


def _two_cells(space: SearchSpace, phenotype: np.ndarray) -> Figure:
    """Returns the normal and the reduction cell side by side."""
    del space
    return graph_figure(darts_graphs(phenotype), darts.OPS)


def darts_graphs(phenotype: Int[np.ndarray, " e"]) -> list[Graph]:
    """Returns the normal and the reduction cell; all nodes of a cell lead to its output."""
    sources, ops = (np.asarray(part) for part in darts.edges(jnp.asarray(phenotype)))
    first = darts.NUM_INPUTS
    nodes = (Node("c(k-2)"), Node("c(k-1)"), *(Node(str(i)) for i in range(darts.NUM_NODES)), Node("c(k)"))
    joined = tuple(Edge(node, len(nodes) - 1) for node in range(first, len(nodes) - 1))
    graphs = []
    for cell, title in enumerate(("normal cell", "reduction cell")):
        own = zip(sources[cell], darts.NODE_OF_EDGE + first, ops[cell], strict=True)
        edges = tuple(Edge(int(source), int(node), darts.OPS[op]) for source, node, op in own)
        graphs.append(Graph(title, nodes, (*edges, *joined)))
    return graphs


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
    spare = 0.7 if colours else 0.3  # for the legend and for titles
    figure = _panels([extent(place, graph.edges, bend) for graph, place, bend in laid_out], spare)
    for axes, (graph, place, bend) in zip(figure.axes, laid_out, strict=True):
        axes.set_title(graph.title, fontsize=FONT_SIZE)
        _draw_graph(axes, graph, place, bend, colours)
    used = {edge.op for graph in graphs for edge in graph.edges}
    lines = [Line2D([], [], color=colours[op], linewidth=3, label=op) for op in colours if op in used]
    if lines:
        figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False, fontsize=FONT_SIZE)
    return figure


def _panels(extents: Sequence[Float[np.ndarray, "2 2"]], spare: float) -> Figure:
    """Returns a figure with a panel for every extent, all at one scale, and some inches of height to spare."""
    missing = max(0.0, LEAST_WIDTH - sum(high[0] - low[0] for low, high in extents)) / len(extents)
    extents = [extent + np.array([[-missing / 2, 0], [missing / 2, 0]]) for extent in extents]
    spans = np.array([high - low for low, high in extents])
    height = spans[:, 1].max() * WIDTH / spans[:, 0].sum()
    figure = Figure(figsize=(WIDTH, height + spare), layout="constrained")
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
    box = FancyBboxPatch((left, low), width, height, boxstyle="round,pad=0,rounding_size=0.12", zorder=3)
    box.set(facecolor=node.colour, edgecolor=GREY, linewidth=1.2)
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
    figure = _panels([np.array([[-margin, -STACK_STEP[1] * len(lines)], [width, 0.0]])], spare=0.3)
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
