"""Multilayer perceptron on node features, with elastic width and depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Guard, Number, Ordinal, SizeLike, largest_value, smallest_value

__all__ = ["MultilayerPerceptron"]


@final
class MultilayerPerceptron(nn.Module):
    """Linear layers with ReLU and dropout between them.

    With ``layers`` of 1 this is one linear map of its own, which shares no weights with the deeper forms. Hidden units are
    ordered: fewer units use a prefix of more.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: width between layers, in features.
        layers: number of linear layers, at least 1.
        dropout: share of features dropped in training, before every linear layer.
        batch_norm: normalise hidden features over the nodes; the input is then not dropped (large-graph form of DAGNN).

    Shape:
        x: ``(nodes, inp)``. Returns ``(nodes, out)``.

    Specialised:
        ``nn.Sequential`` of the layers in use.
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hidden: SizeLike,
        layers: Number | Ordinal,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.layers: Final = layers
        fewest, most = (
            (smallest_value(layers), largest_value(layers)) if isinstance(layers, Ordinal) else (int(layers),) * 2
        )
        self.drop_input = nn.Dropout(0.0 if batch_norm else dropout)
        if fewest == 1:
            self.direct = elastic.Linear(inp, out)
        if most > 1:
            self.first = _HiddenLayer(inp, hidden, dropout, batch_norm)
            self.inner = nn.ModuleList(_HiddenLayer(hidden, hidden, dropout, batch_norm) for _ in range(most - 2))
            self.last = elastic.Linear(hidden, out)

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only some numbers of layers use."""
        if not isinstance(self.layers, Ordinal):
            return {}
        several = Guard.above(self.layers, 1)
        return {"first": several, "inner": Guard.above(self.layers, 2), "last": several}

    def forward(self, x: Tensor) -> Tensor:
        """Returns the transformed features."""
        for layer in self._path():
            x = layer(x)
        return x

    def specialise(self) -> nn.Module:
        """Returns the layers in use as a plain sequence."""
        return nn.Sequential(*(elastic.specialise(layer) for layer in self._path()))

    def _path(self) -> list[nn.Module]:
        layers = int(self.layers)
        if layers == 1:
            return [self.drop_input, self.direct]
        return [self.drop_input, self.first, *self.inner[: layers - 2], self.last]


@final
class _HiddenLayer(nn.Module):
    """Linear, batch normalisation if asked for, ReLU, dropout."""

    def __init__(self, inp: SizeLike, out: SizeLike, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        self.linear = elastic.Linear(inp, out)
        self.normalise = elastic.BatchNorm1d(out) if batch_norm else nn.Identity()
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.drop(torch.relu(self.normalise(self.linear(x))))
        return features
