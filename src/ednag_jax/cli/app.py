"""Which commands there are, and how a command line ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version

from tyro.extras import SubcommandApp

from ednag_jax.cli.data import data, import_official, list_all
from ednag_jax.cli.generate import generate, predict
from ednag_jax.cli.meta import meta
from ednag_jax.cli.predictor import predictor
from ednag_jax.cli.report import report
from ednag_jax.cli.reproduce import reproduce
from ednag_jax.cli.search import search

USER_ERROR, INTERRUPTED = 2, 130

app = SubcommandApp()
app.command(name="search")(search)
app.command(name="generate")(generate)
app.command(name="predict")(predict)
app.command(name="meta")(meta)
app.command(name="predictor")(predictor)
app.command(name="reproduce")(reproduce)
app.command(name="report")(report)
app.command(name="list")(list_all)
app.command(name="data")(data)
app.command(name="import")(import_official)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0 done, 2 the user can mend it, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(version("ednag-jax"))
        return 0
    description = "Neural architecture generation by fitness-guided denoising, many seeds in one compiled call."
    try:
        app.cli(prog="ednag", description=description, args=arguments)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"ednag: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("ednag: interrupted; nothing half-written is left", file=sys.stderr)
        return INTERRUPTED
    return 0
