"""Finished runs side by side: what is read, what is compared, what is said of it, and the page."""

import dataclasses
import itertools
import json
import re
import struct
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_browser
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import ednag_jax as ed
from ednag_jax import cli, report, reports
from ednag_jax.reports import ranking
from ednag_jax.reports.groups import at_seeds, cut, group_runs
from ednag_jax.reports.pictures import drawable
from ednag_jax.reports.ranking import (
    block_ranks,
    cliques,
    critical_difference,
    friedman,
    left_out,
    rank,
    rank_groups,
)
from ednag_jax.reports.sections import clique_letters, ranks_section, share_in_words
from ednag_jax.reports.significance import compare_with
from ednag_jax.reports.tensorboard import scalars

OPTIMUM, SEEDS, QUERIES = 95.0, 12, 20
NASTY = "<script>alert('x')</script> & \"$\\frac{\" _"


def made(shift=0.0, *, num=QUERIES, seeds=range(SEEDS), dataset="digits", draw=0, **changes):
    """A result as a search writes it, made from numbers; a larger shift is better."""
    rng = np.random.default_rng(draw)
    rises = rng.exponential(0.4, (max(seeds) + 1, num))[list(seeds)]
    curve = np.round(np.minimum(80 + shift + np.cumsum(rises, axis=1), OPTIMUM), 3)
    benchmark = {
        **{
            "space": "s",
            "name": "table",
            "dataset": dataset,
            "metric": "valid",
            "oracle": "validation accuracy",
        },
        **{"epochs": 10, "unit": "percent", "direction": "max", "table_hash": "ab" * 32, "optimum": OPTIMUM},
        **changes.pop("benchmark", {}),
    }
    count = np.full(len(curve), num)
    fields = {
        **{"strategy": "ednag", "benchmark": benchmark, "config": {"name": "C", "num_steps": 5}, "budget": num},
        **{
            "seeds": list(seeds),
            "best_accuracy": curve[:, -1],
            "test_accuracy": curve[:, -1] - 1,
            "curve": curve,
        },
        **{
            "best_arch": ["a"] * len(curve),
            "queries": count,
            "num_invalid": 0 * count,
            "num_failed": 0 * count,
        },
        **{"compile_seconds": 1.0, "run_seconds": 0.5, "environment": {"ednag-jax": "0.1.0", "jax": "0.10"}},
    }
    return ed.Result(**{**fields, **changes})


def diagnostics(num=7):
    return {
        name: np.linspace(1, 0.5, num) for name in ("effective_size", "spread", "new_share", "distinct_share")
    }


def written(folder, results):
    report.write_results(folder / "result.json", report.provenance("a command"), results)
    return folder


def runs_of(**results):
    return [reports.Run(label, result) for label, result in results.items()]


def group_of(**results):
    (group,) = group_runs(runs_of(**results))
    return group


# --- what is read


def test_a_folder_stands_for_its_result_and_a_folder_of_folders_for_theirs(tmp_path):
    a, b = (written(tmp_path / name, {name: made(i)}) for i, name in enumerate("ab"))
    assert [run.label for run in reports.read_runs([b, a])] == ["b", "a"]
    assert [run.label for run in reports.read_runs([tmp_path])] == ["a", "b"]
    (again,) = reports.read_runs([a, a / "result.json", tmp_path / "b" / ".." / "a"])
    np.testing.assert_array_equal(again.result.curve, made(0).curve)


def test_experiments_name_the_method_last_and_their_parts_in_the_file_name(tmp_path):
    keys = {"honest / digits / EDNAG, default": made(), "test / digits": made(benchmark={"metric": "test"})}
    assert [run.label for run in reports.read_runs([written(tmp_path, keys)])] == ["EDNAG, default", "ednag"]
    part = made().to_json(tmp_path / "parts" / "table digits valid local search.json")
    (tmp_path / "parts" / "table.json").write_text("{}")  # no result: passed over in a folder
    assert [run.label for run in reports.read_runs([part.parent])] == ["local search"]


def test_runs_of_one_name_are_told_by_folder_then_by_number_but_not_across_benchmarks(tmp_path):
    written(tmp_path / "x", {"ednag": made(1)})
    written(tmp_path / "y", {"ednag": made(2)})
    written(tmp_path / "z", {"ednag": made(3, dataset="letters")})
    assert [run.label for run in reports.read_runs([tmp_path])] == ["ednag (x)", "ednag (y)", "ednag"]
    same = [tmp_path / "1" / "x", tmp_path / "2" / "x"]
    labels = [run.label for run in reports.read_runs([written(each, {"ednag": made()}) for each in same])]
    assert labels == ["ednag (x) #1", "ednag (x) #2"]


def without(name):
    return {key: value for key, value in made().to_dict().items() if key != name}


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "is neither a file nor a folder"),
        ("{'", "is no result of a search"),
        ("[1, 2]", "is no result of a search"),
        (json.dumps({"results": {}}), "is no result of a search"),
        (json.dumps({"results": {"rows": [1]}}), "'rows' is no result of a search"),
        (json.dumps(made().to_dict())[:-40], "is no result of a search"),
        (json.dumps(without("queries")), "a result of another version .*queries"),
        (json.dumps({**made().to_dict(), "novel": 1}), "a result of another version .*novel"),
        (json.dumps({**made().to_dict(), "seeds": [1, 2]}), "is no whole result"),
        (json.dumps({**made().to_dict(), "seeds": [0] * SEEDS}), "is no whole result"),
        (json.dumps({**made().to_dict(), "curve": [[1.0], [2.0, 3.0]]}), "a result of another version"),
    ],
)
def test_what_is_no_result_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "some.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ed.DataError, match=f"some.json.*{message}"):
        reports.read_runs([path])


def test_a_folder_without_results_and_no_path_at_all_say_what_to_give(tmp_path):
    with pytest.raises(ed.DataError, match=r"holds no result; expected result\.json or results\.json"):
        reports.read_runs([tmp_path])
    with pytest.raises(ed.DataError, match="no run was given"):
        reports.read_runs([])


# --- what is compared


def test_runs_are_compared_after_the_queries_that_all_had():
    long, short = made(num=20), made(draw=1, num=8)
    group = group_of(long=long, short=short)
    assert group.queries == 8
    np.testing.assert_array_equal(group.runs["long"].best_accuracy, long.curve[:, 7])
    np.testing.assert_array_equal(group.runs["short"].best_accuracy, short.best_accuracy)
    assert any("after 8 queries" in note and "long (20)" in note for note in group.notes)
    (early,) = group_runs(runs_of(long=long, short=short), queries=3)
    np.testing.assert_array_equal(early.runs["short"].best_accuracy, short.curve[:, 2])
    for queries in (0, 9):
        with pytest.raises(ValueError, match=f"queries must be from 1 to 8, got {queries}: on table digits"):
            group_runs(runs_of(long=long, short=short), queries=queries)


def test_test_accuracy_of_a_run_that_is_cut_is_known_only_where_its_best_stays_the_same():
    flat = made(shift=30)  # at the optimum from the first query on
    assert cut(flat, 5).test_accuracy is flat.test_accuracy
    assert cut(made(), 5).test_accuracy is None
    assert cut(made(), QUERIES).test_accuracy is not None
    assert any("not known of a run that was cut" in note for note in group_of(a=made(), b=made(num=5)).notes)


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"benchmark": {"table_hash": "cd" * 32}}, "another table"),
        ({"benchmark": {"metric": "test", "oracle": "test accuracy"}}, "another metric"),
        ({"benchmark": {"epochs": 200}}, "another number of epochs"),
        ({"constraints": {"latency": 0.1}}, "another set of constraints"),
    ],
)
def test_runs_that_saw_something_else_are_reported_apart_and_it_is_said_why(changes, word):
    groups = group_runs(runs_of(a=made(), b=made(1), c=made(**changes)))
    assert [list(group.runs) for group in groups] == [["a", "b"], ["c"]]
    assert len({group.title for group in groups}) == 2
    assert all(
        any(f"Not compared with the other runs on table digits: {word}" in n for n in g.notes) for g in groups
    )
    others = group_runs(runs_of(a=made(), c=made(dataset="letters")))
    assert not any("Not compared" in note for group in others for note in group.notes)


def test_with_several_objectives_hypervolume_is_compared():
    volume = np.linspace(0.1, 0.9, SEEDS * QUERIES).reshape(SEEDS, QUERIES)
    front = {"objectives": ["accuracy", "latency"], "hypervolume": volume, "reference": {"latency": 1.0}}
    group = group_of(a=made(**front), b=made(1, **front))
    assert group.measure == "hypervolume"
    np.testing.assert_array_equal(group.runs["a"].best_accuracy, volume[:, -1])
    assert group.runs["a"].benchmark["optimum"] == 1


def test_what_a_reader_must_know_is_said():
    nan = np.where(np.arange(SEEDS) < 2, np.nan, 90.0)
    odd = made(
        best_accuracy=nan,
        curve=np.repeat(nan[:, None], QUERIES, axis=1),
        observed_accuracy=nan,
        environment={"ednag-jax": "0.0.9"},
        benchmark={"optimum": None, "direction": "min", "metric": "test"},
    )
    notes = " ".join(group_of(a=odd, b=made(benchmark=odd.benchmark)).notes)
    for words in ("a 2 of 12", "The search saw test accuracy", "sign turned", "Noisy oracle", "is not known"):
        assert words in notes
    assert "different versions of ednag-jax: 0.0.9, 0.1.0" in notes


# --- tests


def test_pairs_are_of_the_same_seed_wherever_it_stands():
    a, b = made(), made(0.3, draw=1)
    order = np.random.default_rng(3).permutation(SEEDS)
    shuffled = dataclasses.replace(
        b, seeds=[b.seeds[i] for i in order], curve=b.curve[order], best_accuracy=b.best_accuracy[order]
    )
    (straight,), (mixed,) = (compare_with(group_of(a=a, b=other), "a") for other in (b, shuffled))
    assert straight == mixed
    assert straight.p_value == pytest.approx(stats.wilcoxon(b.best_accuracy - a.best_accuracy).pvalue)
    assert straight.difference.mean == pytest.approx(np.mean(b.best_accuracy - a.best_accuracy))
    assert straight.num_pairs == SEEDS


def test_only_common_seeds_are_paired_and_all_seeds_counted():
    a, b = made(), made(draw=1, seeds=range(4, 20))
    group = group_of(a=a, b=b)
    (found,) = compare_with(group, "a")
    common = list(range(4, SEEDS))
    assert found.num_pairs == len(common)
    assert found.p_value == report.wilcoxon(at_seeds(b, common), at_seeds(a, common))
    assert found.delta == report.cliffs_delta(b.best_accuracy, a.best_accuracy)
    assert any("a: 0 to 11; b: 4 to 19" in note for note in group.notes)


def test_seeds_of_another_root_are_other_seeds():
    """The same numbers, whose keys come of two roots: nothing is paired, and the report says so."""
    group = group_of(a=made(0), b=made(1, root=7))
    (found,) = compare_with(group, "a")
    assert found.num_pairs == 0
    assert f"a: 0 to {SEEDS - 1} of root 0; b: 0 to {SEEDS - 1} of root 7" in " ".join(group.notes)
    old = made(0).to_dict()
    del old["root"]
    assert ed.Result.from_dict(old).root == 0


def test_without_common_seeds_the_test_is_unpaired_and_with_one_seed_there_is_none():
    a, b, one = made(), made(0.5, draw=1, seeds=range(50, 60)), made(seeds=[99])
    apart, alone = compare_with(group_of(a=a, b=b, one=one), "a")
    assert apart.num_pairs == alone.num_pairs == 0
    assert apart.p_value == pytest.approx(stats.mannwhitneyu(b.best_accuracy, a.best_accuracy).pvalue)
    assert apart.p_holm == apart.p_value  # the other is no test, so there is nothing to correct for
    assert np.isnan([alone.p_value, alone.p_holm]).all()
    page = reports.as_markdown(reports.build_report(runs_of(a=a, b=b, one=one)))
    assert "unpaired" in page
    assert "too few seeds" in page
    assert "Mann and Whitney" in page


def test_p_values_are_corrected_for_all_tests_on_the_benchmark():
    group = group_of(a=made(), **{str(i): made(0.4 * i, draw=i) for i in range(1, 4)})
    found = compare_with(group, "a")
    assert [each.p_holm for each in found] == report.holm([each.p_value for each in found])
    against_last = compare_with(group, "3")
    assert [each.label for each in against_last] == ["a", "1", "2"]
    assert against_last[0].difference.mean == pytest.approx(-found[2].difference.mean)


def test_a_seed_that_met_nothing_counts_as_the_worst_of_both():
    a = made()
    lost = np.where(np.arange(SEEDS) < 6, np.nan, a.best_accuracy)
    b = dataclasses.replace(a, best_accuracy=lost, curve=np.repeat(lost[:, None], QUERIES, axis=1))
    (found,) = compare_with(group_of(a=a, b=b), "a")
    expected = np.where(np.isnan(lost), a.best_accuracy.min(), lost)
    assert found.difference.mean == pytest.approx(np.mean(expected - a.best_accuracy))
    assert found.difference.mean < 0


# --- ranks


def plain_ranks(row):
    """1 + how many are better + half of the others that are equal."""
    return [1 + sum(y > x for y in row) + (sum(y == x for y in row) - 1) / 2 for x in row]


@given(st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6))
def test_ranks_are_counted_within_each_block(scores):
    expected = [plain_ranks(row) for row in scores]
    np.testing.assert_array_equal(block_ranks(np.array(scores, float)), expected)


def test_equal_means_tie_whatever_their_rounding_and_nothing_is_last():
    assert block_ranks(np.array([[0.1 + 0.2, 0.3, np.nan]])).tolist() == [[1.5, 1.5, 3]]


@given(st.lists(st.permutations([1.0, 2.0, 3.0, 4.0]), min_size=2, max_size=9))
def test_friedman_is_the_chi_square_of_the_mean_ranks(ranks):
    ranks = np.array(ranks)
    num_blocks, k = ranks.shape
    chi_square = 12 * num_blocks / (k * (k + 1)) * np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2)
    assert friedman(ranks) == pytest.approx(stats.chi2.sf(chi_square, k - 1))


def test_friedman_of_equals_is_one_and_does_not_know_two_methods():
    assert friedman(np.full((5, 3), 2.0)) == 1
    assert np.isnan(friedman(np.array([[1.0, 2.0]])))


@pytest.mark.parametrize("num, q", [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_has_the_published_constants(num, q):
    """Demsar (2006), table 5."""
    assert critical_difference(num, 14) == pytest.approx(q * np.sqrt(num * (num + 1) / (6 * 14)), abs=2e-3)


@given(st.lists(st.floats(1, 6), min_size=1, max_size=7), st.floats(0, 4))
def test_cliques_are_the_largest_runs_within_the_difference_and_letters_say_so(ranks, difference):
    ranks = np.sort(np.array(ranks))
    num = len(ranks)
    within = [(i, j) for i in range(num) for j in range(i + 1, num) if ranks[j] <= ranks[i] + difference]
    largest = [(i, j) for i, j in within if not any((a, b) != (i, j) and a <= i and j <= b for a, b in within)]
    assert cliques(ranks, difference) == largest
    letters = clique_letters(ranking.Ranking(list("abcdefg")[:num], ranks, 3, "seeds", 1.0, difference))
    for i in range(num):
        assert letters[i]
        for j in range(i + 1, num):
            assert bool(set(letters[i]) & set(letters[j])) == ((i, j) in within)


def test_ranks_are_over_benchmarks_where_there_are_several_and_over_seeds_in_one():
    one = group_runs(runs_of(worse=made(), better=made(3, draw=1)))
    over_seeds = rank_groups(one)
    assert (over_seeds.over, over_seeds.num_blocks, over_seeds.labels) == ("seeds", SEEDS, ["better", "worse"])
    runs = [
        reports.Run(label, made(shift, dataset=dataset, draw=draw))
        for draw, dataset in enumerate(("x", "y", "z"))
        for label, shift in {"low": 0, "high": 4, **({"mid": 2} if dataset != "z" else {})}.items()
    ]
    groups = group_runs(runs)
    over_tables = rank_groups(groups)
    assert (over_tables.over, over_tables.num_blocks) == ("benchmarks", 3)
    assert dict(zip(over_tables.labels, over_tables.mean_ranks, strict=True)) == {"high": 1, "low": 2}
    assert left_out(groups) == {"mid": 2}
    notes = ranks_section(groups, over_tables).notes
    assert "Not ranked, since not run on every benchmark: mid (on 2 of 3)." in notes


def test_nothing_is_ranked_where_nothing_is_shared():
    assert rank_groups(group_runs(runs_of(a=made()))) is None
    assert rank_groups(group_runs(runs_of(a=made(), b=made(seeds=range(20, 30))))) is None
    by_itself = reports.build_report(runs_of(a=made(), b=made(dataset="letters")))
    assert by_itself.notes == [
        "No two runs are on the same benchmark, so nothing is compared: each is reported by itself."
    ]
    assert reports.build_report(runs_of(a=made())).notes == ["There is one run: nothing to compare it with."]


def test_best_of_a_ranking_comes_first():
    found = rank(np.array([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]]), ["c", "a", "b"], "seeds")
    assert found.labels == ["a", "b", "c"]
    np.testing.assert_array_equal(found.mean_ranks, [1, 2, 3])


# --- what is said


def cells(document, title, row):
    (table,) = [t for section in document.sections for t in section.tables if t.title.startswith(title)]
    (found,) = [each for each in table.rows if each[0] == row]
    return dict(zip(table.header, found, strict=True))


def test_the_table_has_the_numbers_of_all_seeds():
    result = made(4, draw=3)
    row = cells(reports.build_report(runs_of(a=result, b=made())), "Accuracy in percent after 20", "a")
    values = result.best_accuracy
    low, high = stats.t.interval(0.95, SEEDS - 1, loc=values.mean(), scale=stats.sem(values))
    assert row["mean ± std"] == f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    assert row["95 % CI"] == f"± {(high - low) / 2:.2f}"
    assert row["best / worst"] == f"{values.max():.2f} / {values.min():.2f}"
    assert row["regret"] == f"{OPTIMUM - values.mean():.3f}"
    assert row["test accuracy"] == f"{values.mean() - 1:.2f} ± {values.std(ddof=1):.2f}"


def test_the_share_at_the_optimum_has_wilsons_interval():
    hits, z = 3, stats.norm.ppf(0.975)
    best = np.where(np.arange(SEEDS) < hits, OPTIMUM - 5e-4, 90)
    p, n = hits / SEEDS, SEEDS
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (100 * (middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    assert share_in_words(made(best_accuracy=best)) == f"25 % [{low:.0f}, {high:.0f}]"
    assert share_in_words(made(benchmark={"optimum": None})) == "not known"


def test_the_baseline_can_be_chosen_and_must_be_there():
    runs = runs_of(a=made(), b=made(4, draw=1))
    assert cells(reports.build_report(runs, baseline="b"), "Against b", "a")["verdict"] == "worse"
    assert cells(reports.build_report(runs), "Against a", "b")["verdict"] == "better"
    with pytest.raises(ValueError, match="baseline must be one of a, b, got 'c'"):
        reports.build_report(runs, baseline="c")


def test_population_numbers_are_there_where_a_run_has_them():
    runs = runs_of(a=made(diagnostics=diagnostics()), b=made(1))
    document = reports.build_report(runs)
    row = cells(document, "At the first, middle and last step", "a")
    assert row["individuals that decide in (8)"] == "1.00, 0.75, 0.50"
    assert row["share of invalid children"] == "-"
    assert "Not known of b" in reports.as_markdown(document)
    assert "Population" not in [section.title for section in reports.build_report(runs_of(b=made())).sections]


def test_names_are_drawn_as_they_stand():
    assert drawable("a$b") == r"a\$b"
    assert drawable("_hidden").lstrip() == "_hidden"
    assert len(drawable("x" * 500)) < 40


# --- the page and the files


class Reader(HTMLParser):
    """Checks that tags are closed in order, and gathers what tests ask about."""

    EMPTY = ("meta", "br", "hr", "link", "img", "input")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def everything():
    """A document with every kind of section, and names that would break a page."""
    return reports.build_report(
        [
            reports.Run(NASTY, made(diagnostics=diagnostics())),
            reports.Run("_b", made(1, draw=1, num=9)),
            reports.Run("long" * 60, made(2, draw=2, seeds=range(3, 9))),
            reports.Run(NASTY, made(3, dataset="<i>letters</i>", diagnostics=diagnostics())),
            reports.Run("_b", made(1, draw=1, dataset="<i>letters</i>")),
        ]
    )


@pytest.fixture(scope="module")
def page(everything):
    return reports.as_html(everything)


def test_the_page_is_whole_and_says_what_it_is(page):
    read = Reader(page)
    assert ("html", "lang", "en") in read.attributes
    assert "<title>5 runs on 2 benchmarks - ednag report</title>" in page
    assert 'content="width=device-width, initial-scale=1"' in page
    assert read.tags.count("h1") == 1
    levels = [int(tag[1]) for tag in read.tags if re.fullmatch(r"h\d", tag)]
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    targets = [value[1:] for name in ("href", "xlink:href") for value in read.values(name) if value[0] == "#"]
    targets += read.values("aria-labelledby")
    targets += re.findall(r"url\(#([^)]*)\)", page)
    assert targets
    assert set(targets) <= set(ids)


def test_every_picture_is_in_the_page_and_says_what_it_shows(page, everything):
    read = Reader(page)
    pictures = [picture for section in everything.sections for picture in section.pictures]
    assert len(pictures) > 4
    assert read.tags.count("svg") == len(pictures)
    for picture in pictures:
        assert f"{picture.name}-title" in read.values("aria-labelledby")
        assert "".join(read.text).count(picture.text) == 2  # its title, and the caption below it


def test_the_page_fetches_and_runs_nothing(page):
    read = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image"} & set(read.tags)
    assert not [name for _, name, _ in read.attributes if name.startswith("on") or name in ("src", "srcset")]
    assert all(value.startswith("#") for name in ("href", "xlink:href") for value in read.values(name))
    outside = re.findall(r"https?://[^\s\"'<>]+", page)
    assert set(outside) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert "default-src 'none'" in page


def test_names_stand_in_the_page_as_they_are_and_never_become_part_of_it(page):
    read = Reader(page)
    assert NASTY in "".join(read.text)
    assert "<i>letters</i>" in "".join(read.text)
    assert "<script" not in page
    assert "<i>" not in page


def test_the_same_runs_give_the_same_page(everything, page):
    assert reports.as_html(everything) == page


def test_markdown_has_its_tables_and_its_pictures_beside_it(everything, tmp_path):
    text = reports.write_markdown(everything, tmp_path).read_text()
    for name in re.findall(r"\]\(([a-z_0-9]+\.png)\)", text):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "| method | mean rank | letters |" in text
    assert text.count("![") == len(list(tmp_path.glob("*.png")))


def test_the_command_prints_and_writes_and_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    runs = [str(written(tmp_path / n, {n: made(i, draw=i)})) for i, n in enumerate(("slow", "fast", "faster"))]
    assert cli.main(["report", *runs, "--out", str(tmp_path / "out"), "--baseline", "fast"]) == 0
    printed = capsys.readouterr().out
    assert "Against fast" in printed
    assert "Mean ranks" in printed
    assert {"report.html", "report.md", "ranks.png", "regret_1.png"} == {
        p.name for p in (tmp_path / "out").iterdir()
    }
    for arguments, message in (
        ([str(tmp_path / "none")], "neither a file nor a folder"),
        ([*runs, "--baseline", "x"], "baseline must be one of slow, fast, faster"),
        ([*runs, "--queries", "21"], "queries must be from 1 to 20, got 21"),
    ):
        assert cli.main(["report", *arguments]) == 2
        assert message in capsys.readouterr().err


# --- TensorBoard


def logged(folder):
    """Tag -> [(step, value)] of the event files in a folder, read without the package that wrote them."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.glob("events*"):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (size,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + size])
            place += size + 16
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_gets_the_curves_of_every_run_and_a_second_writing_replaces_them(tmp_path):
    pytest.importorskip("tensorboardX")
    runs = runs_of(**{"a/../b": made(diagnostics=diagnostics()), "c": made(1, num=9)})
    for _ in range(2):
        folders = reports.write_tensorboard(runs, tmp_path)
    assert [path.parent.parent for path in folders] == [tmp_path] * 2
    found = logged(folders[0])
    (group,) = group_runs(runs)
    for tag, values in scalars(group.runs["a/../b"], "accuracy").items():
        steps, numbers = zip(*found[tag], strict=True)
        assert list(steps) == list(range(1, len(values) + 1))
        np.testing.assert_allclose(numbers, values, rtol=1e-6)
    assert {
        "by_queries/accuracy",
        "by_queries/regret",
        "by_queries/share_at_optimum",
        "by_steps/spread",
    } <= set(found)
    assert len(found["by_queries/accuracy"]) == group.queries == 9


def test_without_the_extra_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match=r"needs tensorboardX: pip install 'ednag-jax\[tensorboard\]'"):
        reports.write_tensorboard(runs_of(a=made()), tmp_path)


# --- the docs

PAGE = (Path(__file__).parents[1] / "docs" / "reports.md").read_text()


@pytest.mark.slow
def test_the_page_in_the_docs_runs_as_printed(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    commands = re.findall(r"^ednag (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        assert cli.main(command.split()) == 0
    assert "Mean ranks" in capsys.readouterr().out
    assert "Population" in Path("report/report.html").read_text()
    assert len(list(Path("logs").glob("*/*/events*"))) == 3
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(example, {})
    assert "Against random_search" in capsys.readouterr().out
    assert "after 50 queries" in Path("report_50/report.html").read_text()


# --- a real browser

WIDTHS = (375, 1280)
SMALLEST_TEXT = 9.0
"""Pixels of the letters in a picture: what a phone's own small print has."""
WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('svg')
  && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
TEXT_SIZES = """[...document.querySelectorAll('svg text')].map(t => { const s = t.closest('svg'),
  scale = s.getBoundingClientRect().width / s.viewBox.baseVal.width;
  return parseFloat(getComputedStyle(t).fontSize) * scale; })"""
CONTRAST = """(() => { const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
  .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const back = light(getComputedStyle(document.body).backgroundColor);
  const ratio = c => { const l = light(c); return (Math.max(l, back) + 0.05) / (Math.min(l, back) + 0.05); };
  return [...document.querySelectorAll('h1, p, a, td, figcaption, svg text')].map(e => ratio(
    getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'])); })()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_browser()
    if program is None:
        pytest.skip("no browser: the page was not opened; install chromium, as .ci/run does")
    with Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_the_page_without_scrolling_sideways(browser, everything, tmp_path, width, scheme):
    path = reports.write_page(everything, tmp_path)
    shown = browser.open(path, width=width, scheme=scheme)
    shown.value("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert shown.value("innerWidth") == width
    assert shown.value("document.documentElement.scrollWidth") == width
    assert shown.value(WIDE) == []
    assert shown.requests() == [path.as_uri()]
    assert shown.complaints() == []
    assert shown.value("document.title") == "5 runs on 2 benchmarks - ednag report"
    sizes = shown.value(TEXT_SIZES)
    assert len(sizes) > 50
    assert min(sizes) >= SMALLEST_TEXT
    assert min(shown.value(CONTRAST)) >= 4.5  # WCAG's bound for text
    is_dark = shown.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert is_dark == (scheme == "dark")


@pytest.mark.slow
def test_on_a_phone_wide_tables_scroll_in_their_own_box(browser, everything, tmp_path):
    shown = browser.open(reports.write_page(everything, tmp_path), width=375)
    boxes = "[...document.querySelectorAll('.scroll')]"
    assert shown.value(f"{boxes}.filter(e => e.scrollWidth > e.clientWidth + 1).length") > 3
    moved = f"{boxes}.map(e => {{ e.scrollLeft = 50; return e.scrollLeft; }}).filter(x => x == 50).length"
    assert shown.value(moved) > 3
    names = f"{boxes}.map(e => [e, e.querySelector('tbody th')].map(x => x.getBoundingClientRect()))"
    hidden = (
        f"{names}.filter(([box, name]) => box.width && (name.left < box.left || name.width > 0.6 * box.width))"
    )
    assert shown.value(f"{hidden}.length") == 0  # the name of a row stays, and leaves room for its numbers
