"""Proxies against gradients, plain loops over ReLUs and counts; and as the fitness of a search."""

import importlib
import json
import re
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.networks import NasBench201Any, build, multiply_adds, num_parameters
from ednag_jax.networks.autoformer import AutoFormerNet, Block
from ednag_jax.networks.nasbench201 import extract
from ednag_jax.proxies import PROXIES, ProxyFitness, dss, flops, naswot, parameters, synflow
from ednag_jax.proxies.fitness import COUNTS
from ednag_jax.proxies.naswot import code_kernel
from ednag_jax.proxies.relu_inputs import fold_relu_inputs
from ednag_jax.spaces import SPACES

PAGE = (Path(__file__).parents[1] / "docs" / "proxies.md").read_text()
SMALL = {"channels": 4, "num_cells": 2}
CELLS = [[3, 2, 4, 1, 3, 2], [2, 0, 3, 4, 1, 3], [1, 3, 2, 2, 0, 0]]


@pytest.fixture(scope="module")
def shared():
    """The network of any cell, its variables, and images."""
    images = jax.random.normal(jax.random.key(1), (6, 8, 8, 3))
    network = NasBench201Any(num_classes=10, **SMALL)
    return network, jax.jit(network.init)(jax.random.key(0), images, jnp.zeros(6, jnp.int32)), images


@pytest.fixture(scope="module")
def score(shared):
    """`score(name, cell)`: a proxy, or the kernel of codes, of a cell; one program for all cells."""
    network, variables, images = shared
    functions = {"synflow": synflow, "naswot": naswot, "kernel": code_kernel}
    programs = {name: jax.jit(partial(function, network)) for name, function in functions.items()}
    return lambda name, cell, images=images: programs[name](variables, images, jnp.array(cell))


class Dense(nn.Module):
    """Two linear layers around a ReLU and a normalisation."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.Dense(5, name="first")(x.reshape(len(x), -1)))
        return nn.Dense(3, name="second")(nn.BatchNorm(use_running_average=not train)(x))


@pytest.fixture(scope="module")
def dense():
    images = jax.random.normal(jax.random.key(1), (4, 2, 2, 1))
    return Dense(), Dense().init(jax.random.key(0), images, train=False), images


def test_synflow_of_two_layers_is_twice_the_product_of_their_absolute_weights(dense):
    network, variables, images = dense
    first, second = (np.abs(variables["params"][name]["kernel"]) for name in ("first", "second"))
    expected = 2 * (np.ones(4) @ first @ second).sum()
    np.testing.assert_allclose(synflow(network, variables, images), np.log10(expected), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_synflow_is_the_sum_of_weight_times_gradient_in_the_network_of_the_cell(shared, score, cell):
    _, variables, images = shared
    own = extract(variables, cell)
    absolute = jax.tree.map(jnp.abs, own["params"])
    # scale 1, shift 0, mean 0 and variance 1 - epsilon make a normalisation the identity
    plain = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.zeros_like(x) if path[-1].key == "bias" else x, absolute
    )
    stats = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.full_like(x, 1 - 1e-5) if path[-1].key == "var" else jnp.zeros_like(x),
        own["batch_stats"],
    )
    module = build("nasbench201", cell, num_classes=10, **SMALL)

    def total(params):
        return module.apply({"params": params, "batch_stats": stats}, jnp.ones((1, 8, 8, 3))).sum()

    products = jax.tree_util.tree_map_with_path(
        lambda path, w, g: jnp.abs(w * g).sum() if path[-1].key == "kernel" else 0.0,
        plain,
        jax.grad(total)(plain),
    )
    expected = np.log10(sum(jax.tree.leaves(products)))
    np.testing.assert_allclose(score("synflow", cell), expected, rtol=1e-4)
    np.testing.assert_allclose(jax.jit(partial(synflow, module))(own, images), expected, rtol=1e-4)


@pytest.mark.slow
def test_synflow_of_a_cell_that_passes_nothing_is_minus_infinity(score):
    assert score("synflow", [0] * 6) == -jnp.inf


def test_kernel_of_relu_codes_counts_agreeing_units(dense):
    network, variables, images = dense
    first = variables["params"]["first"]
    codes = np.asarray(images).reshape(4, -1) @ np.asarray(first["kernel"]) + np.asarray(first["bias"]) > 0
    expected = [[(a == b).sum() for b in codes] for a in codes]
    np.testing.assert_array_equal(code_kernel(network, variables, images), expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_kernel_of_any_cell_is_that_of_the_network_built(shared, score, cell):
    _, variables, images = shared
    module = build("nasbench201", cell, num_classes=10, **SMALL)
    built = jax.jit(partial(code_kernel, module))(extract(variables, cell), images)
    # a unit within rounding of 0 may fall on either side
    np.testing.assert_allclose(score("kernel", cell), built, atol=2, rtol=1e-3)
    assert float(built[0, 0]) == built.diagonal().max()


@pytest.mark.slow
def test_naswot_is_the_log_determinant_and_minus_infinity_for_images_seen_alike(shared, score):
    cell, images = CELLS[0], shared[2]
    kernel = np.asarray(score("kernel", cell), np.float64)
    expected = np.linalg.slogdet(kernel).logabsdet
    np.testing.assert_allclose(score("naswot", cell), expected, rtol=1e-5)
    assert score("naswot", cell, jnp.tile(images[:1], (6, 1, 1, 1))) == -jnp.inf


def test_relus_in_loops_are_met_in_every_pass_and_the_results_stay():
    def function(x):
        def body(carry, row):
            return nn.relu(carry - row), None

        return jax.lax.scan(body, nn.relu(x), jnp.array([1.0, 2.0]))[0]

    met = fold_relu_inputs(function, lambda folded, x, place: folded + x, 0.0, jnp.array(5.0))
    assert float(met) == 5 + 4 + 2
    places = []
    fold_relu_inputs(function, lambda folded, x, place: places.append(place) or folded, 0.0, jnp.array(5.0))
    assert None in places
    assert 0 in places


@pytest.mark.slow
def test_sizes_are_those_of_the_network(shared):
    _, variables, images = shared
    cell = CELLS[0]
    module, own = build("nasbench201", cell, num_classes=10, **SMALL), extract(variables, cell)
    assert parameters(module, own, images) == num_parameters(module)
    assert flops(module, own, images) == multiply_adds(module, (8, 8, 3))
    fitness = ProxyFitness("nasbench201", "flops", **SMALL)
    params = fitness.params(jax.random.key(0))
    assert fitness(params, jax.random.key(0), jnp.array([cell]))[0] == multiply_adds(module)


@pytest.mark.parametrize("name", ["synflow", "naswot"])
@pytest.mark.slow
def test_fitness_of_a_population_is_the_proxy_of_each(shared, score, name):
    _, variables, images = shared
    fitness = ProxyFitness("nasbench201", name, **SMALL)
    cells = jnp.array(CELLS)
    scores = jax.jit(fitness)((variables, images), jax.random.key(0), cells)
    each = [score(name, cell) for cell in CELLS]
    np.testing.assert_allclose(scores, np.array(each), rtol=1e-3)
    assert len(set(np.asarray(scores).tolist())) == len(CELLS)


@pytest.mark.parametrize("space_name", ["nasbench201", "transnas101_micro", "transnas101_macro"])
def test_parameters_as_a_fitness_are_those_of_the_network(space_name):
    fitness = ProxyFitness(space_name)
    phenotype = SPACES[space_name].random(jax.random.key(0), 2)
    scores = jax.jit(fitness)(fitness.params(jax.random.key(0)), jax.random.key(0), phenotype)
    assert float(scores[1]) == num_parameters(build(space_name, phenotype[1], num_classes=10))


@pytest.mark.parametrize("space_name", sorted(SPACES))
@pytest.mark.parametrize("proxy", ["parameters", pytest.param("flops", marks=pytest.mark.slow)])
def test_counts_are_a_fitness_for_every_space(space_name, proxy):
    phenotype = SPACES[space_name].random(jax.random.key(0), 5)
    fitness = jax.jit(ProxyFitness(space_name, proxy))
    scores = np.asarray(fitness((), jax.random.key(0), phenotype))
    assert scores.dtype == np.float32
    assert np.all(scores > 1e4)
    assert len(set(scores.tolist())) > 1


def test_every_space_has_a_count():
    assert all(set(counts) == set(SPACES) for counts in COUNTS.values())


def search(fitness, params, root=0, **settings):
    benchmark = ed.Benchmark.from_function(SPACES["nasbench201"], fitness, params, name=fitness.proxy)
    return ed.search("ednag", benchmark, seeds=2, root=root, **settings)


@pytest.mark.slow
def test_search_for_parameters_finds_a_large_network_and_equal_fitnesses_share_one_program(compilations):
    result = search(ProxyFitness("nasbench201"), ())
    largest = num_parameters(build("nasbench201", [3] * 6, num_classes=10))
    assert np.all(result.best_accuracy == largest)
    compilations.count = 0
    search(ProxyFitness("nasbench201"), (), root=1)
    assert compilations.count == 0


@pytest.mark.slow
def test_search_runs_on_naswot(shared):
    _, variables, images = shared
    fitness = ProxyFitness("nasbench201", "naswot", **SMALL)
    result = search(fitness, (variables, images), queries=60)
    random = fitness(
        (variables, images), jax.random.key(0), SPACES["nasbench201"].random(jax.random.key(0), 20)
    )
    assert np.all(result.best_accuracy > np.median(random))


@pytest.mark.slow
def test_dss_is_nuclear_norms_of_attention_and_products_of_mlps():
    network, images = AutoFormerNet(12, (Block(1, 20), Block(1, 20)), 3, patch_size=4), jnp.zeros((2, 8, 8, 3))
    variables = jax.jit(partial(network.init, train=False))(jax.random.key(0), images)
    absolute = jax.tree.map(jnp.abs, variables["params"])

    def total(params):
        return network.apply({"params": params}, jnp.ones((1, 8, 8, 3)), train=False).sum()

    gradient, expected = jax.jit(jax.grad(total))(absolute), 0.0
    for block in ("block_0", "block_1"):
        weight, slope = absolute[block], gradient[block]
        for layer in ("mlp_in", "mlp_out"):
            expected += float(jnp.abs(weight[layer]["kernel"] * slope[layer]["kernel"]).sum())
        for layer, flat in (("qkv", lambda w: w.reshape(12, -1)), ("out", lambda w: w.reshape(-1, 12))):
            pair = [flat(np.asarray(tree["attention"][layer]["kernel"])) for tree in (weight, slope)]
            expected += np.prod([np.linalg.norm(matrix, "nuc") for matrix in pair])
    assert expected > 0
    np.testing.assert_allclose(jax.jit(partial(dss, network))(variables, images), expected, rtol=1e-3)


def test_registry_names_its_functions():
    assert all(name == proxy.__name__ for name, proxy in PROXIES.items())


def test_unknown_names_and_spaces_without_a_shared_network_are_refused():
    with pytest.raises(ValueError, match="proxy"):
        ProxyFitness("nasbench201", "zen")
    with pytest.raises(ValueError, match="take proxy='parameters'"):
        ProxyFitness("darts", "naswot")


@pytest.mark.slow
def test_validation_without_data_takes_noise_says_so_and_keeps_what_is_done(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    validate = importlib.import_module("ednag_jax.experiments.validate_proxies")
    validate.run(out=tmp_path, smoke=True)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["real_images"] is False
    assert all(len(result["scores"]) == 2 for result in stored["results"].values())
    for scorer in ("_score_at_once", "_score_darts"):
        monkeypatch.setattr(validate, scorer, lambda *_: pytest.fail("scored once more"))
    validate.run(out=tmp_path, smoke=True)
    assert json.loads((tmp_path / "results.json").read_text())["results"] == stored["results"]


def test_tau_counts_minus_infinity_as_lowest_and_leaves_out_what_is_unknown():
    validate = importlib.import_module("ednag_jax.experiments.validate_proxies")
    others = np.array([1.0, 2.0, 3.0, np.nan, 4.0])
    assert validate.tau([-np.inf, 5.0, 6.0, -9.0, 7.0], others) == 1
    assert validate.tau([8.0, 5.0, 6.0, 9.0, 7.0], others) == 0


@pytest.mark.slow
@pytest.mark.optimised
def test_the_page_of_the_proxies_runs_as_printed(capsys):
    namespace = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(example, namespace)
    assert all(np.isfinite(score) for score in namespace["scores"].values())
    assert namespace["result"].best_arch[0] in capsys.readouterr().out
    assert np.all(namespace["largest"].best_accuracy > 5e8)


def test_the_page_of_the_proxies_names_all_of_them():
    assert all(f"| `{name}` |" in PAGE for name in PROXIES)
