"""Multi-head attention with elastic width and number of heads."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.linear import Linear
from automl.elastic.validation import check_count
from automl.errors import SpaceError
from automl.space import SizeLike

__all__ = ["MultiheadAttention"]


@final
class MultiheadAttention(nn.Module):
    """Multi-head attention whose width and number of heads are searched.

    ``y = output(concat_h(softmax(q_h k_hᵀ / sqrt(head_dim) + bias_h) v_h))``. Heads are ordered and all of one width: fewer heads
    are a prefix of more heads. The result lies in ``width`` again, so heads and width are independent of each other.

    Args:
        width: width of queries and result, in features.
        heads: number of heads.
        head_dim: width of one head, in features; fixed.
        context_width: width of the attended sequence, where that is another signal; left out, ``width``.
        bias: add learned offsets in the four projections.
        dropout: share of attention weights dropped in training mode.

    Shape:
        x: ``(*, queries, width)``.
        context: ``(*, keys, context_width)``; left out, ``x`` attends to itself.
        attention_bias: added to the scores before the softmax; broadcasts to ``(*, heads, queries, keys)``, where ``heads`` are
            the active ones. Minus infinity hides a key.
        Returns ``(*, queries, width)``.

    Cost:
        ``heads * head_dim * (2 * queries * width + 2 * keys * context_width + 2 * queries * keys)`` multiply-accumulates.

    Raises:
        SpaceError: a size that can be fractional or below 1, or a dropout outside [0, 1).

    Specialised:
        The same module with ``nn.Linear`` projections and plain numbers; it needs no elastic layer.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.2. Deviation: ``heads * head_dim`` need not be ``width``.

    Example:
        >>> import torch
        >>> from automl.space import Ordinal
        >>> width, heads = Ordinal(6, 8), Ordinal(1, 2, 3)
        >>> layer = MultiheadAttention(width, heads, head_dim=4)
        >>> heads.value = 2
        >>> layer(torch.randn(5, 7, 8), attention_bias=torch.zeros(2, 7, 7)).shape
        torch.Size([5, 7, 8])
    """

    def __init__(
        self,
        width: SizeLike,
        heads: SizeLike,
        *,
        head_dim: int,
        context_width: SizeLike | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_count("MultiheadAttention: width", width)
        check_count("MultiheadAttention: heads", heads)
        if isinstance(head_dim, bool) or not isinstance(head_dim, int) or head_dim < 1:
            raise SpaceError(f"MultiheadAttention: head_dim is {head_dim!r}; expected a plain number of at least 1.")
        if not 0 <= dropout < 1:
            raise SpaceError(f"MultiheadAttention: dropout {dropout!r} leaves the interval [0, 1).")
        context_width = width if context_width is None else context_width
        inner = heads * head_dim
        self.width = width
        self.heads = heads
        self.head_dim = head_dim
        self.dropout = dropout
        self.query = Linear(width, inner, bias)
        self.key = Linear(context_width, inner, bias)
        self.value = Linear(context_width, inner, bias)
        self.output = Linear(inner, width, bias)

    def forward(self, x: Tensor, context: Tensor | None = None, attention_bias: Tensor | None = None) -> Tensor:
        """Attends from every position of ``x``."""
        context = x if context is None else context
        query, key, value = self._split(self.query(x)), self._split(self.key(context)), self._split(self.value(context))
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_bias, dropout_p=dropout)
        result: Tensor = self.output(mixed.transpose(-2, -3).flatten(-2))
        return result

    def _split(self, features: Tensor) -> Tensor:
        return features.reshape(*features.shape[:-1], int(self.heads), self.head_dim).transpose(-2, -3)

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"{self.width!r}, {self.heads!r}, head_dim={self.head_dim}, dropout={self.dropout}"
