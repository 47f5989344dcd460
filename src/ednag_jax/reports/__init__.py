"""Finished runs side by side: tables, tests, ranks and curves, for the terminal, as Markdown and as a page."""

from ednag_jax.reports.build import build_report
from ednag_jax.reports.document import Document
from ednag_jax.reports.page import as_html, write_page
from ednag_jax.reports.runs import Run, read_runs
from ednag_jax.reports.tensorboard import write_tensorboard
from ednag_jax.reports.text import as_markdown, print_report, write_markdown

__all__ = [
    "Document",
    "Run",
    "as_html",
    "as_markdown",
    "build_report",
    "print_report",
    "read_runs",
    "write_markdown",
    "write_page",
    "write_tensorboard",
]
