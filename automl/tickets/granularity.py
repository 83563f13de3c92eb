"""Granularities: which weights are pruned together – each alone, N of M neighbours, or whole channels.

Source:
    N:M: Mishra et al. 2021, arXiv:2104.08378, section 2 (2:4), with groups along the inputs of a layer.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from automl.errors import ConfigError
from automl.tickets.channels import ChannelGroup
from automl.tickets.masks import Masks
from automl.tickets.ranking import Scope, keep_highest

__all__ = ["ChannelWise", "Granularity", "NOfM", "Unstructured", "parse_pattern"]

_PATTERN: Final = re.compile(r"(\d+):(\d+)")


class Granularity(ABC):
    """Turns scores into masks."""

    @abstractmethod
    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Raises ``ConfigError`` if a weight cannot be pruned in this way; names it."""

    @abstractmethod
    def masks(self, scores: Mapping[str, Tensor], sparsity: float, scope: Scope) -> Masks:
        """Returns masks of the given sparsity."""


@final
class Unstructured(Granularity):
    """Each weight by itself."""

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Accepts every weight."""

    def masks(self, scores: Mapping[str, Tensor], sparsity: float, scope: Scope) -> Masks:
        return dict(zip(scores, keep_highest(list(scores.values()), sparsity, scope), strict=True))


@final
class NOfM(Granularity):
    """Keeps ``n`` of every ``m`` neighbours along the inputs of a layer, once the sparsity has reached ``1 − n / m``.

    On the way there ``round(sparsity · m)`` of every ``m`` are dropped. All groups are alike, so the scope plays no part.

    Args:
        n: weights kept in a group.
        m: weights of a group.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n: Final = n
        self.m: Final = m

    def check(self, weights: Mapping[str, Tensor]) -> None:
        for name, weight in weights.items():
            if weight.shape[1] % self.m:
                raise ConfigError(
                    f"granularity: '{self.n}:{self.m}' does not divide the {weight.shape[1]} inputs of {name!r}; exclude "
                    "that weight, or choose another pattern."
                )

    def masks(self, scores: Mapping[str, Tensor], sparsity: float, scope: Scope) -> Masks:
        return {name: self._mask(score, sparsity) for name, score in scores.items()}

    def _mask(self, score: Tensor, sparsity: float) -> Tensor:
        dropped = min(round(sparsity * self.m), self.m - self.n)
        inputs_last = score.movedim(1, -1)
        groups = inputs_last.reshape(*inputs_last.shape[:-1], -1, self.m)
        lowest = torch.sort(groups, dim=-1, stable=True).indices[..., :dropped]
        kept = torch.ones_like(groups, dtype=torch.bool).scatter(-1, lowest, False)
        return kept.reshape(inputs_last.shape).movedim(-1, 1).contiguous()


@final
class ChannelWise(Granularity):
    """Whole channels: everything that makes a channel and everything that reads it.

    The score of a channel is the mean score of all those weights. Sparsity counts channels, not weights.

    Args:
        groups: channels of the network that can be taken out.
    """

    def __init__(self, groups: Sequence[ChannelGroup]) -> None:
        self._groups: Final = tuple(groups)

    def check(self, weights: Mapping[str, Tensor]) -> None:
        if not self._usable(weights):
            raise ConfigError(
                "granularity: 'channel' finds no channel in this network that could be taken out, or all are excluded; "
                "use 'unstructured'."
            )

    def masks(self, scores: Mapping[str, Tensor], sparsity: float, scope: Scope) -> Masks:
        groups = self._usable(scores)
        channels = [self._channel_scores(group, scores) for group in groups]
        masks = {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}
        for group, kept in zip(groups, keep_highest(channels, sparsity, scope), strict=True):
            dropped = (~kept).nonzero().flatten()
            for name, axis in group.weights:
                masks[name].index_fill_(axis, dropped, False)
        return masks

    def _usable(self, weights: Mapping[str, Tensor]) -> list[ChannelGroup]:
        """A group with a weight that stays dense as a whole cannot lose channels."""
        return [group for group in self._groups if all(name in weights for name, _ in group.weights)]

    @staticmethod
    def _channel_scores(group: ChannelGroup, scores: Mapping[str, Tensor]) -> Tensor:
        rows = [scores[name].movedim(axis, 0).flatten(1).float() for name, axis in group.weights]
        return torch.cat(rows, 1).mean(1)


def parse_pattern(text: str) -> tuple[int, int] | None:
    """Returns N and M of ``"N:M"``, or None for any other text.

    Raises:
        ConfigError: not 0 < N < M.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    n, m = int(match[1]), int(match[2])
    if not 0 < n < m:
        raise ConfigError(f"granularity: {text!r} must keep some but not all of a group, such as '2:4'.")
    return n, m
