"""The method once more, slow and plain: NumPy float64, one individual at a time, written from docs/method.md.

Nothing of the package is imported. Tests compare the package with it; perf/ uses `evolve` as the plain
per-seed loop that the engine is measured against.
"""

from __future__ import annotations

import numpy as np

NODES, OPS = 8, 7


def cosine(num_steps):
    return [(np.cos(np.pi * i / (num_steps - 1)) + 1) / 2 for i in range(num_steps)]


def estimate_x0(population, weight, alpha_bar, floor=0.0):
    """Equation (8), optionally with the floor of the published experiments."""
    estimates = np.zeros_like(population)
    for i, x in enumerate(population):
        total, z = np.zeros(population.shape[1]), 0.0
        exponents = [-np.sum((x - np.sqrt(alpha_bar) * y) ** 2) / (2 * (1 - alpha_bar)) for y in population]
        # Without a floor a common factor cancels; it keeps exp from underflowing for all.
        shift = max(exponents) if floor == 0 else 0.0
        for y, g, exponent in zip(population, weight, exponents, strict=True):
            p = (g + floor) * (np.exp(exponent - shift) + floor)
            total += p * y
            z += p
        estimates[i] = total / (z + floor)
    return estimates


def ddim(population, x0, noise, alpha_bar, alpha_bar_prev, noise_scale):
    """Equations (3) and (2): the implied noise, then the step."""
    sigma = noise_scale * np.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar))
    sigma *= np.sqrt(1 - alpha_bar / alpha_bar_prev)
    eps = (population - np.sqrt(alpha_bar) * x0) / np.sqrt(1 - alpha_bar)
    direction = np.sqrt(max(1 - alpha_bar_prev - sigma**2, 0.0)) * eps
    return np.sqrt(alpha_bar_prev) * x0 + direction + sigma * noise


def normalise(population):
    out = np.empty_like(population)
    for i, x in enumerate(population):
        low, high = x.min(), x.max()
        out[i] = 2 * (x - low) / (high - low) - 1 if high > low else -1
    return out


def polynomial_mutation(x, u, index):
    """One individual in [-1, 1], one draw u for all its coordinates."""
    out = np.empty_like(x)
    for k, value in enumerate(x):
        if u <= 0.5:
            share = (value + 1) / 2
            delta = (2 * u + (1 - 2 * u) * (1 - share) ** (index + 1)) ** (1 / (index + 1)) - 1
        else:
            share = (1 - value) / 2
            delta = 1 - (2 * (1 - u) + 2 * (u - 0.5) * (1 - share) ** (index + 1)) ** (1 / (index + 1))
        out[k] = value + 2 * delta
    return out


def rescale(accuracy):
    points = [0, 30, 50, 70, 75, 80, 85, 90, 95, 1000]
    slopes = [0.1, 1, 2, 3, 5, 10, 30, 40, 50]
    values = [0.0]
    for left, right, slope in zip(points, points[1:], slopes, strict=False):
        values.append(values[-1] + slope * (right - left))
    return np.interp(accuracy, points, values)


def distance_sums(genotypes):
    return np.array([sum(np.sqrt(np.sum((x - y) ** 2)) for y in genotypes) for x in genotypes])


def elite(fitness, num):
    order = sorted(range(len(fitness)), key=lambda i: -fitness[i])
    chosen, seen, repeated = [], set(), []
    for i in order:
        (repeated if fitness[i] in seen else chosen).append(i)
        seen.add(fitness[i])
    return (chosen + repeated)[:num]


def unit(values):
    low, high = min(values), max(values)
    return [(v - low) / (high - low) if high > low else 0.0 for v in values]


def walk(uniforms, weights, taken):
    """Spin by spin: stop at the first slot that reaches u, then go on, round the end, to a free one."""
    taken, cumulative = list(taken), np.cumsum(weights)
    for u in uniforms:
        slot = int(np.argmax(cumulative >= u * cumulative[-1]))
        while taken[slot]:
            slot = (slot + 1) % len(taken)
        taken[slot] = True
    return taken


def select(uniforms, genotypes, fitness, num_elite, num_diverse):
    """Equation (10) as the published experiments do it; returns a set of indices."""
    diversity = distance_sums(genotypes)
    chosen = elite(fitness, num_elite)
    order = sorted(range(len(fitness)), key=lambda i: -diversity[i])
    eligible = [i for i in order if fitness[i] >= 0.1 * max(fitness)]
    ranked = eligible + [i for i in order if i not in eligible]
    chosen += [i for i in ranked if i not in chosen][:num_diverse]
    wheel = [f * (1 + d) for f, d in zip(fitness, unit(list(diversity)), strict=True)]
    weights = [0.1 + 0.9 * w for w in unit(wheel)]
    taken = walk(uniforms, weights, [i in chosen for i in range(len(fitness))])
    return {i for i, is_taken in enumerate(taken) if is_taken}


def decode(x):
    """Six op ids of a padded genotype, or None where it is no cell."""
    ops = [int(np.argmax(node)) - 2 for node in x.reshape(NODES, OPS)[1:-1]]
    return None if min(ops) < 0 else ops


def table_row(ops):
    return int("".join(map(str, ops)), 5)


def evolve(rng, table, factor, num_steps=100, n=30, noise_scale=0.8):
    """The published recipe, one seed on an accuracy table in base-5 order: best accuracy and queries."""
    queried = {}

    def fitness_of(x):
        ops = decode(x)
        if ops is None:
            return 0.0
        queried[table_row(ops)] = accuracy = table[table_row(ops)]
        return rescale(factor * accuracy)

    alpha = cosine(num_steps)
    x = rng.normal(size=(n, NODES * OPS))
    fitness = np.array([fitness_of(individual) for individual in x])
    for t in range(num_steps - 1, 0, -1):
        weight = np.exp(fitness - fitness.max())
        x0 = estimate_x0(x, weight, alpha[t], floor=1e-9)
        children = normalise(ddim(x, x0, rng.normal(size=x.shape), alpha[t], alpha[t - 1], noise_scale))
        for i in range(n):
            if rng.random() < 0.6:
                children[i] = polynomial_mutation(children[i], rng.random(), 8 if t == num_steps - 1 else 5)
        children = normalise(children)
        both = np.concatenate([x, children])
        values = np.concatenate([fitness, [fitness_of(child) for child in children]])
        kept = sorted(select(rng.random(n - n // 10 - n // 5), both, values, n // 10, n // 5))
        x, fitness = both[kept], values[kept]
    return max(queried.values()), len(queried)
