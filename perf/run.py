"""perf/, written to RESULTS.md and the README's picture; alone on the machine, or the figures mean nothing.

Command: `make bench` for all of it, `make bench PARTS="predictor meta"` for some: the others stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import denoise
import devices
import engine
import meta
import online
import predictor

from ednag_jax import report
from ednag_jax.storage import write_atomic

RESULTS = Path(__file__).parent / "RESULTS.md"
INTRODUCTION = (
    "# Speed\n\nWarm, median of 5, compile time apart, baselines in the same process; ratios count.\n"
)
HEADING = "\n## "


def engine_lines() -> list[str]:
    """Returns what the engine's figures are, and draws the README's picture of them."""
    found = engine.measure()
    engine.plot(found)
    return engine.lines(found)


PARTS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "engine": ("Engine: preset `paper` on NAS-Bench-201, CIFAR-10", engine_lines),
    "denoise": ("`denoise` on large populations", denoise.lines),
    "online": ("`ednag_online` on NAS-Bench-201, CIFAR-10", online.lines),
    "devices": ("Seeds over virtual CPU devices", devices.lines),
    "predictor": ("Predictor of NAS-Bench-201", predictor.lines),
    "meta": ("Training of cells for the meta-training data", meta.lines),
}
"""Part -> its title, and what measures it."""


def written_before() -> dict[str, str]:
    """Returns title -> section of the page as it is."""
    _, *sections = RESULTS.read_text().split(HEADING)
    return {section.partition(" (perf/")[0]: section for section in sections}


def measured(name: str) -> str:
    """Returns a part's section: title, a line a figure, where they are from."""
    title, lines = PARTS[name]
    items = "".join(f"- {item}\n" for item in lines())
    made = report.provenance_line(report.provenance(f"make bench PARTS={name}"))
    return f"{title} (perf/{name}.py)\n\n{items}\n{made}"


def main(names: Sequence[str]) -> None:
    """Measures the parts named, all where none is, and writes the page after each."""
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        sys.exit(f"parts must be some of {', '.join(PARTS)}; got {', '.join(unknown)}")
    sections = written_before()
    for name in names or PARTS:
        sections[PARTS[name][0]] = measured(name)
        ordered = [sections[title] for title, _ in PARTS.values() if title in sections]
        write_atomic(RESULTS, INTRODUCTION + "".join(f"{HEADING}{text.rstrip()}\n" for text in ordered))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
