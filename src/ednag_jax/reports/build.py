"""From finished runs to a report."""

from __future__ import annotations

from collections.abc import Sequence

from ednag_jax.report import provenance
from ednag_jax.reports.document import Document
from ednag_jax.reports.groups import group_runs
from ednag_jax.reports.population import population_section
from ednag_jax.reports.ranking import rank_groups, with_several
from ednag_jax.reports.runs import Run
from ednag_jax.reports.sections import group_section, ranks_section, runs_section

ALONE = "There is one run: nothing to compare it with."
NO_PAIRS = "No two runs are on the same benchmark, so nothing is compared: each is reported by itself."

NO_RANKS = (
    "Nothing is ranked: that takes two methods that ran on every benchmark, or two seeds that they share."
)


def build_report(
    runs: Sequence[Run],
    *,
    queries: int | None = None,
    baseline: str | None = None,
    command: str = "ednag report",
) -> Document:
    """Returns the report that compares runs, benchmark by benchmark at equal queries.

    Args:
        runs: of `read_runs`.
        queries: compare after so many; default is on each benchmark the least of the runs' budgets.
        baseline: label of the run that the others are tested against; default is the first.
        command: what to say that made it.

    Raises:
        ValueError: a baseline that no run is called, or queries that a run does not have.
    """
    labels = list(dict.fromkeys(run.label for run in runs))
    if baseline is not None and baseline not in labels:
        raise ValueError(f"baseline must be one of {', '.join(labels)}, got {baseline!r}")
    groups = group_runs(runs, queries=queries)
    compared = with_several(groups)
    ranking = rank_groups(groups)
    ranks = [] if ranking is None else [ranks_section(compared, ranking)]
    results = [group_section(number, group, baseline) for number, group in enumerate(groups, 1)]
    population = population_section(groups)
    sections = [*ranks, *results] if len(compared) > 1 else [*results, *ranks]
    sections += [population] if population else []
    notes = _notes(len(runs), len(compared), is_ranked=ranking is not None)
    return Document(_title(len(runs), len(groups)), notes, [*sections, runs_section(runs)], provenance(command))


def _notes(num_runs: int, num_compared: int, *, is_ranked: bool) -> list[str]:
    """Returns what cannot be said of the runs."""
    if num_runs == 1:
        return [ALONE]
    if not num_compared:
        return [NO_PAIRS]
    return [] if is_ranked else [NO_RANKS]


def _title(num_runs: int, num_groups: int) -> str:
    """Returns what the report is called."""
    if num_runs == 1:
        return "Report of a run"
    where = "a benchmark" if num_groups == 1 else f"{num_groups} benchmarks"
    return f"{num_runs} runs on {where}"
