"""Any strategy with the evaluation outside of it: ask for architectures, tell what they scored."""

from ednag_jax.ask_tell.ask_tell import AskTell
from ednag_jax.ask_tell.ledger import Proposal, Told

__all__ = ["AskTell", "Proposal", "Told"]
