"""How shapes and types are enforced while tests run: beartype, with int allowed for float (PEP 484)."""

from beartype import BeartypeConf, beartype

typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
