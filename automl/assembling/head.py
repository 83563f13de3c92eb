"""The head of an extracted network, cut down to the classes that are asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from automl.errors import ExportError
from automl.tickets.channels import prove_removal

__all__ = ["ChosenOutputs", "cut_head", "keep_classes"]


@final
class ChosenOutputs(nn.Module):
    """A network of which some outputs are read.

    Args:
        network: the network.
        classes: numbers of the outputs.

    Shape:
        As ``network``, whose ``(*, outputs)`` become ``(*, len(classes))``.
    """

    classes: Tensor

    def __init__(self, network: nn.Module, classes: Sequence[int]) -> None:
        super().__init__()
        self.network: Final = network
        self.register_buffer("classes", torch.tensor(list(classes)), persistent=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns the chosen outputs, in their order."""
        outputs: Tensor = self.network(*inputs)
        return outputs.index_select(-1, self.classes)


def keep_classes(model: nn.Module, classes: Sequence[int], outputs: int, inputs: Sequence[Tensor]) -> nn.Module:
    """Returns a network whose outputs are those of some classes, without the weights of the others where that is proven equal.

    The last linear layer as wide as the output is tried: if the network with fewer rows there gives the chosen outputs in
    float64, it is returned. Otherwise the outputs are chosen behind the whole network.

    Args:
        model: an extracted network in evaluation mode; not changed.
        classes: numbers of the classes, in the order of the new outputs.
        outputs: number of outputs of the network.
        inputs: inputs to prove the result with.
    """
    if list(classes) == list(range(outputs)):
        return model
    whole, cut = ChosenOutputs(model, classes).eval(), copy.deepcopy(model)
    if cut_head(cut, classes, outputs):
        try:
            prove_removal(whole, cut, inputs)
            return cut
        except (ExportError, RuntimeError):
            pass
    return whole


def cut_head(model: nn.Module, classes: Sequence[int], outputs: int) -> bool:
    """Keeps only some rows of the last linear layer as wide as the output, in place and unproven; tells whether there is one."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == outputs]
    if not layers:
        return False
    layer = layers[-1]
    rows = torch.tensor(list(classes), device=layer.weight.device)
    for name in ("weight", "bias"):
        whole = getattr(layer, name)
        if whole is not None:
            setattr(layer, name, nn.Parameter(whole.detach()[rows].clone(), requires_grad=whole.requires_grad))
    layer.out_features = len(rows)
    return True
