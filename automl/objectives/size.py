"""Size: bytes that a network occupies where it is stored."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor, nn

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["Size", "inference_state", "state_bytes"]

_TRAINING_ONLY = "num_batches_tracked"


@final
class Size(Objective):
    """Bytes of all tensors that inference needs: parameters and buffers, each once."""

    name: ClassVar[str] = "size"
    unit: ClassVar[str] = "B"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(state_bytes(candidate.model)))


def inference_state(model: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors that inference needs under their first name, shared ones once.

    Parameters and buffers, also buffers that a state dict leaves out; but no batch counters of normalisation layers, which only
    training reads.
    """
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach() for name, tensor in tensors if name.rpartition(".")[2] != _TRAINING_ONLY}


def state_bytes(model: nn.Module) -> int:
    """Returns the bytes of ``inference_state``.

    Example:
        >>> state_bytes(nn.BatchNorm1d(5))  # weight, bias, mean and variance of 4 bytes each
        80
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in inference_state(model).values())
