"""A report as one HTML page that needs nothing else: no network, no script, its own style, pictures inside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from ednag_jax.report import provenance_line
from ednag_jax.reports.document import Document, Picture, Section, Table
from ednag_jax.reports.svg import as_svg
from ednag_jax.storage import write_atomic

PAGE_FILE = "report.html"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page asks of a browser: to fetch nothing and to run nothing."""


def as_html(document: Document) -> str:
    """Returns the report as a page; all that runs and labels say is escaped."""
    title = escape(document.title)
    sections = [_section(number, section) for number, section in enumerate(document.sections, 1)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title} - ednag report</title>",
            f"<style>\n{files('ednag_jax.reports').joinpath('page.css').read_text()}</style>",
            "</head>",
            "<body>",
            f"<header>\n<h1>{title}</h1>\n{_paragraphs(document.notes)}\n{_contents(document.sections)}</header>",
            "<main>",
            *sections,
            "</main>",
            f"<footer>{_marked(provenance_line(document.made).strip())}</footer>",
            "</body>",
            "</html>",
            "",
        ]
    )


def write_page(document: Document, folder: Path) -> Path:
    """Writes `report.html`, whole or not at all, and returns its path."""
    return write_atomic(folder / PAGE_FILE, as_html(document))


def _contents(sections: Sequence[Section]) -> str:
    """Returns the links to the sections."""
    links = [f'<li><a href="#section-{n}">{escape(each.title)}</a></li>' for n, each in enumerate(sections, 1)]
    return f'<nav aria-label="Contents"><ul>\n{"".join(links)}\n</ul></nav>\n'


def _section(number: int, section: Section) -> str:
    """Returns a section: tables, notes, pictures; folded where it is a detail."""
    name = f"section-{number}"
    heading = f'<h2 id="{name}-title">{escape(section.title)}</h2>'
    tables = "\n".join(_table(table) for table in section.tables)
    pictures = "\n".join(_figure(picture) for picture in section.pictures)
    shown = f'<div class="pictures">\n{pictures}\n</div>\n' if pictures else ""
    body = f"{tables}\n{_paragraphs(section.notes)}\n{shown}"
    if section.is_detail:
        body = f"<details>\n<summary>{heading}</summary>\n{body}</details>\n"
    else:
        body = f"{heading}\n{body}"
    return f'<section id="{name}" aria-labelledby="{name}-title">\n{body}</section>'


def _table(table: Table) -> str:
    """Returns a table in a box of its own, which scrolls where the page is narrower."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = "\n".join(_row(row) for row in table.rows)
    title = escape(table.title)
    return (
        f'<h3>{title}</h3>\n<div class="scroll" role="region" aria-label="{title}" tabindex="0">\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _row(row: Sequence[str]) -> str:
    """Returns a row, its first cell as the row's name."""
    first, *others = row
    cells = "".join(f"<td{_kind(cell)}>{escape(cell)}</td>" for cell in others)
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'


def _kind(cell: str) -> str:
    """Returns the class of a cell that says more than its words: a verdict, the best, or long text."""
    kinds = {"better": "good", "worse": "bad"}
    kind = kinds.get(cell) or ("best" if cell.endswith(" *") else "long" if len(cell) > 60 else "")
    return f' class="{kind}"' if kind else ""


def _figure(picture: Picture) -> str:
    """Returns a picture with its caption."""
    svg = as_svg(picture.figure, name=picture.name, text=picture.text)
    return f"<figure>\n{svg}\n<figcaption>{escape(picture.text)}</figcaption>\n</figure>"


def _paragraphs(notes: Sequence[str]) -> str:
    """Returns the notes, one a paragraph."""
    return "\n".join(f"<p>{escape(note)}</p>" for note in notes)


def _marked(text: str) -> str:
    """Returns a line of Markdown whose code is marked by backticks."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
