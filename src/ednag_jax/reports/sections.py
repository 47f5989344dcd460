"""The sections of a report: numbers of every group as text, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from ednag_jax.report import plus_minus, summarise
from ednag_jax.reports.document import Picture, Section, Table
from ednag_jax.reports.groups import Group, seeds_in_words
from ednag_jax.reports.pictures import rank_figure, regret_figure
from ednag_jax.reports.ranking import LEVEL, Ranking, cliques, left_out
from ednag_jax.reports.runs import Run
from ednag_jax.reports.significance import Comparison, compare_with
from ednag_jax.result import Result

NOTHING = "-"
UNPAIRED = "unpaired"
MANN_WHITNEY = "Unpaired: no two seeds in common, so the test is Mann and Whitney's, of all seeds of both."
TERMINAL_COLUMNS = ("method", "mean ± std", "95 % CI", "at the optimum", "queries")
PAIRS_IN_TERMINAL = ("method", "pairs", "difference", "p", "p (Holm)", "verdict")


def group_section(number: int, group: Group, baseline: str | None) -> Section:
    """Returns the section of one benchmark: what every run found, tests against the baseline, the curves."""
    tables = [summary_table(group)]
    notes = list(group.notes)
    if len(group.runs) > 1:
        first = baseline if baseline in group.runs else next(iter(group.runs))
        if baseline is not None and baseline not in group.runs:
            notes.append(f"{baseline} did not run here; the others are tested against {first}.")
        tables.append(pairs_table(group, first))
        notes += [MANN_WHITNEY] if any(row[1] == UNPAIRED for row in tables[-1].rows) else []
    what = "Regret" if next(iter(group.runs.values())).benchmark["optimum"] is not None else "Best so far"
    text = (
        f"{what} by distinct architectures queried on {group.title}: line, mean over seeds; band, from the "
        "10th to the 90th percentile of seeds."
    )
    picture = Picture(f"regret_{number}", regret_figure(group), text)
    return Section(group.title, notes, tables, [picture])


def summary_table(group: Group) -> Table:
    """Returns what every run of a group found, over its seeds."""
    measured = "Accuracy" if group.measure == "accuracy" else "Hypervolume"
    unit = next(iter(group.runs.values())).benchmark["unit"]
    header: Sequence[str] = (
        "method",
        "seeds",
        "mean ± std",
        "95 % CI",
        "best / worst",
        "at the optimum",
        "regret",
        "queries",
    )
    rows = [_summary_row(label, result) for label, result in group.runs.items()]
    if any(result.test_accuracy is not None for result in group.runs.values()):
        header = (*header, "test accuracy")
        rows = [[*row, _test(result)] for row, result in zip(rows, group.runs.values(), strict=True)]
    return Table(f"{measured} in {unit} after {group.queries} queries", header, rows, TERMINAL_COLUMNS)


def _summary_row(label: str, result: Result) -> list[str]:
    """Returns one row of `summary_table`, up to the queries."""
    decimals, num = decimals_of(result), str(len(result.seeds))
    known = result.best_accuracy[~np.isnan(result.best_accuracy)]
    queries = f"{result.queries.mean():.0f}"
    if not len(known):
        return [label, num, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, queries]
    summary = summarise(known)
    mean, interval = plus_minus(summary, decimals)
    if np.isnan(summary.ci95):
        interval = NOTHING
    extremes = f"{summary.best:.{decimals}f} / {summary.worst:.{decimals}f}"
    optimum = result.benchmark["optimum"]
    away = NOTHING if optimum is None else f"{optimum - summary.mean:.{decimals + 1}f}"
    return [label, num, mean, interval, extremes, share_in_words(result), away, queries]


def share_in_words(result: Result) -> str:
    """Returns the share of seeds at the optimum with its 95 % interval (Wilson)."""
    if result.benchmark["optimum"] is None:
        return "not known"
    hits, num = int(result.at_optimum.sum()), len(result.seeds)
    low, high = stats.binomtest(hits, num).proportion_ci(method="wilson")
    return f"{100 * hits / num:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def decimals_of(result: Result) -> int:
    """Returns how many decimals tell the benchmark's accuracies apart."""
    return 2 if result.is_percent else 4


def _test(result: Result) -> str:
    """Returns mean ± std of the test accuracy."""
    if result.test_accuracy is None or np.isnan(result.test_accuracy).all():
        return NOTHING
    known = result.test_accuracy[~np.isnan(result.test_accuracy)]
    return plus_minus(summarise(known), decimals_of(result))[0]


def pairs_table(group: Group, baseline: str) -> Table:
    """Returns every other run of a group against the baseline."""
    found = compare_with(group, baseline)
    decimals = decimals_of(group.runs[baseline]) + 1
    header = ("method", "pairs", "difference", "95 % CI", "Cliff's delta", "p", "p (Holm)", "verdict")
    title = f"Against {baseline}: differences to it, Wilcoxon's signed-rank test, Holm's correction"
    return Table(title, header, [_pair_row(each, decimals) for each in found], PAIRS_IN_TERMINAL)


def _pair_row(each: Comparison, decimals: int) -> list[str]:
    """Returns one row of `pairs_table`."""
    paired = str(each.num_pairs) if each.num_pairs else UNPAIRED
    ci95 = each.difference.ci95
    interval = NOTHING if np.isnan(ci95) else f"± {ci95:.{decimals}f}"
    numbers = [f"{each.difference.mean:+.{decimals}f}", interval, f"{each.delta:+.2f}"]
    return [each.label, paired, *numbers, p_in_words(each.p_value), p_in_words(each.p_holm), verdict(each)]


def p_in_words(p_value: float) -> str:
    """Returns a p-value as text.

    >>> p_in_words(0.0312), p_in_words(1e-9), p_in_words(float("nan"))
    ('0.031', '1.0e-09', '-')
    """
    if np.isnan(p_value):
        return NOTHING
    return f"{p_value:.3f}" if p_value >= 1e-3 else f"{p_value:.1e}"


def verdict(each: Comparison) -> str:
    """Returns what the corrected test says."""
    if np.isnan(each.p_holm):
        return "too few seeds"
    if each.p_holm >= LEVEL or each.difference.mean == 0:
        return "no difference shown"
    return "better" if each.difference.mean > 0 else "worse"


def ranks_section(groups: Sequence[Group], ranking: Ranking) -> Section:
    """Returns the section of the mean ranks; over several benchmarks it begins with all means side by side."""
    letters = clique_letters(ranking)
    rows = [
        [label, f"{mean:.2f}", letter]
        for label, mean, letter in zip(ranking.labels, ranking.mean_ranks, letters, strict=True)
    ]
    tables = [Table("Mean ranks, 1 is the best", ("method", "mean rank", "letters"), rows)]
    if len(groups) > 1:
        tables.insert(0, means_table(groups, ranking.labels))
    text = (
        f"Mean ranks over {ranking.num_blocks} {ranking.over}, the best on top, with intervals of the critical "
        f"difference: two methods differ at the level {LEVEL} where their intervals do not overlap."
    )
    return Section(
        "Ranks", _rank_notes(groups, ranking), tables, [Picture("ranks", rank_figure(ranking), text)]
    )


def _rank_notes(groups: Sequence[Group], ranking: Ranking) -> list[str]:
    """Returns what the tests of the ranks say, and which methods could not be ranked."""
    notes = [
        f"Ranked over {ranking.num_blocks} {ranking.over}; equals share their rank. Methods with a letter in "
        f"common differ by no more than the critical difference, {ranking.critical_difference:.2f} (Nemenyi's "
        f"test at the level {LEVEL})."
    ]
    if not np.isnan(ranking.p_value):
        notes.append(f"Friedman's test of whether all methods are the same: p = {p_in_words(ranking.p_value)}.")
    if ranking.over == "benchmarks" and ranking.num_blocks < 5:
        notes.append(f"{ranking.num_blocks} benchmarks are few: only large differences of ranks can show.")
    missing = ", ".join(f"{label} (on {num} of {len(groups)})" for label, num in left_out(groups).items())
    return [*notes, f"Not ranked, since not run on every benchmark: {missing}."] if missing else notes


def clique_letters(ranking: Ranking) -> list[str]:
    """Returns for each method the letters of the cliques that it is in; a letter of its own if in none."""
    found = cliques(ranking.mean_ranks, ranking.critical_difference)
    alone = [(i, i) for i in range(len(ranking.labels)) if not any(a <= i <= b for a, b in found)]
    ordered = sorted([*found, *alone])
    return [
        "".join(chr(ord("a") + n % 26) for n, (a, b) in enumerate(ordered) if a <= i <= b)
        for i in range(len(ranking.labels))
    ]


def means_table(groups: Sequence[Group], labels: Sequence[str]) -> Table:
    """Returns the mean of every method on every benchmark; a star marks the best of a row."""
    rows = []
    for group in groups:
        runs = [group.runs[label] for label in labels]
        texts = [_summary_row("", run)[2].split(" ±")[0] for run in runs]
        numbers = [float(text) if text != NOTHING else -np.inf for text in texts]
        rows.append(
            [group.title, *(f"{t} *" if n == max(numbers) else t for t, n in zip(texts, numbers, strict=True))]
        )
    return Table("Means by benchmark (* the best of a row)", ("benchmark", *labels), rows)


def runs_section(runs: Sequence[Run]) -> Section:
    """Returns what the runs were: files, settings, versions, seconds."""
    header = (
        "method",
        "benchmark",
        "file",
        "strategy",
        "seeds",
        "budget",
        "compile, s",
        "run, s",
        "versions",
        "settings",
    )
    return Section("Runs", (), [Table("What was compared", header, [_run_row(run) for run in runs])], (), True)


def _run_row(run: Run) -> list[str]:
    """Returns one row of `runs_section`."""
    result, made = run.result, run.result.environment
    about = result.benchmark
    settings = ", ".join(f"{name}={value}" for name, value in result.config.items() if name != "name")
    versions = ", ".join(f"{name} {made[name]}" for name in ("ednag-jax", "jax", "device") if name in made)
    return [
        run.label,
        " ".join(filter(None, (about["name"], about["dataset"], str(about["metric"])))),
        NOTHING if run.path is None else f"{run.path.parent.name}/{run.path.name}",
        result.strategy,
        seeds_in_words(result.seeds),
        NOTHING if result.budget is None else str(result.budget),
        f"{result.compile_seconds:.1f}",
        f"{result.run_seconds:.2f}",
        versions,
        settings,
    ]
