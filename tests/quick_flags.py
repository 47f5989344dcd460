"""Prints XLA's flags with which what compiles much and runs little takes half the time.

Command: `XLA_FLAGS="$(python tests/quick_flags.py)" python -m pytest`, as `make test` does. A flag that the
installed XLA does not know would end the process, so those that came or went are told by the version of jax.
"""

from __future__ import annotations

from importlib.metadata import version

FLAGS = ("--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true")
EMITTERS = "--xla_cpu_use_fusion_emitters=false"
WITHOUT_EMITTERS = (0, 12)
"""The jax from which on that flag is gone."""


def quick_flags(jax_version: str) -> str:
    """Returns the flags that a jax of a version knows.

    >>> quick_flags("0.12.0.1") == " ".join(FLAGS), quick_flags("0.7.0").endswith(EMITTERS)
    (True, True)
    """
    major, minor = map(int, jax_version.split(".")[:2])
    return " ".join(FLAGS if (major, minor) >= WITHOUT_EMITTERS else (*FLAGS, EMITTERS))


if __name__ == "__main__":
    print(quick_flags(version("jax")))
