"""An architecture as a vector: gated messages along its graph in topological order (D-VAE, Zhang et al. 2019).

A node hears all nodes before it that lead to it, and then updates the state of its own type x_v once:

    m_v = sum over u -> v of sigmoid(G h_u + b) * (M h_u),    h_v = GRU(x_v, m_v),

so that the state of the output encodes the whole computation. A second sweep goes backward from the output.
Sums do not see the order of their terms: isomorphic graphs have the same vector.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.predictor.dags import INPUT, OUTPUT, Dag


class SweepWeights(NamedTuple):
    """What one direction learns; the three parts of width w are reset gate, update gate, candidate."""

    op: Float[Array, "o w3"]
    """Of each type of node: its input to the GRU, biases included."""
    state: Float[Array, "w w3"]
    """From the messages to the GRU."""
    state_bias: Float[Array, " w"]
    """Of the candidate, inside the reset gate."""
    message: Float[Array, "w w2"]
    """From a state to the gate and to what it lets through."""
    gate_bias: Float[Array, " w"]


def sweep(weights: SweepWeights, op: Int[Array, "*b v"], edge: Bool[Array, "*b v v"]) -> Float[Array, "v *b w"]:
    """Returns the state of every node, the nodes first; those that do not exist hear nothing and tell nobody.

    All earlier nodes' messages are kept side by side, a node sums those of its predecessors.
    """
    width = weights.state.shape[0]

    def visit(messages: Array, node: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        position, own, before = node
        heard = jnp.sum(jnp.where(before[..., None], messages, 0.0), axis=0)
        state = gru(weights, weights.op[own], heard)
        gate, value = jnp.split(state @ weights.message, 2, axis=-1)
        told = jax.nn.sigmoid(gate + weights.gate_bias) * value
        return jax.lax.dynamic_update_index_in_dim(messages, told, position, 0), state

    silence = jnp.zeros((op.shape[-1], *op.shape[:-1], width))
    into = jnp.moveaxis(edge, (-1, -2), (0, 1))
    nodes = (jnp.arange(op.shape[-1]), jnp.moveaxis(op, -1, 0), into)
    return jax.lax.scan(visit, silence, nodes)[1]


def gru(weights: SweepWeights, own: Float[Array, "*b w3"], heard: Float[Array, "*b w"]) -> Float[Array, "*b w"]:
    """Returns the state of a node of a type, given what it heard: a gated recurrent unit (Cho et al. 2014)."""
    own_reset, own_update, own_new = jnp.split(own, 3, axis=-1)
    reset, update, new = jnp.split(heard @ weights.state, 3, axis=-1)
    candidate = jnp.tanh(own_new + jax.nn.sigmoid(own_reset + reset) * (new + weights.state_bias))
    keep = jax.nn.sigmoid(own_update + update)
    return (1 - keep) * candidate + keep * heard


class Sweep(nn.Module):
    """One direction with its weights: the sum of the states of the nodes where it ends."""

    num_ops: int
    width: int

    @nn.compact
    def __call__(
        self, op: Int[Array, "*b v"], edge: Bool[Array, "*b v v"], last: Bool[Array, "*b v"]
    ) -> Float[Array, "*b w"]:
        lecun, zeros, width = nn.initializers.lecun_normal(), nn.initializers.zeros, self.width
        weights = SweepWeights(
            self.param("op", nn.initializers.normal(0.5), (self.num_ops, 3 * width)),
            self.param("state", lecun, (width, 3 * width)),
            self.param("state_bias", zeros, (width,)),
            self.param("message", lecun, (width, 2 * width)),
            self.param("gate_bias", zeros, (width,)),
        )
        ends = jnp.moveaxis(last, -1, 0)[..., None]
        return jnp.sum(jnp.where(ends, sweep(weights, op, edge), 0.0), axis=0)


class GraphEncoder(nn.Module):
    """An architecture as 2 * width numbers: the output's state forward, the input's state backward."""

    num_ops: int
    width: int

    @nn.compact
    def __call__(self, dag: Dag) -> Float[Array, "*b g"]:
        forward = Sweep(self.num_ops, self.width, name="forward")
        backward = Sweep(self.num_ops, self.width, name="backward")
        is_output, is_input = (dag.mask & (dag.op == end) for end in (OUTPUT, INPUT))
        turned = jnp.flip(jnp.swapaxes(dag.edge, -1, -2), (-1, -2))
        ends = [
            forward(dag.op, dag.edge, is_output),
            backward(jnp.flip(dag.op, -1), turned, jnp.flip(is_input, -1)),
        ]
        return jnp.concatenate(ends, axis=-1)
