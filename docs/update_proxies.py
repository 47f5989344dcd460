"""Puts the table of a finished validation into docs/proxies.md.

Command: `python docs/update_proxies.py results/proxies`, after
`python -m ednag_jax.experiments.validate_proxies`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ednag_jax.storage import write_atomic

BEGIN, END = "<!-- table: written by `python docs/update_proxies.py` -->\n", "<!-- end of table -->\n"
PAGE = Path(__file__).parent / "proxies.md"

if __name__ == "__main__":
    table = (Path(sys.argv[1]) / "table.md").read_text()
    before, rest = PAGE.read_text().split(BEGIN)
    write_atomic(PAGE, before + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1])
