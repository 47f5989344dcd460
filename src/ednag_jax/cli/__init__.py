"""The command `ednag`: one file a command or two, all of them calls of the package."""

from ednag_jax.cli.app import INTERRUPTED, USER_ERROR, main

__all__ = ["INTERRUPTED", "USER_ERROR", "main"]
