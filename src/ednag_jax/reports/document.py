"""What a report is made of, whatever it is written as: sections of notes, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure


class Table(NamedTuple):
    """Rows of text; the first cell of a row names it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    terminal: Sequence[str] | None = None
    """The columns that a terminal has room for; None means all."""


class Picture(NamedTuple):
    """A figure with what it says in words."""

    name: str
    """Of its file, without the ending."""
    figure: Figure
    text: str
    """For who does not see it; its caption, too."""


class Section(NamedTuple):
    """A part of a report under a heading."""

    title: str
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    is_detail: bool = False
    """Whether it is for who wants to know more: not in the terminal, folded on the page."""


class Document(NamedTuple):
    """A report."""

    title: str
    notes: Sequence[str]
    sections: Sequence[Section]
    made: dict[str, Any]
    """Of `report.provenance`."""
