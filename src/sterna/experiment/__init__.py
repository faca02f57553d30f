"""One method beside its controls: from what the user asks to what the transfer was worth."""

from sterna.experiment.outcome import Transfer, load_transfer
from sterna.experiment.ranking import rank
from sterna.experiment.run import transfer

__all__ = ["Transfer", "load_transfer", "rank", "transfer"]
