"""Tables of one's own from a file: every architecture once, found by its text, whatever the order."""

import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.storage import DataError

SPACE = ed.CategoricalSpace("mine", choices=(2, 3, 2))
TEXTS = [f"{a}-{b}-{c}" for a in range(2) for b in range(3) for c in range(2)]
VALUES = np.random.default_rng(0).normal(50, 10, len(TEXTS))


def written(path, texts, accuracies, columns=("architecture", "accuracy")):
    if path.suffix == ".npz":
        np.savez(path, **{columns[0]: np.array(texts, str), columns[1]: np.asarray(accuracies)})
    else:
        lines = [f'"{text}",{accuracy}' for text, accuracy in zip(texts, accuracies, strict=True)]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return path


@pytest.mark.parametrize("name", ["mine.csv", "mine.npz"])
def test_values_are_found_by_text_in_any_order(name, tmp_path):
    order = np.random.default_rng(1).permutation(len(TEXTS))
    path = written(tmp_path / name, [TEXTS[i] for i in order], VALUES[order])
    benchmark = ed.benchmark_from_table_file(SPACE, path)
    archs = jnp.stack([SPACE.from_str(text) for text in TEXTS])
    np.testing.assert_allclose(benchmark.lookup(archs), VALUES, rtol=1e-6)
    assert benchmark.optimum == pytest.approx(VALUES.max(), rel=1e-6)
    assert (benchmark.name, benchmark.dataset, benchmark.oracle) == ("mine", "mine", f"accuracy of {name}")


@pytest.mark.parametrize(
    "name", ["transnas101_micro", pytest.param("transnas101_macro", marks=pytest.mark.slow)]
)
def test_registered_spaces_are_read_by_their_official_strings(name, tmp_path):
    space = ed.SPACES[name]
    phenotypes = np.asarray(space.from_index(jnp.arange(space.size)))
    values = np.arange(space.size, dtype=float)
    path = written(tmp_path / "all.csv", [space.to_str(row) for row in phenotypes][::-1], values[::-1])
    benchmark = ed.benchmark_from_table_file(space, path, name="theirs", dataset="numbers")
    np.testing.assert_array_equal(benchmark.params, values)
    assert (benchmark.name, benchmark.dataset) == ("theirs", "numbers")


def test_a_search_runs_on_it_and_other_columns_do_no_harm(tmp_path):
    lines = [f"{value},{i},{text}" for i, (text, value) in enumerate(zip(TEXTS, VALUES, strict=True))]
    path = tmp_path / "more.csv"
    path.write_text("\n".join(["accuracy,number,architecture", *lines]))
    result = ed.search("random_search", ed.benchmark_from_table_file(SPACE, path), seeds=2, queries=12)
    np.testing.assert_allclose(result.best_accuracy, VALUES.max(), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, v: (t[:4] + t[5:], [*v[:4], *v[5:]]), f"lacks 1 of 12 architectures, such as '{TEXTS[4]}'"),
        (lambda t, v: (t[:2], v[:2]), f"lacks 10 of 12 architectures, such as '{TEXTS[2]}'"),
        (
            lambda t, v: ([*t, t[6]], [*v, 1.0]),
            f"1 architectures more than once, such as '{TEXTS[6]}' in rows .6, 12",
        ),
        (lambda t, v: ([t[0], t[0], *t[2:]], v), f"more than once, such as '{TEXTS[0]}' in rows .0, 1"),
        (lambda t, v: (["0-3-0", *t[1:]], v), "'0-3-0' has a value outside its choices"),
        (lambda t, v: (["x", *t[1:]], v), "'x' is not 3 numbers joined by '-'"),
        (lambda t, v: (t, [float("nan"), *v[1:]]), "1 accuracies not finite, first in row 0"),
        (lambda t, v: (t, ["high", *v[1:]]), "an accuracy that is no number"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(change, message, tmp_path):
    path = written(tmp_path / "mine.csv", *change(TEXTS, VALUES.tolist()))
    with pytest.raises(DataError, match=f"mine.csv': .*{message}|mine.csv' .*{message}"):
        ed.benchmark_from_table_file(SPACE, path)


def test_files_of_another_form_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"none.csv' is missing"):
        ed.benchmark_from_table_file(SPACE, tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"a.csv' needs the columns architecture, accuracy"):
        ed.benchmark_from_table_file(SPACE, written(tmp_path / "a.csv", TEXTS, VALUES, ("arch", "accuracy")))
    with pytest.raises(DataError, match=r"a.npz' needs arrays architecture, accuracy"):
        ed.benchmark_from_table_file(SPACE, written(tmp_path / "a.npz", TEXTS, VALUES, ("arch", "accuracy")))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(DataError, match=r"cut.npz' is no whole .npz"):
        ed.benchmark_from_table_file(SPACE, tmp_path / "cut.npz")
    with pytest.raises(DataError, match="12 architectures and accuracies"):
        ed.benchmark_from_table_file(SPACE, written(tmp_path / "b.npz", TEXTS, VALUES[:5]))


def test_an_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", architecture=np.array(TEXTS, object), accuracy=VALUES)
    with pytest.raises(DataError, match=r"a.npz' is no whole .npz of plain arrays"):
        ed.benchmark_from_table_file(SPACE, tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["nasbench101", "darts", "mobilenetv3"])
def test_spaces_without_a_table_index_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"space '{name}' has no table index"):
        ed.benchmark_from_table_file(ed.SPACES[name], tmp_path / "x.csv")
