"""What the README shows runs as printed, and what it points to is there."""

import re
from pathlib import Path

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
