"""Criteria: how much each weight matters; pruning removes what matters least.

Source:
    Magnitude: Zhu, Gupta 2017, arXiv:1710.01878, section 3. Gradient: first-order change of the loss, Molchanov et al. 2017,
    arXiv:1611.06440, section 2.2, here for single weights and with the gradient of the step that pruning follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import torch
from torch import Tensor

from automl.errors import ConfigError

__all__ = ["CRITERIA", "Criterion"]

Criterion: TypeAlias = Callable[[Mapping[str, Tensor], Mapping[str, Tensor | None], int], dict[str, Tensor]]
"""From values, gradients (both by parameter name) and a seed to scores of the same shapes, none negative."""


def magnitude(values: Mapping[str, Tensor], gradients: Mapping[str, Tensor | None], seed: int) -> dict[str, Tensor]:
    """Returns ``|w|``."""
    return {name: value.abs() for name, value in values.items()}


def gradient(values: Mapping[str, Tensor], gradients: Mapping[str, Tensor | None], seed: int) -> dict[str, Tensor]:
    """Returns ``|w · dL/dw|``, the first-order change of the loss if the weight became zero; 0 without a gradient.

    Raises:
        ConfigError: no weight has a gradient, as before the first step.
    """
    if all(gradients[name] is None for name in values):
        raise ConfigError(
            "criterion: 'gradient' needs gradients, and there are none before the first step; start later."
        )
    scores = {}
    for name, value in values.items():
        slope = gradients[name]
        scores[name] = torch.zeros_like(value) if slope is None else (value * slope).abs()
    return scores


def random(values: Mapping[str, Tensor], gradients: Mapping[str, Tensor | None], seed: int) -> dict[str, Tensor]:
    """Returns uniform numbers, the same in every call with the same seed, so that masks of rising sparsity are nested."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(value.shape, generator=generator).to(value.device, torch.float32)
        for name, value in values.items()
    }


CRITERIA: Final[Mapping[str, Criterion]] = {"magnitude": magnitude, "gradient": gradient, "random": random}
"""Criteria by the name that users write."""
