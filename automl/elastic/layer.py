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
from operator import attrgetter, is_
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from automl.space import Dimension, dimensions_of

__all__ = ["ElasticLayer"]

S = TypeVar("S")
A = TypeVar("A")

_address = Tensor.data_ptr
_version = attrgetter("_version")


class _Kept(NamedTuple):
    """What the last forward pass worked out; replaced as a whole, so that threads never see a mixture."""

    positions: list[int]
    selection: Any
    arguments: Any = None
    sources: list[Tensor] | None = None  # all parameters and buffers
    addresses: list[int] | None = None
    versions: list[int] | None = None  # only where an argument is a copy; views follow their source by themselves
    alive: tuple[Tensor, ...] = ()  # keeps the addresses from being used again


class _Memory:
    """Memory between forward passes that is no state: copies and pickles of a layer start without it."""

    __slots__ = ("dimensions", "kept")

    def __init__(self) -> None:
        self.dimensions: tuple[Dimension, ...] = ()
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
        tensors = [*self._parameters.values(), *self._buffers.values()]
        # Loops in C: at batch 1 this check is all that a layer costs beside the plain one.
        if (
            kept.sources is not None
            and len(kept.sources) == len(tensors)
            and all(map(is_, tensors, kept.sources))
            and list(map(_address, kept.sources)) == kept.addresses
            and (kept.versions is None or list(map(_version, kept.sources)) == kept.versions)
        ):
            return kept.arguments  # type: ignore[no-any-return]
        arguments = self._compact(self._cut(kept.selection))
        # Fake tensors and other subclasses have no address, inference tensors no version, and a parametrised weight is no
        # parameter of this module: such slices are not kept.
        plain = all(type(t) in (Tensor, nn.Parameter) and not t.is_inference() for t in tensors if t is not None)
        if plain and not self._modules:
            self._keep(kept, arguments, [t for t in tensors if t is not None])
        return arguments

    def _keep(self, kept: _Kept, arguments: A, sources: list[Tensor]) -> None:
        values = arguments if isinstance(arguments, tuple) else (arguments,)
        memory = {t.untyped_storage().data_ptr() for t in sources}
        copied = any(isinstance(v, Tensor) and v.untyped_storage().data_ptr() not in memory for v in values)
        self._memory.kept = _Kept(
            kept.positions,
            kept.selection,
            arguments,
            sources,
            [t.data_ptr() for t in sources],
            [t._version for t in sources] if copied else None,
            tuple(t.detach() for t in sources),
        )

    def _current(self) -> _Kept:
        memory = self._memory
        kept = memory.kept
        if kept is None:
            memory.dimensions = dimensions_of([v for name, v in vars(self).items() if not name.startswith("_")])
        positions = [dimension.index for dimension in memory.dimensions]
        if kept is None or kept.positions != positions:
            kept = memory.kept = _Kept(positions, self._select())
        return kept

    def _forget(self) -> None:
        self._memory.kept = None

    def _device(self) -> torch.device | None:
        return next((t.device for t in self._parameters.values() if t is not None), None)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_") and "_memory" in self.__dict__:
            self._forget()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._forget()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
