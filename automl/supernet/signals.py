"""Signals: what flows between slots, and how its payload is packed and joined.

A ``Signal`` describes a connection while a network is built: its kind, its width, and how much smaller than the input it
is. A ``PayloadFormat`` knows the value that travels at run time: one tensor for images, a container for graphs. Kinds come
from plugins through the hook ``automl_signals``; the names of design §3.4 are reserved for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import torch
from torch import Tensor

from automl.space import SizeLike

if TYPE_CHECKING:
    from automl.tasks.task import Task

__all__ = ["SIGNAL_KINDS", "ImageFormat", "PayloadFormat", "Signal"]

SIGNAL_KINDS: Final = (
    "image",
    "pyramid",
    "sequence",
    "waveform",
    "tokens",
    "graph",
    "hetero-graph",
    "temporal-graph",
    "tabular",
    "video",
)


@dataclass(frozen=True)
class Signal:
    """A connection between two slots.

    Attributes:
        kind: one of the registered signal kinds.
        width: number of features (channels) at each position.
        scale: product of all strides since the input.
    """

    kind: str
    width: SizeLike
    scale: int = 1


class PayloadFormat(ABC):
    """How values of one signal kind travel through a network.

    The skeleton packs the network's input tensors once, blocks map payload to payload, and merges read and replace the
    features. Formats never change; what they know of the data, they are built with.

    Attributes:
        channel_axis: axis of the features that holds the width.
        samples_interact: the output of one sample depends on the others, as that of a node does on its graph.
        categorical: features are integers below the width, such as the numbers of users or of words, and have no channel axis;
            such a signal enters a network and is not merged.
    """

    channel_axis: int
    samples_interact: bool = False
    categorical: bool = False

    @classmethod
    def for_task(cls, task: Task) -> Self:
        """Returns the format of a task's data, for kinds of which data sets differ in more than width.

        The format that ``cls()`` gives stands for small made-up data, on which blocks are tested.

        Raises:
            ConfigError: the task lacks what the format must know.
        """
        return cls()

    def facts(self) -> Mapping[str, Any]:
        """Returns what blocks on this signal are told about the data when they are built, such as the types of nodes.

        A block is told what it has a keyword-only parameter of that name for; space files cannot set these.
        """
        return {}

    @abstractmethod
    def pack(self, *tensors: Tensor) -> Any:
        """Returns the payload of the network's positional input tensors."""

    @abstractmethod
    def features(self, payload: Any) -> Tensor:
        """Returns the feature tensor of a payload."""

    @abstractmethod
    def with_features(self, payload: Any, features: Tensor) -> Any:
        """Returns the payload with other features and all else shared."""

    @abstractmethod
    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Returns small random input tensors (before ``pack``) for tests.

        Args:
            batch: number of samples, or of nodes in a graph.
            width: number of features.
            generator: source of the numbers.
        """

    def concatenate(self, payloads: Sequence[Any]) -> Any:
        """Joins payloads along their features; everything else is taken from the first."""
        features = torch.cat([self.features(p) for p in payloads], dim=self.channel_axis)
        return self.with_features(payloads[0], features)

    def add(self, payloads: Sequence[Any]) -> Any:
        """Adds the features of payloads; everything else is taken from the first."""
        total = self.features(payloads[0])
        for payload in payloads[1:]:
            total = total + self.features(payload)
        return self.with_features(payloads[0], total)

    def mean(self, payloads: Sequence[Any]) -> Any:
        """Averages the features of payloads; everything else is taken from the first."""
        total = self.add(payloads)
        return self.with_features(total, self.features(total) / len(payloads))

    def maximum(self, payloads: Sequence[Any]) -> Any:
        """Takes the largest of each feature over payloads; everything else is taken from the first."""
        largest = self.features(payloads[0])
        for payload in payloads[1:]:
            largest = torch.maximum(largest, self.features(payload))
        return self.with_features(payloads[0], largest)


class ImageFormat(PayloadFormat):
    """One tensor ``(batch, channels, height, width)``."""

    channel_axis = 1

    def pack(self, *tensors: Tensor) -> Tensor:
        (image,) = tensors
        return image

    def features(self, payload: Tensor) -> Tensor:
        return payload

    def with_features(self, payload: Tensor, features: Tensor) -> Tensor:
        return features

    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(batch, width, 9, 7, generator=generator),)
