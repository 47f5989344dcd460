"""What the README shows runs as printed, and what it points to is there."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
WITH_CODE = [path for path in (ROOT / "docs").rglob("*.md") if BLOCK.search(path.read_text())]
ELSEWHERE = ("proxies", "reports", "generate", "diffusion-nag")
TESTED_ELSEWHERE = {ROOT / "docs" / f"{name}.md" for name in ELSEWHERE}
"""Pages whose blocks need what tests of their own make, in the file of their name; test_diffusion_nag.py."""


@pytest.mark.slow
@pytest.mark.optimised
def test_the_example_runs_as_printed(capsys, monkeypatch):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    (example,) = BLOCK.findall(README)
    namespace = {}
    exec(example, namespace)
    printed = capsys.readouterr().out
    assert namespace["result"].best_arch[0] in printed
    assert len(namespace["mine"].best_arch) == 10


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(set(WITH_CODE) - TESTED_ELSEWHERE), ids=lambda path: path.stem)
def test_code_of_a_page_runs(page, monkeypatch, tmp_path):
    """Block after block, as a reader would type them, in an empty folder and without a data directory."""
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for block in BLOCK.findall(page.read_text()):
        exec(block, namespace)


@pytest.mark.slow
def test_code_of_the_page_on_generating_runs_on_photographs(monkeypatch, tmp_path, capsys):
    """As printed, but for the length of the training: an epoch."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name, shade in (("light", 180), ("dark", 60)):
        for place in [*(f"photos/{name}/{i}.png" for i in range(12)), f"new_photos/{name}.png"]:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.normal(shade, 30, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            image.fromarray(pixels).save(tmp_path / place)
    (block,) = BLOCK.findall((ROOT / "docs" / "generate.md").read_text())
    assert "budget=0.25" in block
    monkeypatch.chdir(tmp_path)
    exec(block.replace("budget=0.25", "budget=0.005"), {"__name__": "page"})
    assert "light" in capsys.readouterr().out


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_of_the_readme_are_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z0-9-]+)", README, re.MULTILINE):
        pattern = "reproduce-%" if target.startswith("reproduce-") else target
        assert re.search(rf"^{re.escape(pattern)}:", makefile, re.MULTILINE), target


def test_no_number_of_the_readme_is_typed_by_hand():
    """Percentages and accuracies stand inside the part that `make readme` writes."""
    outside = re.sub(r"<!-- results.*?end of results -->", "", README, flags=re.DOTALL)
    assert not re.findall(r"\d+\.\d+ ?%|\b\d\d\.\d\d\b", outside)
