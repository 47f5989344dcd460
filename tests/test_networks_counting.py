"""Sizes of networks: formulas against the published numbers, and networks against formulas."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import pytest
from plain_networks import TINY

from ednag_jax.benchmarks.nasbench101 import phenotypes, read_table
from ednag_jax.benchmarks.nasbench201 import package_tables
from ednag_jax.networks import (
    NasBench201Any,
    build,
    darts,
    multiply_adds,
    nasbench101,
    nasbench201,
    num_parameters,
    transnas101,
)
from ednag_jax.networks.blocks import conv
from ednag_jax.proxies.fitness import COUNTS as PROXY_COUNTS
from ednag_jax.spaces import SPACES
from ednag_jax.spaces.nasbench201 import OPS as NB201_OPS

CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
COUNTS = {
    "darts": darts.parameter_count,
    "nasbench101": nasbench101.parameter_count,
    "nasbench201": nasbench201.parameter_count,
    "transnas101_micro": transnas101.micro_parameter_count,
    "transnas101_macro": transnas101.macro_parameter_count,
}
enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64  # before jax 0.8
QUICK = ("nasbench201", "transnas101_macro")
"""Spaces whose small networks are traced in no time."""
GENOTYPES = {
    "DARTS_V2": (
        "Genotype(normal=[('sep_conv_3x3',0),('sep_conv_3x3',1),('sep_conv_3x3',0),('sep_conv_3x3',1),"
        "('sep_conv_3x3',1),('skip_connect',0),('skip_connect',0),('dil_conv_3x3',2)],normal_concat=range(2,6),"
        "reduce=[('max_pool_3x3',0),('max_pool_3x3',1),('skip_connect',2),('max_pool_3x3',1),('max_pool_3x3',0),"
        "('skip_connect',2),('skip_connect',2),('max_pool_3x3',1)],reduce_concat=range(2,6))"
    ),
    "PDARTS": (
        "Genotype(normal=[('skip_connect',0),('dil_conv_3x3',1),('skip_connect',0),('sep_conv_3x3',1),"
        "('sep_conv_3x3',1),('sep_conv_3x3',3),('sep_conv_3x3',0),('dil_conv_5x5',4)],normal_concat=range(2,6),"
        "reduce=[('avg_pool_3x3',0),('sep_conv_5x5',1),('sep_conv_3x3',0),('dil_conv_5x5',2),('max_pool_3x3',0),"
        "('dil_conv_3x3',1),('dil_conv_3x3',1),('dil_conv_5x5',3)],reduce_concat=range(2,6))"
    ),
    "PCDARTS": (
        "Genotype(normal=[('sep_conv_3x3',1),('skip_connect',0),('sep_conv_3x3',0),('dil_conv_3x3',1),"
        "('sep_conv_5x5',0),('sep_conv_3x3',1),('avg_pool_3x3',0),('dil_conv_3x3',1)],normal_concat=range(2,6),"
        "reduce=[('sep_conv_5x5',1),('max_pool_3x3',0),('sep_conv_5x5',1),('sep_conv_5x5',2),('sep_conv_3x3',0),"
        "('sep_conv_3x3',3),('sep_conv_3x3',1),('sep_conv_3x3',2)],reduce_concat=range(2,6))"
    ),
}


@cache
def all_nasbench201():
    """Returns all cells in the order of the table."""
    space = SPACES["nasbench201"]
    return space.from_index(jnp.arange(space.size))


@pytest.mark.parametrize("dataset", list(CLASSES))
def test_all_15625_cells_have_the_measured_parameters(dataset, data_dir):
    """Counted by others on the official networks; in millions, on ImageNet16-120 as they are."""
    with np.load(data_dir / "nasbench201" / "nasbench201.npz") as table:
        ops, measured = table["ops"], table[f"{dataset}_params"]
    unit = 1 if dataset == "ImageNet16-120" else 1e6
    found = nasbench201.parameter_count(jnp.asarray(ops, jnp.int32), num_classes=CLASSES[dataset])
    np.testing.assert_array_equal(found, np.rint(unit * measured))


@pytest.mark.parametrize("dataset", list(CLASSES))
def test_released_model_sizes_differ_in_150_rows_by_one_convolution(dataset):
    """A known error of the release (NATS-Bench issue 36): these rows list another cell's size."""
    released = np.rint(1e6 * package_tables()[f"{dataset}_model_size"])
    found = nasbench201.parameter_count(all_nasbench201(), num_classes=CLASSES[dataset])
    difference = np.abs(released - found)
    assert np.count_nonzero(difference) == 150
    convolutions = {5 * sum(k * c * c + 2 * c for c in (16, 32, 64)) for k in (1, 9)}
    assert set(difference[difference > 0]) == convolutions


PUBLISHED_FLOPS = {  # millions, of the smallest and the largest cell; the linear layer's biases count
    "cifar10": (32, 7.78305, 220.11969),
    "cifar100": (32, 7.78890, 220.12554),
    "ImageNet16-120": (16, 1.95340, 55.03756),
}


@pytest.mark.parametrize(
    "dataset", ["cifar10", *(pytest.param(d, marks=pytest.mark.slow) for d in ("cifar100", "ImageNet16-120"))]
)
def test_nasbench201_multiply_adds_are_the_published(dataset):
    pixels, least, most = PUBLISHED_FLOPS[dataset]
    for op, published in (("none", least), ("nor_conv_3x3", most)):
        network = build("nasbench201", [NB201_OPS.index(op)] * 6, num_classes=CLASSES[dataset])
        found = multiply_adds(network, (pixels, pixels, 3)) + CLASSES[dataset]
        assert round(found / 1e6, 5) == published


def test_all_423624_modules_have_the_measured_parameters(data_dir):
    table = read_table(data_dir)
    modules = jnp.asarray(phenotypes(table["num_vertices"], table["adj_bits"], table["ops"]))
    found = jax.jit(partial(nasbench101.parameter_count, num_classes=10))(modules)
    np.testing.assert_array_equal(found, table["params"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"), [("DARTS_V2", 3_349_342), ("PDARTS", 3_433_798), ("PCDARTS", 3_634_678)]
)
def test_darts_networks_have_the_published_parameters(name, published):
    """The first two are printed to the last parameter by users of the official code; the third as 3.63 M."""
    phenotype = SPACES["darts"].from_str(GENOTYPES[name])
    assert num_parameters(build("darts", phenotype, num_classes=10)) == published
    assert darts.parameter_count(phenotype, num_classes=10) == published
    assert plain_darts_count(GENOTYPES[name]) == published


@pytest.mark.slow
def test_darts_auxiliary_head_adds_the_published_parameters():
    phenotype = SPACES["darts"].from_str(GENOTYPES["PDARTS"])
    assert num_parameters(build("darts", phenotype, num_classes=10, auxiliary=True)) == 3_910_224


def plain_darts_count(text, channels=36, num_cells=20, num_classes=10):
    """Returns the parameters from the text of a genotype, added up operation by operation."""
    genotype = eval(text, {"Genotype": dict, "range": range})

    def size(op, c, stride):
        pointwise, norm = c * c, 2 * c
        if op == "skip_connect":
            return pointwise + norm if stride == 2 else 0
        if "pool" in op:
            return 0
        once = int(op[-1]) ** 2 * c + pointwise + norm
        return 2 * once if "sep" in op else once

    c, widths = channels, [3 * channels, 3 * channels]
    total = 27 * widths[0] + 2 * widths[0]
    for cell in range(num_cells):
        reduces = cell in (num_cells // 3, 2 * num_cells // 3)
        c = 2 * c if reduces else c
        total += sum(width * c + 2 * c for width in widths)
        for op, source in genotype["reduce" if reduces else "normal"]:
            total += size(op, c, 2 if reduces and source < 2 else 1)
        widths = [widths[1], 4 * c]
    return total + widths[1] * num_classes + num_classes


def counted_at_once(name, phenotype, **settings):
    """Returns multiply-adds by formula in float64, which holds them exactly."""
    with enable_x64(True):
        count = partial(PROXY_COUNTS["flops"][name], num_classes=7, **settings)
        return np.asarray(jax.jit(count)(phenotype))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in COUNTS]
)
def test_multiply_adds_by_formula_are_those_of_the_small_network(name):
    """Of an odd size, where halves round up, but for NAS-Bench-201, which needs a multiple of 4."""
    side = 12 if name == "nasbench201" else 13
    drawn = SPACES[name].random(jax.random.key(1), 2)
    found = counted_at_once(name, drawn, image_size=side, **TINY[name])
    for phenotype, count in zip(drawn, found, strict=True):
        network = build(name, phenotype, num_classes=7, **TINY[name])
        assert count == multiply_adds(network, (side, side, 3))


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.slow
def test_multiply_adds_by_formula_are_those_of_the_network_at_the_published_size(name):
    """Exactly in float64, and in float32 as near as it can be."""
    space, drawn = SPACES[name], SPACES[name].random(jax.random.key(2), 4)
    found = counted_at_once(name, drawn)
    single = PROXY_COUNTS["flops"][name](drawn, num_classes=7)
    np.testing.assert_allclose(single, found, rtol=3e-7)
    assert single.dtype == jnp.float32
    side = {"autoformer": 224, "transnas101": 256}.get(name.split("_")[0], 32)
    for phenotype, count in zip(drawn, found, strict=True):
        pixels = space.resolutions[int(phenotype[0])] if name == "mobilenetv3" else side
        assert count == multiply_adds(build(name, phenotype, num_classes=7), (pixels, pixels, 3))


@pytest.mark.parametrize("name", list(COUNTS))
@pytest.mark.slow
def test_built_networks_have_as_many_parameters_as_the_formula(name):
    """Architectures drawn at random, one at the published size."""
    drawn = SPACES[name].random(jax.random.key(0), 5)
    assert num_parameters(build(name, drawn[0], num_classes=7)) == COUNTS[name](drawn[0], num_classes=7)
    expected = COUNTS[name](drawn, num_classes=7, **TINY[name])
    for phenotype, count in zip(drawn, expected, strict=True):
        assert num_parameters(build(name, phenotype, num_classes=7, **TINY[name])) == count


@pytest.mark.slow
def test_nasbench101_networks_of_the_table_have_its_parameters(data_dir):
    table = read_table(data_dir)
    rows = np.random.default_rng(1).integers(0, len(table["params"]), 10)
    drawn = phenotypes(*(table[key][rows] for key in ("num_vertices", "adj_bits", "ops")))
    for phenotype, count in zip(drawn, table["params"][rows], strict=True):
        assert num_parameters(build("nasbench101", phenotype, num_classes=10)) == count


def test_macro_stack_by_hand():
    """'64-1234-basic': plain, doubled, halved, both; two blocks each."""
    stem = 27 * 32 + 64 + 9 * 32 * 64 + 128

    def blocks(inputs, outputs, changes):
        second = 9 * outputs * outputs + 2 * outputs
        first = 9 * inputs * outputs + 2 * outputs + changes * (inputs * outputs + 2 * outputs)
        return first + second + 2 * second

    expected = stem + blocks(64, 64, 0) + blocks(64, 128, 1) + blocks(128, 128, 1) + blocks(128, 256, 1)
    expected += 256 * 75 + 75
    phenotype = SPACES["transnas101_macro"].from_str("64-1234-basic")
    assert num_parameters(build("transnas101_macro", phenotype, num_classes=75)) == expected


def test_multiply_adds_of_a_convolution_and_a_product():
    """Output pixels * kernel * inputs of a group * outputs, for strides, groups and dilations."""

    class Layers(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = conv(12, 5, stride=2, name="a")(x)  # 9 x 11 -> 5 x 6
            x = conv(24, 3, groups=4, dilation=2, name="b")(x)
            return nn.Dense(7)(x.reshape(x.shape[0], -1))

    expected = 5 * 6 * (25 * 3 * 12 + 9 * 3 * 24 + 24 * 7)
    assert multiply_adds(Layers(), (9, 11, 3)) == expected


def test_multiply_adds_count_loops_and_the_costliest_branch():
    class Loops(nn.Module):
        @nn.compact
        def __call__(self, x):
            kernel = self.param("kernel", nn.initializers.ones, (3, 3))
            x, _ = jax.lax.scan(lambda y, _: (y @ kernel, None), x, None, length=4)
            return jax.lax.cond(x[0, 0, 0, 0] > 0, lambda y: y @ kernel @ kernel, lambda y: y, x)

    assert multiply_adds(Loops(), (5, 2, 3)) == 10 * 9 * (4 + 2)


@pytest.mark.slow
def test_any_cell_computes_as_much_as_the_largest():
    """Its 1x1 kernels are 3x3 with zeros."""
    phenotype = jax.ShapeDtypeStruct((6,), jnp.int32)
    largest = build("nasbench201", [NB201_OPS.index("nor_conv_3x3")] * 6, num_classes=10)
    assert multiply_adds(NasBench201Any(10), (32, 32, 3), phenotype) == multiply_adds(largest)
