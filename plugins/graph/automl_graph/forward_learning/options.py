"""Options of forward learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from automl.errors import ConfigError, did_you_mean

__all__ = ["VARIANTS", "ForwardOptions"]

VARIANTS: Final = ("ff-la", "ff-vn", "sf", "sf-top2input", "sf-top2loss")


@dataclass(frozen=True, kw_only=True)
class ForwardOptions:
    """How a network learns layer by layer.

    Attributes:
        variant: ``ff-la`` (forward-forward, labels as features), ``ff-vn`` (forward-forward, labels as virtual nodes), ``sf``
            (single forward: virtual nodes are prototypes, no negatives), ``sf-top2input`` and ``sf-top2loss`` (single forward
            with a signal from upper layers, through the input or the loss).
        layers: number of layers.
        hidden: width of each.
        epochs: most epochs, of each layer or, for the top-down variants, of all.
        validate_every: epochs from one validation to the next.
        patience: validations without a better accuracy after which a layer is done.
        learning_rate: of Adam, one optimiser for each layer.
        weight_decay: of Adam.
        theta: goodness that separates right from wrong labels, for ``ff-*``.
        negatives: wrong labels for each node, for ``ff-*``; None for all.
        temperature: divides the scores of prototypes, for ``sf*``.
        both_directions: virtual nodes and labelled nodes are linked in both directions, not only towards the virtual node.
        time_steps: passes at inference, at least 2, for ``sf-top2input``.
        seed: of weights and virtual features.

    Raises:
        ConfigError: a value is out of its range; names it.
    """

    variant: str = "sf"
    layers: int = 3
    hidden: int = 128
    epochs: int = 1000
    validate_every: int = 2
    patience: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    theta: float = 2.0
    negatives: int | None = None
    temperature: float = 1.0
    both_directions: bool = True
    time_steps: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ConfigError(f"forward: unknown variant {self.variant!r}.{did_you_mean(self.variant, VARIANTS)}")
        least = {"layers": 1, "hidden": 1, "epochs": 1, "validate_every": 1, "patience": 1, "time_steps": 2}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ConfigError(f"forward: {name} is {getattr(self, name)}; it must be at least {smallest}.")
        for name in ("learning_rate", "theta", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"forward: {name} is {getattr(self, name)}; it must be above 0.")
        if self.variant == "ff-vn" and not self.both_directions:
            raise ConfigError(
                "forward: both_directions is false, but with 'ff-vn' nodes hear of their labels from virtual nodes only; "
                "take true, or 'sf'."
            )
        if self.negatives is not None and self.negatives < 1:
            raise ConfigError(f"forward: negatives is {self.negatives}; it must be at least 1.")
