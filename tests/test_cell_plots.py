"""Pictures of architectures: every part is there, nodes stand by depth, arrows touch no box but their own."""

import itertools

import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import ConnectionStyle, FancyArrowPatch, FancyBboxPatch

import ednag_jax as ed
from ednag_jax.cell_layout import BOX, CLEARANCE, Edge, Graph, Node, curve, edge_bends, node_places
from ednag_jax.cell_plots import FAINT, PICTURES, WIDTH, architecture_figure, darts_graphs, graph_figure
from ednag_jax.figures import COLOURS, DPI, save
from ednag_jax.spaces.nasbench101_graph import pruned_module


def patches(figure, kind):
    return [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, kind)]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend(figure):
    handles = figure.legends[0].legend_handles
    return {handle.get_label(): handle.get_color() for handle in handles}


def longest_way(node, edges):
    return max((1 + longest_way(edge.source, edges) for edge in edges if edge.target == node), default=0)


def touched(graph, places):
    """Boxes that arrows pass through, counted along fine curves and apart from the program's own count."""
    count = 0
    for edge, bend in zip(graph.edges, edge_bends(places, graph.edges), strict=True):
        start, end = places[edge.source], places[edge.target]
        pulled = (start + end) / 2 + bend * np.array([end[1] - start[1], start[0] - end[0]])
        for t in np.linspace(0, 1, 101):
            at = (1 - t) ** 2 * start + 2 * t * (1 - t) * pulled + t**2 * end
            for node, middle in enumerate(places):
                if node not in edge[:2] and (abs(at - middle) < BOX / 2).all():
                    count += 1
    return count


def modules(num):
    """Graphs of random modules of NAS-Bench-101."""
    for phenotype in ed.SPACES["nasbench101"].random(jax.random.key(3), num):
        matrix, _ = pruned_module(phenotype)
        nodes = tuple(Node(str(node)) for node in range(len(matrix)))
        yield Graph("", nodes, tuple(Edge(int(u), int(v)) for u, v in np.argwhere(matrix)))


@pytest.mark.parametrize("name", sorted(ed.SPACES))
def test_every_space_has_a_picture_of_one_width(name, tmp_path):
    space = ed.SPACES[name]
    figure = architecture_figure(space, space.random(jax.random.key(0), 1)[0])
    pixels = matplotlib.image.imread(save(figure, tmp_path / "cell.png"))[..., :3]
    assert pixels.shape[1] == round(WIDTH * DPI)
    assert pixels.std() > 0.05
    assert (pixels[:, [0, -1]] == 1).all(), "something is cut off at the edge"


def test_a_cell_shows_each_edge_in_the_colour_of_its_operation():
    space = ed.SPACES["nasbench201"]
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    figure = architecture_figure(space, space.from_str(cell))
    assert texts(figure) == ["input", "1", "2", "output"]
    shown = legend(figure)
    assert list(shown) == ["skip_connect", "nor_conv_3x3", "avg_pool_3x3"]
    ops = ["nor_conv_3x3", "none", "skip_connect", "skip_connect", "nor_conv_3x3", "avg_pool_3x3"]
    drawn = [to_hex(arrow.get_edgecolor()).upper() for arrow in patches(figure, FancyArrowPatch)]
    assert drawn == [shown.get(op, FAINT.upper()) for op in ops]
    other = architecture_figure(space, [3] * 6)
    assert legend(other) == {"nor_conv_3x3": shown["nor_conv_3x3"]}


def test_a_module_shows_what_is_left_of_it_after_pruning():
    space = ed.SPACES["nasbench101"]
    ops = '"input","conv3x3-bn-relu","maxpool3x3","output"'
    text = f'{{"matrix":[[0,1,1,0],[0,0,0,1],[0,0,0,0],[0,0,0,0]],"ops":[{ops}]}}'
    figure = architecture_figure(space, space.from_str(text))
    assert texts(figure) == ["input", "conv\n3x3", "output"]
    assert len(patches(figure, FancyArrowPatch)) == 2
    assert not figure.legends


def test_darts_shows_both_cells_side_by_side():
    space = ed.SPACES["darts"]
    figure = architecture_figure(space, space.random(jax.random.key(1), 1)[0])
    assert [axes.get_title() for axes in figure.axes] == ["normal cell", "reduction cell"]
    for axes in figure.axes:
        arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
        faint = [arrow for arrow in arrows if to_hex(arrow.get_edgecolor()) == FAINT]
        assert (len(arrows), len(faint)) == (8 + 4, 4)
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.x1 <= right.x0 + 0.01


def test_stacks_show_their_blocks_in_order():
    space = ed.SPACES["transnas101_macro"]
    figure = architecture_figure(space, space.from_str("64-1234-basic"))
    assert texts(figure)[1:] == ["plain", "channels x 2", "size / 2", "channels x 2\nsize / 2"]
    assert len(patches(figure, FancyArrowPatch)) == 3
    mobile = ed.SPACES["mobilenetv3"]
    text = "r208 | k3e3 k5e6 | k3e3 k3e3 k7e4 | k7e4 k3e3 | k3e3 k3e3 | k3e3 k3e3"
    figure = architecture_figure(mobile, mobile.from_str(text))
    assert figure.axes[0].get_title() == "image size 208"
    assert texts(figure)[:4] == ["stage 1", "kernel 3\nexpand 3", "kernel 5\nexpand 6", "stage 2"]
    assert len(patches(figure, FancyBboxPatch)) == 11
    assert len(patches(figure, FancyArrowPatch)) == 10


def test_nodes_stand_by_the_length_of_the_longest_way_to_them():
    for graph in modules(40):
        places = node_places(graph)
        columns = np.unique(places[:, 0], return_inverse=True)[1]
        assert columns.tolist() == [longest_way(node, graph.edges) for node in range(len(graph.nodes))]
        downwards = node_places(graph, downward=True)
        assert np.unique(-downwards[:, 1], return_inverse=True)[1].tolist() == columns.tolist()
        for one, other in itertools.combinations(places, 2):
            assert (abs(one - other) >= BOX + 0.3).any()


@pytest.mark.slow
def test_arrows_touch_no_box_but_their_own():
    assert sum(touched(graph, node_places(graph)) for graph in modules(40)) == 0
    for phenotype in np.asarray(ed.SPACES["darts"].random(jax.random.key(2), 10)):
        for graph in darts_graphs(phenotype):
            assert touched(graph, node_places(graph, downward=True)) == 0


def test_branches_do_not_cross_where_they_need_not():
    nodes = tuple(Node(str(node)) for node in range(6))
    edges = tuple(Edge(*pair) for pair in ((0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)))
    places = node_places(Graph("", nodes, edges))
    assert (places[1, 1] > places[2, 1]) == (places[4, 1] > places[3, 1])


def test_only_an_arrow_past_another_node_is_bent():
    line = np.array([[0.0, 0], [2, 0], [4, 0]])
    bends = edge_bends(line, [Edge(0, 2), Edge(0, 1), Edge(1, 2)])
    assert abs(bends[0]) >= CLEARANCE[1] / 4 * 2
    assert bends[1:] == [0, 0]


def test_arrows_are_drawn_where_they_are_counted():
    start, end = np.array([1.0, 2.0]), np.array([4.0, 0.5])
    start_at, pulled, end_at = ConnectionStyle("arc3", rad=0.4)(start, end, shrinkA=0, shrinkB=0).vertices
    middle = curve(start, end, 0.4)[16]
    np.testing.assert_allclose(middle, (start_at + 2 * pulled + end_at) / 4)


def test_colours_do_not_depend_on_what_a_cell_has():
    graph = Graph("", (Node("a"), Node("b")), (Edge(0, 1, "second"),))
    assert legend(graph_figure([graph], ["none", "first", "second"])) == {"second": COLOURS[1]}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"phenotype \[9, 0, 0, 0, 0, 0\] is no architecture"):
        architecture_figure(ed.SPACES["nasbench201"], [9, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="no architecture of space 'nasbench201', which has 6 fields"):
        architecture_figure(ed.SPACES["nasbench201"], [1, 1])
    mine = ed.CategoricalSpace("mine", choices=(2, 2))
    with pytest.raises(ValueError, match=f"space 'mine' has no picture; .*{next(iter(PICTURES)).__name__}"):
        architecture_figure(mine, jnp.zeros(2, jnp.int32))
