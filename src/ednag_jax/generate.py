"""Architectures for a data set of images: EDNAG's denoising on what the predictor expects, and no training.

The images become a vector once; a population is denoised towards a high predicted accuracy, from many seeds in
one compiled call; what comes out are the best architectures of all that were scored on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import DENOISING, check_choice, check_range
from ednag_jax.evolve import EDNAG, seed_keys
from ednag_jax.images import ImageSet
from ednag_jax.many_seeds import run_timed
from ednag_jax.objectives import ACCURACY, checked_goal, posed
from ednag_jax.predictor import (
    SELECTIONS,
    Predictor,
    Target,
    encode_dataset,
    nearest_tasks,
    packaged_predictor,
    predicted_benchmark,
    score,
)
from ednag_jax.predictor.data_sets import DataSet, data_set_of
from ednag_jax.predictor.fitness import PARAMS
from ednag_jax.proxies.fitness import COUNTS
from ednag_jax.queries import flatten_trace, packed_ids
from ednag_jax.spaces import SPACES, SearchSpace
from ednag_jax.strategies.remembering import remembering
from ednag_jax.training.sizes import network_settings

NUM_SEEDS = 8
NUM_RANDOM = 200
"""Architectures drawn at random, with whose predictions those generated are compared."""
NUM_NEAREST = 3
MILLION = 1e6

Progress = Callable[[int, int], None]
"""`progress(done, total)`."""


@dataclass(frozen=True)
class Architecture:
    """One that was generated."""

    arch: str
    """Its text form."""
    phenotype: tuple[int, ...]
    predicted: float
    """Accuracy in percent that the predictor expects, mean over its networks: a score to compare by."""
    deviation: float
    """Percent: by how much its networks differ."""
    num_params: int
    """Trained numbers of the network at its published size."""
    num_params_small: int
    """The same at the size that `train_network` trains by default."""
    code: str
    """Python that builds the network."""


@dataclass(frozen=True)
class Generated:
    """What was generated for a data set."""

    space: str
    dataset: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    architectures: tuple[Architecture, ...]
    """The best first, no two of the same structure; fewer than asked for where no more were met."""
    nearest_tasks: tuple[tuple[str, float], ...]
    """Tasks that the predictor learnt from and finds most like the images, with their distances in units of how
    far tasks lie from their mean; none where it is blind."""
    num_tasks: int
    """That it learnt from."""
    is_blind: bool
    """Whether the predictor does not look at the images."""
    backbone: str
    """Whose features of the images it reads."""
    table_hash: str
    """Of what it learnt from."""
    random_predicted: tuple[float, float]
    """Median and greatest prediction of `NUM_RANDOM` architectures drawn uniformly, within no bound."""
    num_scored: int
    """Different architectures that the denoising had scored by the predictor; none was trained or looked up."""
    max_params: float | None
    """Million trained numbers, the most that was allowed."""
    top: int
    seeds: tuple[int, ...]
    root: int
    selection: str
    compile_seconds: float
    run_seconds: float


class Scored(NamedTuple):
    """Architectures and what the predictor said of them."""

    phenotype: Int[np.ndarray, "m e"]
    accuracy: Float[np.ndarray, " m"]
    """NaN where a bound is broken."""
    seconds: tuple[float, float]
    """Of compiling, of running."""


def generate(
    images: ImageSet,
    *,
    space: str = "nasbench201",
    top: int = 3,
    max_params: float | None = None,
    predictor: Predictor | None = None,
    seeds: int | range = NUM_SEEDS,
    root: int = 0,
    selection: str = "coreset",
    progress: Progress | None = None,
) -> Generated:
    """Returns the architectures of a space that the predictor expects most of on these images.

    Args:
        images: labelled, from `load_images`. Keep images to measure by out of them.
        space: a name of `SPACES`.
        top: how many architectures.
        max_params: the most trained numbers allowed, in millions, of the network at its published size.
        predictor: None takes the one that comes with the package for the space.
        seeds: how many runs of the denoising, all in one compiled call, or a range of them.
        root: of everything drawn; the same one gives the same architectures.
        selection: of the images that the predictor sees: `coreset` or `random`.
        progress: called while features of the images are computed.

    Raises:
        ValueError: a number out of range, a predictor of another space, or a bound that nothing met keeps.
        DataError: no predictor comes with the package for this space; the text says what to run.
    """
    check_choice("space", space, tuple(SPACES))
    check_choice("selection", selection, tuple(SELECTIONS))
    check_range("top", top, 1)
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    check_range("seeds", len(numbers), 1)
    predictor = _predictor_for(space, predictor)
    key_images, key_random = jax.random.split(jax.random.key(root))
    data = _data_set(images, predictor, key=key_images, selection=selection, progress=progress)
    target = encode_dataset(predictor, *data)
    benchmark = predicted_benchmark(predictor, target, dataset=images.name, num_classes=len(images.classes))
    scored = denoised(benchmark, max_params=max_params, seeds=numbers, root=root)
    best = best_distinct(scored, predictor.space, top)
    architectures, random_predicted = _described(best, predictor, target, images, key=key_random)
    return Generated(
        space=space,
        dataset=images.name,
        classes=images.classes,
        image_shape=images.images.shape[1:],
        architectures=architectures,
        nearest_tasks=() if predictor.config.blind else tuple(nearest_tasks(predictor, target, NUM_NEAREST)),
        **_origin(predictor),
        random_predicted=random_predicted,
        num_scored=len(scored.phenotype),
        max_params=max_params,
        top=top,
        seeds=tuple(numbers),
        root=root,
        selection=selection,
        compile_seconds=scored.seconds[0],
        run_seconds=scored.seconds[1],
    )


def denoised(benchmark: Benchmark, *, max_params: float | None, seeds: range, root: int) -> Scored:
    """Returns every different architecture that EDNAG's denoising had scored, all seeds together.

    Raises:
        ValueError: a bound that is not above 0, or that nothing met keeps.
    """
    bounds = {} if max_params is None else {PARAMS: max_params * MILLION}
    problem, params = posed(benchmark, checked_goal(benchmark, (ACCURACY,), bounds))
    # The predictor is all the work, and late in a run it was asked of nearly all children before.
    settings: dict[str, Any] = {"config": DENOISING, "strategy": remembering(EDNAG)}
    trace, *seconds = run_timed(seed_keys(seeds, root=root), params, problem=problem, **settings)
    evaluation = flatten_trace(trace)
    asked = np.flatnonzero(evaluation.queried.ravel())
    ids = packed_ids(evaluation.arch_id.reshape(-1, *evaluation.arch_id.shape[2:])[asked])
    rows = asked[np.unique(ids, return_index=True)[1]]
    phenotype = evaluation.phenotype.reshape(-1, evaluation.phenotype.shape[-1])[rows]
    accuracy = evaluation.accuracy.ravel()[rows].astype(np.float64)
    if max_params is not None:
        accuracy = _within(benchmark, phenotype, accuracy, max_params)
    return Scored(phenotype, accuracy, (seconds[0], seconds[1]))


def _within(
    benchmark: Benchmark,
    phenotype: Int[np.ndarray, "m e"],
    accuracy: Float[np.ndarray, " m"],
    max_params: float,
) -> Float[np.ndarray, " m"]:
    """Returns accuracies, NaN where the network has too many parameters.

    Raises:
        ValueError: all have.
    """
    count = np.asarray(benchmark.lookup(jnp.asarray(phenotype), PARAMS))
    if count.min() > max_params * MILLION:
        raise ValueError(
            f"max_params must be at least {count.min() / MILLION:.3g} million to allow the smallest of the "
            f"{len(count)} architectures that were met, got {max_params:g}: allow more, or take another space"
        )
    return np.where(count <= max_params * MILLION, accuracy, np.nan)


def best_distinct(scored: Scored, space: SearchSpace, num: int) -> Int[np.ndarray, "k e"]:
    """Returns up to `num` architectures of different structure, those with the highest accuracy, best first.

    Of several with the same structure the one with the highest; those without an accuracy are left out.
    """
    known = np.flatnonzero(np.isfinite(scored.accuracy))
    order = known[np.argsort(-scored.accuracy[known], kind="stable")]
    phenotype = scored.phenotype[order]
    structure = packed_ids(_structures(space, phenotype))
    first = np.sort(np.unique(structure, return_index=True)[1])[:num]
    return phenotype[first]


def _structures(space: SearchSpace, phenotype: Int[np.ndarray, "m e"]) -> np.ndarray:
    """Returns an id of the structure of each architecture, by programs of few different shapes."""
    size = 1 << max(len(phenotype) - 1, 0).bit_length()  # how many were met differs from run to run
    filled = np.resize(phenotype, (size, phenotype.shape[1]))
    return np.asarray(_structures_of(jnp.asarray(filled), space=space))[: len(phenotype)]


@partial(jax.jit, static_argnames=("space",))
def _structures_of(phenotype: Int[Array, "m e"], *, space: SearchSpace) -> Array:
    """Returns an id of the structure of each architecture; its own where the space knows no structures."""
    return getattr(space, "canonical_id", space.arch_id)(phenotype)


def _predictor_for(space: str, given: Predictor | None) -> Predictor:
    """Returns the predictor given, or the one that comes with the package.

    Raises:
        ValueError: the one given is for another space.
        DataError: none comes for this space.
    """
    if given is None:
        return packaged_predictor(space)
    if given.space.name != space:
        raise ValueError(
            f"the predictor is for space {given.space.name!r}, got space {space!r}: give that one, or another "
            "predictor"
        )
    return given


def _data_set(images: ImageSet, predictor: Predictor, **options: Any) -> DataSet:
    """Returns the images as the predictor reads them; of one that does not look, any features."""
    if predictor.config.blind:
        width = predictor.standards.feature_mean.shape[0]
        return DataSet(np.zeros((1, 1, width), np.float32), np.ones((1, 1), bool))
    return data_set_of(images, predictor.backbone, **options)


def _origin(predictor: Predictor) -> dict[str, Any]:
    """Returns what a result says of the predictor."""
    return {
        "num_tasks": len(predictor.tasks),
        "is_blind": predictor.config.blind,
        "backbone": predictor.backbone,
        "table_hash": predictor.table_hash,
    }


def _described(
    best: Int[np.ndarray, "k e"], predictor: Predictor, target: Target, images: ImageSet, *, key: jax.Array
) -> tuple[tuple[Architecture, ...], tuple[float, float]]:
    """Returns the architectures with what is said of them, and median and greatest of random predictions."""
    space = predictor.space
    drawn = np.asarray(space.random(key, NUM_RANDOM))
    said = score(predictor, target, np.concatenate([best, drawn]))
    mean, deviation = (np.asarray(part, np.float64) for part in said)
    classes, shape = len(images.classes), images.images.shape[1:]
    full, small = (_counts(space.name, best, classes, is_small) for is_small in (False, True))
    texts = [space.to_str(row) for row in best]
    architectures = tuple(
        Architecture(
            arch=text,
            phenotype=tuple(int(field) for field in best[row]),
            predicted=float(mean[row]),
            deviation=float(deviation[row]),
            num_params=full[row],
            num_params_small=small[row],
            code=flax_code(space.name, text, num_classes=classes, image_shape=shape),
        )
        for row, text in enumerate(texts)
    )
    return architectures, (float(np.median(mean[len(best) :])), float(mean[len(best) :].max()))


def _counts(space: str, phenotype: Int[np.ndarray, "k e"], num_classes: int, is_small: bool) -> list[int]:
    """Returns how many numbers each network trains, at its published size or the small one."""
    settings = network_settings(space) if is_small else {}
    count = COUNTS["parameters"][space](jnp.asarray(phenotype), num_classes=num_classes, **settings)
    return [int(number) for number in count]


def flax_code(space: str, arch: str, *, num_classes: int, image_shape: tuple[int, ...]) -> str:
    """Returns Python that builds the network of an architecture and draws its first weights."""
    settings = "".join(f", {name}={value!r}" for name, value in network_settings(space).items())
    return f'''import jax
import ednag_jax as ed
from ednag_jax.networks import build, initialise

phenotype = ed.SPACES["{space}"].from_str("{arch}")
published = build("{space}", phenotype, num_classes={num_classes})
network = build("{space}", phenotype, num_classes={num_classes}{settings})  # the size that is trained
variables = initialise(network, jax.random.key(0), {tuple(image_shape)})
'''
