"""Training losses that blocks add to the one of the task, such as a regulariser on their own activations.

A block calls ``add_auxiliary_loss`` in ``forward``, in training mode. Where a training step collects, the loss is added to
that of the outputs which the same forward pass gives; anywhere else the call has no effect, and
``collects_auxiliary_losses`` says so beforehand, so that nothing is computed in vain. Blocks see inputs only; a loss that
depends on the targets as well is added as a function of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from automl.tasks.task import Batch

__all__ = ["add_auxiliary_loss", "auxiliary_losses", "collects_auxiliary_losses"]

# In the context of the pass, not on modules: a subnetwork shares modules with others, and extracted networks keep nothing.
_collected: ContextVar[_Pass | None] = ContextVar("auxiliary losses", default=None)


class _Pass(NamedTuple):
    """A forward pass whose losses are collected."""

    losses: list[Tensor]
    batch: Batch | None


def collects_auxiliary_losses() -> bool:
    """Tells whether the present forward pass is one of a training step that adds such losses."""
    return _collected.get() is not None


def add_auxiliary_loss(loss: Tensor | Callable[[Batch], Tensor]) -> None:
    """Adds to the loss of the present forward pass; without effect outside of a training step.

    Args:
        loss: a scalar, or a function that returns one for the batch of the step, which is called at once.
    """
    present = _collected.get()
    if present is None:
        return
    if isinstance(loss, Tensor):
        present.losses.append(loss)
    elif present.batch is not None:
        present.losses.append(loss(present.batch))


@contextmanager
def auxiliary_losses(batch: Batch | None = None) -> Iterator[list[Tensor]]:
    """Collects what blocks add while the context is open.

    Args:
        batch: what the pass is for; left out, functions of the batch add nothing.

    Example:
        >>> with auxiliary_losses() as losses:
        ...     add_auxiliary_loss(torch.tensor(2.0))
        >>> losses
        [tensor(2.)]
    """
    losses: list[Tensor] = []
    token = _collected.set(_Pass(losses, batch))
    try:
        yield losses
    finally:
        _collected.reset(token)
