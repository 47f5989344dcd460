"""A data set as a vector, by the blocks of the Set Transformer (Lee et al. 2019): a set of sets of images.

    MAB(X, Y) = LN(H + rFF(H)),  H = LN(X + Multihead(X, Y, Y)),
    SAB(X) = MAB(X, X),  PMA(X) = MAB(S, rFF(X)) with a learned seed S.

The images of a class become one vector by SAB and PMA, and the vectors of the classes become one again. No
block sees an order, and what is masked weighs exactly 0 in every softmax.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class MAB(nn.Module):
    """Multihead attention block: what each of x hears from y, then a layer of its own."""

    num_heads: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "*b n w"], y: Float[Array, "*b m w"], mask: Bool[Array, "*b m"]
    ) -> Float[Array, "*b n w"]:
        attention = nn.MultiHeadDotProductAttention(self.num_heads, name="attention")
        heard = nn.LayerNorm(name="norm_heard")(x + attention(x, y, mask=mask[..., None, None, :]))
        own = nn.relu(nn.Dense(x.shape[-1], name="feed_forward")(heard))
        return nn.LayerNorm(name="norm_own")(heard + own)


class SAB(nn.Module):
    """Set attention block: every element of a set hears all of them."""

    num_heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "*b n w"], mask: Bool[Array, "*b n"]) -> Float[Array, "*b n w"]:
        return MAB(self.num_heads, name="mab")(x, x, mask)


class PMA(nn.Module):
    """Pooling by multihead attention: what one learned seed hears from a set."""

    num_heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "*b n w"], mask: Bool[Array, "*b n"]) -> Float[Array, "*b w"]:
        width = x.shape[-1]
        seed = self.param("seed", nn.initializers.normal(1.0), (1, width))
        seeds = jnp.broadcast_to(seed, (*x.shape[:-2], 1, width))
        heard = nn.relu(nn.Dense(width, name="feed_forward")(x))
        return MAB(self.num_heads, name="mab")(seeds, heard, mask)[..., 0, :]


class SetVector(nn.Module):
    """One vector for a set: self-attention, then pooling."""

    num_heads: int
    num_layers: int

    @nn.compact
    def __call__(self, x: Float[Array, "*b n w"], mask: Bool[Array, "*b n"]) -> Float[Array, "*b w"]:
        for layer in range(self.num_layers):
            x = SAB(self.num_heads, name=f"sab_{layer}")(x, mask)
        return PMA(self.num_heads, name="pma")(x, mask)


class SetEncoder(nn.Module):
    """A data set as `size` numbers: images to class vectors, class vectors to the data set's.

    Attention takes means, which do not tell how many there were: the logarithm of the number of classes is
    given beside them.
    """

    width: int
    num_heads: int
    num_layers: int
    size: int

    @nn.compact
    def __call__(self, features: Float[Array, "*b c k f"], mask: Bool[Array, "*b c k"]) -> Float[Array, "*b d"]:
        """Returns the vector of each data set; a class without images is no class."""
        # Padding may hold anything, NaN included, which no weight of 0 would silence.
        images = nn.Dense(self.width, name="embedding")(jnp.where(mask[..., None], features, 0.0))
        classes = SetVector(self.num_heads, self.num_layers, name="images")(images, mask)
        present = jnp.any(mask, axis=-1)
        whole = SetVector(self.num_heads, self.num_layers, name="classes")(classes, present)
        count = jnp.log(jnp.maximum(jnp.sum(present, axis=-1, keepdims=True), 1.0))
        return nn.Dense(self.size, name="vector")(jnp.concatenate([whole, count], axis=-1))
