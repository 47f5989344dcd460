"""Data flows one way: a file imports only from what stands above it here; and no file outgrows its job."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "ednag_jax"
LAYERS = [
    "types",
    "arch_ids",
    "feasibility",
    "pareto",
    "hypervolume",
    "queries",
    "diagnostics",
    "storage",
    "checkpoints",
    "processes",
    "figures",
    "torch_files",
    "images",
    "features",
    "schedules",
    "denoise",
    "config",
    "spaces",
    "problem",
    "benchmarks",
    "networks",
    "proxies",
    "meta",
    "training",
    "predictor",
    "score",
    "fitness",
    "variation",
    "selection",
    "fd_step",
    "evolve",
    "evosax_strategy",
    "evosax_problem",
    "devices",
    "programs",
    "identity",
    "resume",
    "many_seeds",
    "strategies",
    "choice",
    "result",
    "objectives",
    "search",
    "ask_tell",
    "compare",
    "report",
    "plots",
    "reports",
    "cell_layout",
    "cell_plots",
    "generate",
    "generated_report",
    "cli",
]
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
MAX_LINES, MAX_FUNCTION, MAX_POSITIONAL = 400, 35, 5


def layer(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(tree):
    """Names of our own modules that a file imports anywhere, its functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ednag_jax":
            parts = node.module.split(".")
            yield from parts[1:2] if len(parts) > 1 else (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("ednag_jax."))


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_point_upwards(path):
    own = LAYERS.index(layer(path))
    for name in imported(ast.parse(path.read_text())):
        assert name in LAYERS, f"{named(path)} imports {name}, which has no layer"
        assert LAYERS.index(name) <= own, f"{named(path)} imports {name}, which stands below it"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) else node.body
        length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
        assert length <= MAX_FUNCTION, f"{named(path)}: {node.name} has {length} lines"
        positional = [a.arg for a in node.args.posonlyargs + node.args.args if a.arg not in ("self", "cls")]
        assert len(positional) <= MAX_POSITIONAL, f"{named(path)}: {node.name} takes {len(positional)}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_assert_never_guards_user_input(path):
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]


def test_only_the_unpickler_knows_pickle():
    users = {named(p) for p in FILES if "pickle" in imports_of(p)}
    assert users <= {"storage.py", "torch_files.py"}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
