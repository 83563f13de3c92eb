"""The ticket of a supernet that was pruned in its training."""

from __future__ import annotations

from typing import Final

from automl.run_folder import Run
from automl.supernet import Supernet
from automl.tickets import Ticket
from automl.tickets.ticket import weights_digest
from automl.training import Compressor

__all__ = ["SUPERNET_TICKET", "save_supernet_ticket"]

SUPERNET_TICKET: Final = "supernet-ticket.safetensors"


def save_supernet_ticket(run: Run, supernet: Supernet, compressor: Compressor) -> None:
    """Writes the masks that a training ended with beside the weights."""
    digest = weights_digest(supernet.network)
    about = {
        "kind": "supernet",
        "run": run.name,
        "space_digest": supernet.space.digest,
        "method": {"name": compressor.name, **compressor.describe()},
    }
    names = tuple(name for name, _ in supernet.network.named_parameters())
    Ticket(compressor.masks, digest, names, digest, about).save(run.path(SUPERNET_TICKET))
