"""REINFORCE (Williams 1992) as in NAS-Bench-201 (Dong and Yang 2020): a policy that samples what paid off."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.config import ReinforceConfig
from ednag_jax.fd_step import step_info
from ednag_jax.feasibility import is_feasible
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.spaces import SearchSpace
from ednag_jax.strategies.choices import draw, log_softmax, marks
from ednag_jax.types import Evaluation, KeyArray, Params, Scalar, StepInfo, Steps, Strategy

FAILURE = -1.0
"""Advantage of what has no reward, in standard deviations."""

TIE_BREAK = 0.1
"""Deviation of the noise on an encoding of -1 and 1 that orders equal numbers and changes no sign."""


class Rewards(NamedTuple):
    """Exponential moving averages of the rewards so far."""

    weight: Float[Array, ""]
    """Sum of the weights of all rewards, 1 in the long run: divides out that the averages begin at none."""
    mean: Float[Array, ""]
    variance: Float[Array, ""]


class ReinforceState(NamedTuple):
    """The policy, what updates it, and the last query [1 ...]."""

    evaluation: Evaluation
    logits: Float[Array, "k v"]
    optimiser: optax.OptState
    rewards: Rewards
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: ReinforceConfig) -> ReinforceState:
    """Returns the state after one query: it begins the averages, and the policy stays uniform."""
    logits = jnp.zeros((len(problem.space.choices), max(problem.space.choices)))
    asked = _ask(key, logits, params, problem=problem, config=config)
    zero = jnp.zeros(())
    rewards, _ = advantage_of(asked.fitness[0], Rewards(zero, zero, zero), config.momentum)
    optimiser = optax.adam(config.learning_rate).init(logits)
    return ReinforceState(asked, logits, optimiser, rewards, best_of(asked))


def step(
    key: KeyArray,
    state: ReinforceState,
    row: Steps,
    params: Params,
    *,
    problem: Problem,
    config: ReinforceConfig,
) -> tuple[ReinforceState, StepInfo]:
    """Returns the state after one query and one ascent of advantage times log probability, and the query."""
    del row
    asked = _ask(key, state.logits, params, problem=problem, config=config)
    rewards, advantage = advantage_of(asked.fitness[0], state.rewards, config.momentum)
    gradient = advantage * score_of(asked.phenotype[0], state.logits, problem.space)
    update, optimiser = optax.adam(config.learning_rate).update(-gradient, state.optimiser)
    logits = optax.apply_updates(state.logits, update)
    best = better_of(state.best, best_of(asked))
    return ReinforceState(asked, logits, optimiser, rewards, best), step_info(asked)


def _ask(
    key: KeyArray,
    logits: Float[Array, "k v"],
    params: Params,
    *,
    problem: Problem,
    config: ReinforceConfig,
) -> Evaluation:
    """Returns the evaluation [1 ...] of one architecture sampled from the policy."""
    key_sample, key_fitness = jax.random.split(key)
    phenotype = sample(key_sample, logits, config.num_tries, space=problem.space)
    return evaluate(key_fitness, params, phenotype[None], problem=problem)


def sample(
    key: KeyArray, logits: Float[Array, "k v"], num_tries: int, *, space: SearchSpace
) -> Int[Array, " e"]:
    """Returns an architecture of the policy: one value a choice, again until they make a valid one.

    The policy is independent over `space.choices`, as published for NAS-Bench-101 and 201 (there: edges and
    ops). Where `num_tries` were not enough, as in a space with narrow bounds, the last is mended: it becomes
    what its own encoding decodes to, ties broken by chance.
    """
    table = log_softmax(logits, space)

    def tried(number: Int[Array, ""]) -> Int[Array, " e"]:
        return draw(jax.random.fold_in(key, number), table, 1, space=space)[0]

    def is_on(carry: tuple[Int[Array, ""], Int[Array, " e"]]) -> Bool[Array, ""]:
        number, phenotype = carry
        return (number < num_tries) & ~space.is_valid(phenotype)

    def body(carry: tuple[Int[Array, ""], Int[Array, " e"]]) -> tuple[Int[Array, ""], Int[Array, " e"]]:
        number, _ = carry
        return number + 1, tried(number)

    _, last = jax.lax.while_loop(is_on, body, (jnp.int32(1), tried(jnp.int32(0))))
    genotype = space.encode(last)
    genotype += TIE_BREAK * jax.random.normal(jax.random.fold_in(key, num_tries), genotype.shape)
    return jnp.where(space.is_valid(last), last, space.decode(genotype))


def advantage_of(
    reward: Float[Array, ""], rewards: Rewards, momentum: Scalar
) -> tuple[Rewards, Float[Array, ""]]:
    """Returns the averages with one more reward, and by how many deviations that lies above their mean.

    The baseline is the published one, a moving average that includes the reward itself. The deviation, of the
    same averages, makes units cancel: accuracies in percent, or losses negated. What failed or breaks a
    constraint has no reward: it counts as `FAILURE` and leaves the averages as they are.
    """
    is_reward = is_feasible(reward)
    weight = momentum * rewards.weight + (1 - momentum)
    share = (1 - momentum) / weight
    change = jnp.where(is_reward, reward, rewards.mean) - rewards.mean
    mean = rewards.mean + share * change
    variance = (1 - share) * (rewards.variance + share * change**2)
    deviation = jnp.sqrt(jnp.where(variance > 0, variance, 1.0))
    advantage = jnp.where(is_reward, (reward - mean) / deviation, FAILURE)
    updated = Rewards(weight, mean, variance)
    kept = Rewards(*(jnp.where(is_reward, new, old) for new, old in zip(updated, rewards, strict=True)))
    return kept, advantage


def score_of(
    phenotype: Int[Array, " e"], logits: Float[Array, "k v"], space: SearchSpace
) -> Float[Array, "k v"]:
    """Returns the gradient of the log probability in the logits: 1 at the values chosen, minus probabilities.

    0 for choices that do not matter to the architecture, which its probability does not contain.
    """
    chosen = marks(phenotype[None], space)[0]
    return chosen - jnp.exp(log_softmax(logits, space)) * jnp.sum(chosen, axis=-1, keepdims=True)


REINFORCE = Strategy("reinforce", init, step)
