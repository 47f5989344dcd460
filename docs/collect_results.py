"""Joins tables of finished experiments into docs/results.md. Command: each of their make targets."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ednag_jax.storage import write_atomic

EXPERIMENTS = {
    "compare": "compare_strategies",
    "compare_diffusion_nag": "compare_diffusion_nag",
    "compare_noisy": "compare_noisy",
    "objectives": "compare_objectives",
    "ablate": "ablate_online",
    "sweep_online": "sweep_online",
    "study_chance": "study_chance",
    "prove_predictor": "prove_predictor",
    "prove_spaces": "prove_spaces",
    "generate_nb201": "generate_nb201",
    "generate_digits": "generate_digits",
    "bbob": "bbob",
    "sweep_continuous": "sweep_continuous",
    **{
        name: f"reproduce_{name}"
        for name in (
            "nb201",
            "transnas",
            "autoformer",
            "nb101",
            "nb301",
            "darts",
            "mobilenetv3",
            "ablation",
            "efficiency",
        )
    },
}
"""Folder of results -> experiment."""
PAGE = Path(__file__).parent / "results.md"
INTRODUCTION = """# Results

Written by `make reproduce`, `make compare`, `make compare-diffusion-nag`, `make compare-noisy`,
`make compare-objectives`, `make ablate`, `make prove-predictor`, `make prove-spaces`, `make generate-nb201`,
`make generate-digits`, `make bbob`, `experiments/sweep_online.py`, `experiments/sweep_continuous.py` and
`experiments/study_chance.py` from the tables of the experiments; every seed is counted, budgets are distinct
architectures queried, and each part says what its numbers can and cannot be compared with.
"""
HEADING = "\n## "


def written_before() -> dict[str, str]:
    """Returns the sections of the page as it is, title -> text: of experiments that are not repeated here."""
    _, *parts = PAGE.read_text().split(HEADING) if PAGE.is_file() else ("",)
    return {part.partition("\n")[0]: part for part in parts}


def sections(folder: Path) -> dict[str, str]:
    """Returns title -> text of every experiment that is finished, or has been: headings one level down."""
    kept, found = written_before(), {}
    for name, module in EXPERIMENTS.items():
        header = importlib.import_module(f"ednag_jax.experiments.{module}").__doc__ or ""
        title, _, rest = header.strip().partition("\n")
        table = folder / name / "table.md"
        if table.is_file():
            found[title] = f"{title}\n{rest}\n\n" + table.read_text().replace("## ", "### ")
        elif title in kept:
            found[title] = kept[title]
    return found


if __name__ == "__main__":
    found = sections(Path(sys.argv[1]))
    write_atomic(PAGE, INTRODUCTION + "".join(f"{HEADING}{text.rstrip()}\n" for text in found.values()))
    print(f"written to {PAGE}: {'; '.join(found)}")
