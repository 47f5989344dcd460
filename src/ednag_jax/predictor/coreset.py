"""Which images stand for a data set: in every class the images nearest to the centres that K-means finds.

Within a class of m images, K centres (the paper's K is 20) start by k-means++ (Arthur and Vassilvitskii 2007),
move by Lloyd's iterations until no image changes its centre, and each takes the nearest image not yet taken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from ednag_jax.config import check_range
from ednag_jax.types import KeyArray

MAX_STEPS = 100
"""Lloyd's iterations at most; 5 to 20 are usual before nothing changes."""

Pick: TypeAlias = Callable[[KeyArray, Float[Array, "m f"], Bool[Array, " m"], int], Int[Array, " k"]]
"""`pick(key, points, present, num) -> positions`, of which the first min(num, sum of present) count."""


class Coreset(NamedTuple):
    """The images chosen from each class."""

    indices: Int[Array, "c k"]
    """Rows of the features; 0 where masked."""
    mask: Bool[Array, "c k"]
    """False behind the last image of a class that has fewer than k."""


def coreset(
    key: KeyArray, features: ArrayLike, labels: ArrayLike, *, num_classes: int, images_per_class: int = 20
) -> Coreset:
    """Returns the images nearest to the K-means centres of each class; no image twice.

    A class of fewer than k images gives all of them, one of none is masked throughout.

    Args:
        key: of the start of K-means; class c draws from `fold_in(key, c)`.
        features: [n f] finite numbers, one row an image.
        labels: [n] whole numbers in [0, num_classes).
        num_classes: c.
        images_per_class: k.

    Raises:
        ValueError: features or labels of another form, or no class or image asked for.
    """
    return _for_classes(_central, key, features, labels, (num_classes, images_per_class))


def random_images(
    key: KeyArray, features: ArrayLike, labels: ArrayLike, *, num_classes: int, images_per_class: int = 20
) -> Coreset:
    """Returns images drawn uniformly without replacement from each class; for the rest see `coreset`."""
    return _for_classes(_random, key, features, labels, (num_classes, images_per_class))


SELECTIONS = {"coreset": coreset, "random": random_images}


def _central(
    key: KeyArray, points: Float[Array, "m f"], present: Bool[Array, " m"], num: int
) -> Int[Array, " k"]:
    """Returns the images nearest to the K-means centres of a class."""
    count = jnp.maximum(jnp.sum(present), 1)
    # Squared distances are differences of squares: around the mean they lose the fewest digits.
    points = points - jnp.sum(jnp.where(present[:, None], points, 0), axis=0) / count
    centres = lloyd(points, present, start_centres(key, points, present, num))
    return nearest_images(points, present, centres)


def _random(
    key: KeyArray, points: Float[Array, "m f"], present: Bool[Array, " m"], num: int
) -> Int[Array, " k"]:
    """Returns images drawn without replacement."""
    return jax.lax.top_k(jnp.where(present, jax.random.uniform(key, points.shape[:1]), -1.0), num)[1]


def start_centres(
    key: KeyArray, points: Float[Array, "m f"], present: Bool[Array, " m"], num: int
) -> Float[Array, "k f"]:
    """Returns points drawn as centres: the first uniformly, each further one in proportion to D^2 (k-means++).

    D is the distance to the nearest centre so far. Where every point is a centre already, draws are uniform.
    """
    keys = jax.random.split(key, num)
    first = points[jax.random.categorical(keys[0], jnp.log(present))]

    def draw(nearest: Float[Array, " m"], key_draw: KeyArray) -> tuple[Float[Array, " m"], Float[Array, " f"]]:
        weight = jnp.where(jnp.any(nearest > 0), nearest, present)
        centre = points[jax.random.categorical(key_draw, jnp.log(weight))]
        return jnp.minimum(nearest, distance_to(centre)), centre

    def distance_to(centre: Float[Array, " f"]) -> Float[Array, " m"]:
        return jnp.where(present, jnp.sum((points - centre) ** 2, axis=1), 0.0)

    _, others = jax.lax.scan(draw, distance_to(first), keys[1:])
    return jnp.concatenate([first[None], others])


def lloyd(
    points: Float[Array, "m f"], present: Bool[Array, " m"], centres: Float[Array, "k f"]
) -> Float[Array, "k f"]:
    """Returns the centres after Lloyd's iterations: each becomes the mean of the points nearest to it.

    Until no point changes its centre, at most `MAX_STEPS` times. A centre without points stays.
    """

    def moved(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        centres, own, _, step = carry
        nearest = jnp.argmin(squared_distances(points, centres), axis=1)
        belongs = jax.nn.one_hot(nearest, centres.shape[0]) * present[:, None]
        count = jnp.sum(belongs, axis=0)[:, None]
        mean = jnp.matmul(belongs.T, points, precision=jax.lax.Precision.HIGHEST) / jnp.maximum(count, 1)
        changed = jnp.any(present & (nearest != own))
        return jnp.where(count > 0, mean, centres), nearest, changed, step + 1

    def goes_on(carry: tuple[Array, Array, Array, Array]) -> Array:
        return carry[2] & (carry[3] < MAX_STEPS)

    nobody = jnp.full(points.shape[:1], -1)
    return jax.lax.while_loop(goes_on, moved, (centres, nobody, jnp.any(present), jnp.int32(0)))[0]


def nearest_images(
    points: Float[Array, "m f"], present: Bool[Array, " m"], centres: Float[Array, "k f"]
) -> Int[Array, " k"]:
    """Returns for each centre a point near it, no point twice while there are enough.

    The nearest pair of all is taken first, then the nearest of what is left; so the order of the centres does
    not matter, nor do centres that coincide take the same point.
    """

    def take(distance: Float[Array, "m k"], _: None) -> tuple[Float[Array, "m k"], Int[Array, ""]]:
        point, centre = jnp.divmod(jnp.argmin(distance), distance.shape[1])
        return distance.at[point].set(jnp.inf).at[:, centre].set(jnp.inf), point

    distance = jnp.where(present[:, None], squared_distances(points, centres), jnp.inf)
    return jax.lax.scan(take, distance, length=centres.shape[0])[1]


def squared_distances(a: Float[Array, "m f"], b: Float[Array, "k f"]) -> Float[Array, "m k"]:
    """Returns |a_i - b_j|^2 by the Gram matrix."""
    product = jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.maximum(jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1) - 2 * product, 0.0)


def _for_classes(
    pick: Pick, key: KeyArray, features: ArrayLike, labels: ArrayLike, counts: tuple[int, int]
) -> Coreset:
    """Returns what `pick` chooses from each class; counts are of classes and of images a class."""
    num_classes, num = counts
    rows, label = _checked(features, labels, num_classes, num)
    members, present = _class_members(label, num_classes, num)
    # Data sets of about a size share a program: all shapes are padded to powers of two.
    rows = np.pad(rows, ((0, _room(len(rows)) - len(rows)), (0, 0)))
    chosen = _each_class(key, jnp.asarray(rows), members, present, pick=pick, num=num)
    return Coreset(*(part[:num_classes] for part in chosen))


@partial(jax.jit, static_argnames=("pick", "num"))
def _each_class(
    key: KeyArray,
    features: Float[Array, "n f"],
    members: Int[Array, "c m"],
    present: Bool[Array, "c m"],
    *,
    pick: Pick,
    num: int,
) -> Coreset:
    """Returns the rows chosen, one class after the other: a class stops iterating when it is done."""

    def one(row: tuple[Array, Array, Array]) -> Coreset:
        number, own, there = row
        position = pick(jax.random.fold_in(key, number), features[own], there, num)
        taken = jnp.arange(num) < jnp.sum(there)
        return Coreset(jnp.where(taken, own[position], 0), taken)

    return jax.lax.map(one, (jnp.arange(members.shape[0]), members, present))


def _class_members(labels: np.ndarray, num_classes: int, num: int) -> tuple[Array, Array]:
    """Returns the rows of each class [c m], and which of them there are; both padded."""
    count = np.bincount(labels, minlength=num_classes)
    width = _room(max(int(count.max()), num))
    members = np.zeros((_room(num_classes), width), np.int32)
    present = np.arange(width) < np.pad(count, (0, len(members) - num_classes))[:, None]
    members[present] = np.argsort(labels, kind="stable")
    return jnp.asarray(members), jnp.asarray(present)


def _room(count: int) -> int:
    """Returns the least power of two that is at least count."""
    return 1 << max(count - 1, 0).bit_length()


def _checked(
    features: ArrayLike, labels: ArrayLike, num_classes: int, num: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns features as float32 [n f] and labels as int32 [n]; ValueError where they are not."""
    check_range("num_classes", num_classes, 1)
    check_range("images_per_class", num, 1)
    rows, label = np.asarray(features, np.float32), np.asarray(labels)
    if rows.ndim != 2 or label.shape != rows.shape[:1] or not rows.size:
        raise ValueError(
            f"features must be [n f] and labels [n], n at least 1; got {rows.shape}, {label.shape}"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"features have {np.sum(~np.isfinite(rows))} numbers that are not finite")
    if label.min() < 0 or label.max() >= num_classes:
        raise ValueError(f"labels must be in [0, {num_classes}), got {label.min()} to {label.max()}")
    return rows, label.astype(np.int32)
