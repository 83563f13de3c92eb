"""The conditional decoder that writes the features of a neighbour of a node, given those of the node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

import torch
from torch import Tensor, nn

from automl.errors import ConfigError

__all__ = ["Generator", "GeneratorOptions"]


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions:
    """Sizes and training of a generator.

    Attributes:
        latent: numbers that tell the neighbours of a node apart.
        hidden: width of encoder and decoder.
        steps: training steps.
        batch_size: pairs of a step.
        learning_rate: of Adam.
        reconstruction: ``bce`` for features from 0 to 1, ``mse`` for any.
        kl_weight: how much the divergence of the latent numbers from normal ones counts; below 1 where the decoder ignores
            them (``GeneratorRecord.deviation`` near 0).
        row_normalise: scale generated features of a node to a sum of 1, where those of the graph are.
        selection: ``last`` takes the generator as training leaves it; ``u_score`` the snapshot about whose features an auxiliary
            network is surest, which needs labels of training nodes.
        draws: fixed draws whose mean is the answer outside of training.
        seed: of weights, pairs and draws.

    Raises:
        ConfigError: a value is out of its range; names it.
    """

    latent: int = 10
    hidden: int = 256
    steps: int = 3000
    batch_size: int = 256
    learning_rate: float = 1e-3
    reconstruction: Literal["bce", "mse"] = "bce"
    kl_weight: float = 1.0
    row_normalise: bool = False
    selection: Literal["last", "u_score"] = "last"
    draws: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "steps", "batch_size", "draws"):
            if getattr(self, name) < 1:
                raise ConfigError(f"local augmentation: {name} is {getattr(self, name)}; it must be at least 1.")
        if not self.learning_rate > 0:
            raise ConfigError(f"local augmentation: learning_rate is {self.learning_rate}; it must be above 0.")
        if not self.kl_weight >= 0:
            raise ConfigError(f"local augmentation: kl_weight is {self.kl_weight}; it must be at least 0.")
        if self.reconstruction not in ("bce", "mse"):
            raise ConfigError(
                f"local augmentation: unknown reconstruction {self.reconstruction!r}; choices: 'bce', 'mse'."
            )
        if self.selection not in ("last", "u_score"):
            raise ConfigError(f"local augmentation: unknown selection {self.selection!r}; choices: 'last', 'u_score'.")


@final
class Generator(nn.Module):
    """``x^ = decode([z, x])``: a new draw ``z`` of each node in training, the mean of fixed draws otherwise.

    Its weights do not learn with the network that uses it, and no gradient passes through it.

    Args:
        width: number of features.
        options: sizes and form of the output.

    Shape:
        x: ``(nodes, width)``. Returns ``(nodes, width)``.
    """

    fixed: Tensor

    def __init__(self, width: int, options: GeneratorOptions) -> None:
        super().__init__()
        self.width: Final = width
        self.latent: Final = options.latent
        self.bounded: Final = options.reconstruction == "bce"
        self.row_normalise: Final = options.row_normalise
        self.enter = nn.Linear(options.latent + width, options.hidden)
        self.leave = nn.Linear(options.hidden, width)
        self.register_buffer(
            "fixed", torch.randn(options.draws, options.latent, generator=torch.Generator().manual_seed(options.seed))
        )

    def logits(self, z: Tensor, x: Tensor) -> Tensor:
        """Returns the output before the last non-linearity, ``(rows, width)``."""
        result: Tensor = self.leave(torch.relu(self.enter(torch.cat([z, x], dim=1))))
        return result

    def decode(self, z: Tensor, x: Tensor) -> Tensor:
        """Returns the features for latent numbers ``(rows, latent)`` and features of the nodes ``(rows, width)``."""
        decoded = self.logits(z, x)
        if self.bounded:
            decoded = torch.sigmoid(decoded)
        if self.row_normalise:
            decoded = decoded / decoded.sum(1, keepdim=True).clamp(min=1e-12)
        return decoded

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Returns generated features of a neighbour of each node."""
        if self.training:
            return self.decode(torch.randn(x.shape[0], self.latent, device=x.device, dtype=x.dtype), x)
        drawn = [self.decode(z.to(x.dtype).expand(x.shape[0], -1), x) for z in self.fixed.unbind()]
        return torch.stack(drawn).mean(0)
