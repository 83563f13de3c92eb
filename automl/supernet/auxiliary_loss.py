"""Training losses that blocks add to the one of the task, such as a regulariser on their own activations.

A block calls ``add_auxiliary_loss`` in ``forward``, in training mode. Where a training step collects, the loss is added to
that of the outputs which the same forward pass gives; anywhere else the call has no effect, and
``collects_auxiliary_losses`` says so beforehand, so that nothing is computed in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

__all__ = ["add_auxiliary_loss", "auxiliary_losses", "collects_auxiliary_losses"]

# In the context of the pass, not on modules: a subnetwork shares modules with others, and extracted networks keep nothing.
_collected: ContextVar[list[Tensor] | None] = ContextVar("auxiliary losses", default=None)


def collects_auxiliary_losses() -> bool:
    """Tells whether the present forward pass is one of a training step that adds such losses."""
    return _collected.get() is not None


def add_auxiliary_loss(loss: Tensor) -> None:
    """Adds a scalar to the loss of the present forward pass; without effect outside of a training step."""
    losses = _collected.get()
    if losses is not None:
        losses.append(loss)


@contextmanager
def auxiliary_losses() -> Iterator[list[Tensor]]:
    """Collects what blocks add while the context is open.

    Example:
        >>> with auxiliary_losses() as losses:
        ...     add_auxiliary_loss(torch.tensor(2.0))
        >>> losses
        [tensor(2.)]
    """
    losses: list[Tensor] = []
    token = _collected.set(losses)
    try:
        yield losses
    finally:
        _collected.reset(token)
