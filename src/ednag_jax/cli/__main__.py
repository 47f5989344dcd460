"""`python -m ednag_jax.cli` is `ednag`."""

import sys

from ednag_jax.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
