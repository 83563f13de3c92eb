"""The base of all elastic layers: parameters allocated at the largest size, of which a forward pass uses the active slice.

A layer says what is active (``_select``) and how to take it out of its parameters (``_cut``); this class decides when
that has to be done again. What is active depends on the dimensions alone and is worked out when one of them changes. The
slices themselves are made in every forward pass that records gradients, so that these reach the active slice, and are kept
between passes that do not, as long as the parameters are the same memory in the same version. Compact copies of
slices make such a pass as fast as that of the extracted layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from automl.space import Dimension, dimensions_of

__all__ = ["ElasticLayer"]

S = TypeVar("S")
A = TypeVar("A")


class _Kept(NamedTuple):
    """What the last forward pass worked out; replaced as a whole, so that threads never see a mixture."""

    positions: list[int]
    selection: Any
    arguments: Any = None
    sources: tuple[tuple[Tensor | None, int, int | None], ...] | None = None
    """All parameters and buffers, with address, and with version where an argument is a copy instead of a view."""
    alive: tuple[Tensor, ...] = ()  # keeps the addresses from being used again


class _Memory:
    """Memory between forward passes that is no state: copies and pickles of a layer start without it."""

    __slots__ = ("dimensions", "kept")

    def __init__(self) -> None:
        self.dimensions: tuple[Dimension, ...] | None = None
        self.kept: _Kept | None = None

    def __deepcopy__(self, memo: object) -> _Memory:
        return _Memory()

    def __reduce__(self) -> tuple[type[_Memory], tuple[()]]:
        return _Memory, ()


class ElasticLayer(nn.Module, ABC, Generic[S, A]):
    """A leaf layer that computes with the active slice of its parameters.

    Public attributes may be sizes or dimensions. A size has to be a function of its dimensions: to select other units of
    the same dimensions, assign another size.

    Weights may be changed in place, moved, cast, loaded and replaced at any time. Only a change through ``tensor.data``
    leaves no trace in the version of a tensor; kept slices miss it until the mode, the gradient mode or an active
    dimension changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._memory = _Memory()

    @abstractmethod
    def _select(self) -> S:
        """Works out from the sizes which units are active, and everything else that depends on dimensions alone."""

    @abstractmethod
    def _cut(self, selection: S) -> A:
        """Returns the arguments of the functional form of the layer, with parameters cut to the active slice."""

    def _compact(self, arguments: A) -> A:
        """Returns arguments to be kept, with strided weights replaced by dense copies; by default as they are.

        Kernels copy strided weights in every call; a dense copy is made once.
        """
        return arguments

    @abstractmethod
    def specialise(self) -> nn.Module:
        """Returns the plain layer with copied active weights."""

    def _selection(self) -> S:
        return self._current().selection  # type: ignore[no-any-return]

    def _arguments(self) -> A:
        """Returns the arguments under the current dimensions; kept ones where nothing has changed."""
        kept = self._current()
        if torch.is_grad_enabled() or torch.compiler.is_dynamo_compiling():
            if kept.sources is not None:
                self._memory.kept = _Kept(kept.positions, kept.selection)
            return self._cut(kept.selection)
        tensors = (*self._parameters.values(), *self._buffers.values())
        if kept.sources is not None and len(kept.sources) == len(tensors):
            # One loop without calls: at batch 1 this check is the only cost beside the plain layer.
            for tensor, (known, address, version) in zip(tensors, kept.sources, strict=True):
                if tensor is not known:
                    break
                if tensor is not None and (
                    tensor.data_ptr() != address or (version is not None and tensor._version != version)
                ):
                    break
            else:
                return kept.arguments  # type: ignore[no-any-return]
        arguments = self._compact(self._cut(kept.selection))
        self._keep(kept, arguments, tensors)
        return arguments

    def _keep(self, kept: _Kept, arguments: A, tensors: tuple[Tensor | None, ...]) -> None:
        present = [t for t in tensors if t is not None]
        # Fake tensors and other subclasses have no address, inference tensors no version, and a parametrised weight is no
        # parameter of this module: such slices are not kept.
        if self._modules or not all(type(t) in (Tensor, nn.Parameter) and not t.is_inference() for t in present):
            return
        values = arguments if isinstance(arguments, tuple) else (arguments,)
        memory = {t.untyped_storage().data_ptr() for t in present}
        copied = any(isinstance(v, Tensor) and v.untyped_storage().data_ptr() not in memory for v in values)
        sources = tuple(
            (None, 0, None) if t is None else (t, t.data_ptr(), t._version if copied else None) for t in tensors
        )
        self._memory.kept = _Kept(
            kept.positions, kept.selection, arguments, sources, tuple(t.detach() for t in present)
        )

    def _current(self) -> _Kept:
        memory = self._memory
        dimensions = memory.dimensions
        if dimensions is None:
            public = [value for name, value in vars(self).items() if not name.startswith("_")]
            dimensions = memory.dimensions = dimensions_of(public)
        positions = [dimension.index for dimension in dimensions]
        kept = memory.kept
        if kept is None or kept.positions != positions:
            kept = memory.kept = _Kept(positions, self._select())
        return kept

    def _forget(self) -> None:
        self._memory.dimensions = self._memory.kept = None

    def _device(self) -> torch.device | None:
        return next((t.device for t in self._parameters.values() if t is not None), None)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_") and "_memory" in self.__dict__:
            self._forget()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._forget()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
