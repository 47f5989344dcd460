"""All of perf/, written to RESULTS.md and the README's picture. Command: `make bench`, alone on the machine."""

from __future__ import annotations

from pathlib import Path

import denoise
import engine
import meta
import online
import predictor

from ednag_jax import report
from ednag_jax.storage import write_atomic

RESULTS = Path(__file__).parent / "RESULTS.md"

if __name__ == "__main__":
    found = engine.measure()
    sections = {
        "Engine: preset `paper` on NAS-Bench-201, CIFAR-10 (perf/engine.py)": engine.lines(found),
        "`denoise` on large populations (perf/denoise.py)": denoise.lines(),
        "`ednag_online` on NAS-Bench-201, CIFAR-10 (perf/online.py)": online.lines(),
        "Predictor of NAS-Bench-201 (perf/predictor.py)": predictor.lines(),
        "Training of cells for the meta-training data (perf/meta.py)": meta.lines(),
    }
    engine.plot(found)
    text = "# Speed\n\nWarm, median of 5, compile time apart, baselines in the same process; ratios count.\n"
    for title, items in sections.items():
        text += f"\n## {title}\n\n" + "".join(f"- {item}\n" for item in items)
    write_atomic(RESULTS, text + "\n" + report.provenance_line(report.provenance("make bench")))
    print(RESULTS.read_text())
