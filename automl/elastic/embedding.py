"""Embedding table with elastic width and number of entries."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection, dense
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count
from automl.errors import SpaceError
from automl.space import SizeLike, smallest_value

__all__ = ["Embedding"]


class _Active(NamedTuple):
    entries: Selection
    features: Selection


@final
class Embedding(ElasticLayer[_Active, Tensor]):
    """Embedding table whose width and number of entries are searched.

    Args:
        num_embeddings: number of entries; identifiers count the active ones.
        embedding_dim: width of an entry, in features.
        padding_idx: identifier of an entry that stays zero and gets no gradient; exists under every setting.

    Shape:
        identifiers: any shape, integers below ``num_embeddings``. Returns ``(*, embedding_dim)``.
        weight: ``(max num_embeddings, max embedding_dim)``.

    Raises:
        SpaceError: a size that can be fractional or below 1, or a padding entry that some setting lacks.

    Specialised:
        ``nn.Embedding``.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 6)
        >>> table = Embedding(10, width, padding_idx=0)
        >>> width.value = 4
        >>> table(torch.tensor([[1, 0, 9]])).shape
        torch.Size([1, 3, 4])
    """

    def __init__(self, num_embeddings: SizeLike, embedding_dim: SizeLike, *, padding_idx: int | None = None) -> None:
        super().__init__()
        entries = check_count("Embedding: num_embeddings", num_embeddings)
        features = check_count("Embedding: embedding_dim", embedding_dim)
        if padding_idx is not None and not 0 <= padding_idx < smallest_value(num_embeddings):
            raise SpaceError(
                f"Embedding: padding_idx={padding_idx} is no entry under every setting; expected 0 to "
                f"{smallest_value(num_embeddings) - 1}."
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.weight = nn.Parameter(torch.empty(entries, features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights from the standard normal distribution; the padding entry becomes zero."""
        nn.init.normal_(self.weight)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].zero_()

    def forward(self, identifiers: Tensor) -> Tensor:
        """Looks up the active part of the entries."""
        return F.embedding(identifiers, self._arguments(), self.padding_idx)

    def specialise(self) -> nn.Embedding:
        """Returns ``nn.Embedding`` with copied active weights."""
        selection = self._selection()
        return plain_layer(
            nn.Embedding,
            selection.entries.count,
            selection.features.count,
            padding_idx=self.padding_idx,
            training=self.training,
            weights={"weight": (self._cut(selection), self.weight)},
        )

    def _select(self) -> _Active:
        device = self._device()
        return _Active(Selection.of(self.num_embeddings, device), Selection.of(self.embedding_dim, device))

    def _cut(self, selection: _Active) -> Tensor:
        return selection.features.take(selection.entries.take(self.weight, 0), 1)

    def _compact(self, arguments: Tensor) -> Tensor:
        return dense(arguments, self.weight)

    def extra_repr(self) -> str:
        """Returns the arguments."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings!r}, {self.embedding_dim!r}{padding}"
