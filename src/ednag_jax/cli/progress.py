"""What a terminal shows while a long call runs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ednag_jax.checkpoints import CheckpointWarning


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Shows a spinner and the seconds gone while a long call runs; to stderr, so that output can be piped.

    Yields what shows how far the call is, in words behind the text. Where stderr is no terminal, the text is a
    line of it, and nothing moves.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(text, soft_wrap=True, highlight=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=None)
        yield lambda part: bar.update(task, description=f"{text}: {part}")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Shows a warning about checkpoints as a line to stderr, without the place in the code that gave it."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        warnings.showwarning = lambda message, *_, **__: print(f"ednag: {message}", file=sys.stderr)
        yield
