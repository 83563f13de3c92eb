"""Training of a ticket: the masks are given and stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from automl.errors import ConfigError
from automl.tickets.masks import Masks, apply_masks, sparsity_of
from automl.training.compressor import Compressor, TrainingPlan

__all__ = ["KeptMask"]


@final
class KeptMask(Compressor):
    """Keeps given weights at zero; no component of its own, since its masks come from a ticket.

    Args:
        masks: masks by parameter name.
    """

    name: ClassVar[str] = "kept-mask"

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        self.masks: Masks = dict(masks)
        self._weights: dict[str, nn.Parameter] = {}

    def attach(self, network: nn.Module, plan: TrainingPlan) -> list[str]:
        parameters = dict(network.named_parameters())
        for name, mask in self.masks.items():
            if name not in parameters or parameters[name].shape != mask.shape:
                raise ConfigError(
                    f"the ticket has a mask for {name!r} of {tuple(mask.shape)}, the network has no such weight."
                )
            self._weights[name] = parameters[name]
            self.masks[name] = mask.to(parameters[name].device)
        apply_masks(network, self.masks)
        return []

    def mask_gradients(self) -> None:
        for name, weight in self._weights.items():
            if weight.grad is not None:
                weight.grad.masked_fill_(~self.masks[name], 0.0)

    @torch.no_grad()
    def weights_updated(self, step: int) -> bool:
        for name, weight in self._weights.items():
            weight.masked_fill_(~self.masks[name], 0.0)
        return False

    def mask_average(self, averages: Mapping[str, Tensor]) -> None:
        for name, mask in self.masks.items():
            averages[name].masked_fill_(~mask, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing changes in a training, so there is nothing to take over."""

    def describe(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for name, mask in sorted(self.masks.items()):
            digest.update(name.encode() + mask.cpu().contiguous().numpy().tobytes())
        return {"masks": digest.hexdigest()[:16]}

    def record(self) -> dict[str, Any]:
        return {"sparsity": sparsity_of(self.masks), "revived": 0}
