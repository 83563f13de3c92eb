"""Features that are mostly zeros, such as bags of words: a dense tensor whose products leave the zeros out.

On Cora, 1.3 % of the features are not zero; a linear layer on them takes a tenth of the time of a dense product, and dropout a
hundredth. Blocks need not know: the tensor answers what they ask of it. An exported model never sees such a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple, Self, final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only

from automl_graph.sparse import SPARSE_DTYPES, csr_matrix, row_starts, sparse_product

__all__ = ["SparseFeatures", "sparse_features"]

_SMALLEST_WIDTH: Final = 64
_LARGEST_SHARE: Final = 0.1
"""Share of values that are not zero from which a dense product is faster."""


class _Places(NamedTuple):
    """Where values are that are not zero: in compressed rows, and where each of them is in compressed columns."""

    starts: Tensor
    columns: Tensor
    rows: Tensor
    by_column: Tensor
    column_starts: Tensor


def sparse_features(x: Tensor) -> Tensor:
    """Returns the features as ``SparseFeatures`` if that saves time, else as they are.

    Args:
        x: constant features, ``(nodes, width)``.
    """
    if x.ndim != 2 or x.shape[1] < _SMALLEST_WIDTH or x.dtype not in SPARSE_DTYPES or x.requires_grad:
        return x
    if int(x.count_nonzero()) > _LARGEST_SHARE * x.numel():
        return x
    return SparseFeatures.of(x)


@final
class SparseFeatures(Tensor):
    """Constant features ``(nodes, width)`` with sparse products.

    Linear layers, dropout, copies and rows scaled to a sum see the values that are not zero. Everything else sees a plain
    dense tensor; after dropout that is made when it is asked for.

    Source:
        The form of the features in the code of Kipf and Welling 2017, arXiv:1609.02907.

    Example:
        >>> x = SparseFeatures.of(torch.eye(100))
        >>> torch.equal(F.linear(x, torch.eye(100)), torch.eye(100)), type(x + 0)
        (True, <class 'torch.Tensor'>)
    """

    _places: _Places
    _entries: Tensor
    _dropped: bool
    _shares: SparseFeatures | None

    @classmethod
    def of(cls, x: Tensor) -> SparseFeatures:
        """Returns dense features with the places of their values; ``x`` shares its memory with them and must not change."""
        rows, columns = x.nonzero(as_tuple=True)
        by_column = torch.argsort(columns, stable=True)
        places = _Places(row_starts(rows, x.shape[0]), columns, rows, by_column, row_starts(columns, x.shape[1]))
        return cls._make(x, places, x[rows, columns], dropped=False)

    @property
    def constant(self) -> bool:
        """Whether these are the features themselves, not what dropout has left of them."""
        return not self._dropped

    def dense(self) -> Tensor:
        """Returns the features as a plain tensor."""
        with torch._C.DisableTorchFunctionSubclass():
            plain = self.as_subclass(Tensor)
            if not self._dropped:
                return plain
            return torch.zeros_like(plain).index_put_((self._places.rows, self._places.columns), self._entries)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answers the operations with a sparse form; all others with dense tensors."""
        kwargs = dict(kwargs or {})
        if func in _DESCRIBES:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        answer = _ANSWERS.get(func)
        if answer is not None and not torch.compiler.is_compiling():
            found = answer(*args, **kwargs)
            if found is not NotImplemented:
                return found
        args, kwargs = tree_map_only(cls, cls.dense, (args, kwargs))
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def _make(cls, x: Tensor, places: _Places, values: Tensor, *, dropped: bool) -> Self:
        with torch._C.DisableTorchFunctionSubclass():
            made = x.as_subclass(cls)
        made._places, made._entries, made._dropped, made._shares = places, values, dropped, None
        return made

    @cached_property
    def _matrices(self) -> tuple[Tensor, Tensor]:
        """The features in compressed rows, and their transpose in the same form."""
        places, (nodes, width) = self._places, self.shape
        return (
            csr_matrix(places.starts, places.columns, self._entries, (nodes, width)),
            csr_matrix(
                places.column_starts, places.rows[places.by_column], self._entries[places.by_column], (width, nodes)
            ),
        )


def _normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Any:
    if not isinstance(x, SparseFeatures) or (p, dim, x._dropped, out) != (1, 1, False, None):
        return NotImplemented
    if x._shares is None:  # kept, since these are features of every step
        sums = torch.zeros(x.shape[0], dtype=x.dtype, device=x.device).index_add_(0, x._places.rows, x._entries.abs())
        entries = x._entries / sums.clamp(min=eps)[x._places.rows]
        plain = torch.zeros(x.shape, dtype=x.dtype, device=x.device)
        plain[x._places.rows, x._places.columns] = entries
        x._shares = SparseFeatures._make(plain, x._places, entries, dropped=False)
    return x._shares


def _linear(x: Any, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not isinstance(x, SparseFeatures) or weight.dtype != x.dtype or torch.is_autocast_enabled(x.device.type):
        return NotImplemented
    product: Tensor = sparse_product(*x._matrices, weight.t())
    return product if bias is None else product + bias


def _dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if not isinstance(x, SparseFeatures) or inplace:
        return NotImplemented
    if not training or p == 0:
        return x
    return SparseFeatures._make(x, x._places, F.dropout(x._entries, p), dropped=True)


def _clone(x: SparseFeatures, *, memory_format: torch.memory_format = torch.preserve_format) -> SparseFeatures:
    copied = x.dense().clone(memory_format=memory_format)
    places = _Places(*(place.clone() for place in x._places))
    return SparseFeatures._make(copied, places, x._entries.clone(), dropped=False)


_DESCRIBES: Final = frozenset(
    {
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "requires_grad", "layout")),
        *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.is_floating_point),
    }
)
"""Operations that read no values."""
_ANSWERS: Final[Mapping[Any, Callable[..., Any]]] = {
    F.linear: _linear,
    F.dropout: _dropout,
    F.normalize: _normalize,
    Tensor.clone: _clone,
}
