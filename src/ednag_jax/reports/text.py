"""A report in the terminal, and as Markdown."""

from __future__ import annotations

from pathlib import Path

from ednag_jax.figures import save
from ednag_jax.report import markdown_table, print_table, provenance_line
from ednag_jax.reports.document import Document
from ednag_jax.storage import write_atomic

MARKDOWN_FILE = "report.md"


def print_report(document: Document) -> None:
    """Prints the sections that are no details, tables with the columns that a terminal has room for."""
    print(document.title)
    print("\n".join(document.notes))
    for section in document.sections:
        if section.is_detail:
            continue
        print(f"\n== {section.title}")
        for table in section.tables:
            print_table(table.title, table.header, table.rows, only=table.terminal)
        print("\n".join(section.notes))


def as_markdown(document: Document) -> str:
    """Returns the report as Markdown; its pictures are files beside it."""
    parts = [f"# {document.title}", *document.notes]
    for section in document.sections:
        parts.append(f"## {section.title}")
        for table in section.tables:
            parts += [f"**{table.title}**", markdown_table(table.header, table.rows).rstrip()]
        parts += section.notes
        parts += [f"![{picture.text}]({picture.name}.png)" for picture in section.pictures]
    return "\n\n".join([*parts, provenance_line(document.made)])


def write_markdown(document: Document, folder: Path) -> Path:
    """Writes `report.md` and its pictures, each whole or not at all, and returns its path."""
    for section in document.sections:
        for picture in section.pictures:
            save(picture.figure, folder / f"{picture.name}.png")
    return write_atomic(folder / MARKDOWN_FILE, as_markdown(document))
