"""Figures as SVG inside a page: of one file with it, in the page's own colours, light and dark."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ednag_jax.figures import COLOURS

SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "ednag", "font.family": "sans-serif"}
"""Text stays text, and the same figure gives the same file."""

WIDTH, HEIGHT_KEPT = 3.4, 1.15
"""Inches, and how much taller: a phone then shows the text of a figure as large as that of its caption."""
DECIMALS = re.compile(r"(\.\d\d)\d+")
"""A hundredth of a point is finer than any screen."""


def as_svg(figure: Figure, *, name: str, text: str) -> str:
    """Returns a figure as an <svg> element that scales with the page.

    Colours of `COLOURS` become the page's variables `--line-0` .. , its black the colour of the page's text;
    ids begin with `name`, so that those of two figures in a page never meet.

    Args:
        figure: any.
        name: unique in the page.
        text: what the picture says, for who does not see it.
    """
    buffer, size = io.StringIO(), figure.get_size_inches()
    figure.set_size_inches(WIDTH, WIDTH * size[1] / size[0] * HEIGHT_KEPT)
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    figure.set_size_inches(*size)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' d="[^"]*"', lambda path: DECIMALS.sub(r"\1", path.group()), svg)
    svg = _numbered(svg, name)
    for number, colour in enumerate(COLOURS):
        svg = re.sub(colour, f"var(--line-{number})", svg, flags=re.IGNORECASE)
    return re.sub(r"<svg [^>]*>", lambda tag: _opened(tag.group(), name, text), svg, count=1)


def _numbered(svg: str, name: str) -> str:
    """Returns the same with ids `NAME-0`, `NAME-1`, ..: matplotlib's differ from one process to the next."""
    ids = {old: f"{name}-{number}" for number, old in enumerate(re.findall(r'\bid="([^"]*)"', svg))}
    svg = re.sub(r'\bid="([^"]*)"', lambda found: f'id="{ids[found[1]]}"', svg)
    svg = re.sub(r'href="#([^"]*)"', lambda found: f'href="#{ids[found[1]]}"', svg)
    return re.sub(r"url\(#([^)]*)\)", lambda found: f"url(#{ids[found[1]]})", svg)


def _opened(tag: str, name: str, text: str) -> str:
    """Returns the opening tag without a size of its own, with the text that stands for the picture."""
    box = re.search(r'viewBox="[^"]*"', tag)
    shape = box.group() if box else ""
    title = f'<title id="{name}-title">{escape(text)}</title>'
    return f'<svg role="img" aria-labelledby="{name}-title" {shape} xmlns="http://www.w3.org/2000/svg">{title}'
