"""What all pruning methods let a user choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from automl.errors import ConfigError, did_you_mean
from automl.tickets.criteria import CRITERIA
from automl.tickets.granularity import parse_pattern

__all__ = ["DEFAULT_SPARSITY", "PruningChoices", "epochs_option"]

DEFAULT_SPARSITY: Final = 0.9
_GRANULARITIES: Final = ("unstructured", "channel", "N:M, such as 2:4")
_SCOPES: Final = ("global", "layer")


@dataclass(frozen=True)
class PruningChoices:
    """Checked choices; see ``PruningChoices.checked``.

    Attributes:
        sparsity: share of the prunable weights (of the channels, with ``granularity="channel"``) that ends up zero.
        criterion: ``"magnitude"``, ``"gradient"`` or ``"random"``.
        granularity: ``"unstructured"``, ``"channel"`` or ``"N:M"``.
        scope: ``"global"`` ranks all layers together, ``"layer"`` prunes each to the same sparsity.
        exclude: patterns of parameter names that stay dense.
    """

    sparsity: float
    criterion: str
    granularity: str
    scope: str
    exclude: tuple[str, ...]

    @classmethod
    def checked(
        cls, sparsity: float | None, criterion: str, granularity: str, scope: str, exclude: str | Sequence[str]
    ) -> PruningChoices:
        """Returns the choices of a user.

        Args:
            sparsity: None takes what an N:M pattern says, otherwise 0.9.
            criterion: name of a criterion.
            granularity: name of a granularity, or ``"N:M"``.
            scope: name of a scope.
            exclude: one pattern or several.

        Raises:
            ConfigError: a choice is unknown or out of range, or sparsity and pattern contradict each other.
        """
        if criterion not in CRITERIA:
            raise ConfigError(f"criterion: unknown criterion {criterion!r}.{did_you_mean(criterion, CRITERIA)}")
        if scope not in _SCOPES:
            raise ConfigError(f"scope: unknown scope {scope!r}.{did_you_mean(scope, _SCOPES)}")
        pattern = parse_pattern(granularity)
        if pattern is None and granularity not in _GRANULARITIES:
            raise ConfigError(
                f"granularity: unknown granularity {granularity!r}.{did_you_mean(granularity, _GRANULARITIES)}"
            )
        if sparsity is None:
            sparsity = DEFAULT_SPARSITY if pattern is None else 1 - pattern[0] / pattern[1]
        if isinstance(sparsity, bool) or not isinstance(sparsity, int | float) or not 0 <= sparsity < 1:
            raise ConfigError(f"sparsity: {sparsity!r} is not valid: must be at least 0 and less than 1, such as 0.9.")
        if pattern is not None and abs(sparsity - (1 - pattern[0] / pattern[1])) > 1e-9:
            raise ConfigError(
                f"sparsity: {sparsity:g} contradicts the granularity {granularity!r}, which leaves out "
                f"{1 - pattern[0] / pattern[1]:g}; drop one of them."
            )
        return cls(
            float(sparsity), criterion, granularity, scope, (exclude,) if isinstance(exclude, str) else tuple(exclude)
        )

    def describe(self) -> dict[str, Any]:
        """Returns the choices as JSON."""
        return {
            "sparsity": self.sparsity,
            "criterion": self.criterion,
            "granularity": self.granularity,
            "scope": self.scope,
            "exclude": list(self.exclude),
        }


def epochs_option(name: str, value: float | None, *, least: float = 0.0) -> float | None:
    """Returns a number of epochs as it is.

    Raises:
        ConfigError: it is no number, or less than ``least``.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise ConfigError(f"{name}: {value!r} is not valid: must be a number of epochs, {least:g} or more.")
    return float(value)
