"""Specialisation: the active subnetwork as plain ``torch.nn`` modules and plain numbers, with weights of its own."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from automl.space import Categorical, Ordinal, Size, dimensions_of

__all__ = ["plain_layer", "specialise"]

M = TypeVar("M", bound=nn.Module)
Memo = dict[Any, Any]

# Modules are asked one by one through a method without arguments, yet tied parts must stay tied across the whole tree.
# The memo lives in the context of the outermost call and is gone when that returns.
_memo: ContextVar[Memo | None] = ContextVar("specialise memo", default=None)

_CONTAINER_TYPES = frozenset({dict, OrderedDict, set, list})
_PLAIN_TYPES = frozenset({type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device})


def specialise(module: nn.Module) -> nn.Module:
    """Returns the active subnetwork of a module as plain modules with copied weights.

    A module with a method ``specialise`` is asked. Any other module is copied: its children are specialised, dimensions
    and sizes among its attributes become plain numbers, and children whose condition does not hold become ``None``.
    Parts that occur several times stay shared in the result. The original is left as it was, and no memory is shared.

    Args:
        module: any module, elastic or not.

    Returns:
        A module of the same mode, devices and dtypes.

    Example:
        >>> from automl import elastic
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 8)
        >>> network = nn.Sequential(elastic.Linear(3, width), nn.ReLU(), elastic.Linear(width, 2))
        >>> width.value = 4
        >>> specialise(network)
        Sequential(
          (0): Linear(in_features=3, out_features=4, bias=True)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=2, bias=True)
        )
    """
    memo = _memo.get()
    if memo is not None:
        return _specialised(module, memo)
    token = _memo.set({})
    try:
        with torch.no_grad():
            return _specialised(module, cast(Memo, _memo.get()))
    finally:
        _memo.reset(token)


def plain_layer(
    cls: type[M],
    *sizes: Hashable,
    training: bool,
    weights: Mapping[str, tuple[Tensor | None, Tensor | None]],
    buffers: Mapping[str, Tensor] | None = None,
    **options: Hashable,
) -> M:
    """Returns a plain layer that holds copies of active slices.

    Args:
        cls: the class of the layer.
        *sizes: arguments of its constructor.
        training: mode of the layer.
        weights: for each parameter the active slice and the parameter that it was taken from, or ``None`` for both.
        buffers: for each buffer the active slice.
        **options: keyword arguments of its constructor.
    """
    layer = _duplicate(cast(M, _prototype(cast(Hashable, cls), sizes, tuple(options.items()))))
    state = vars(layer)  # written to directly: the checks of Module.__setattr__ cost more than the copies
    state["training"] = training
    state["_parameters"].update(
        (name, None if active is None or source is None else _own_parameter(active, source))
        for name, (active, source) in weights.items()
    )
    if buffers is not None:
        state["_buffers"].update((name, active.detach().clone()) for name, active in buffers.items())
    return layer


@functools.lru_cache(maxsize=1024)
def _prototype(cls: Hashable, sizes: tuple[Hashable, ...], options: tuple[tuple[str, Hashable], ...]) -> nn.Module:
    """Returns a layer on the meta device as its constructor makes it, without drawing weights; not to be changed.

    Constructors of torch layers take most of the time of an extraction. A space has few different layers of any size, so
    what a constructor made is kept; the meta device holds no numbers.
    """
    plain = cast(type[nn.Module], cls)
    undrawn = type(plain.__name__, (plain,), {"reset_parameters": lambda self: None})
    layer: nn.Module = undrawn(*sizes, device="meta", **dict(options))
    layer.__class__ = plain
    return layer


def _duplicate(layer: M) -> M:
    result = layer.__new__(type(layer))
    result.__dict__.update(
        (name, value.copy() if type(value) in _CONTAINER_TYPES else value) for name, value in vars(layer).items()
    )
    return result


def _own_parameter(active: Tensor, source: Tensor) -> nn.Parameter:
    """Copies a slice. Equal slices of one tensor give one parameter within a call of ``specialise``: tied weights stay tied."""
    memo = _memo.get()
    region = (active.data_ptr(), active.dtype, active.shape, active.stride())
    if memo is not None and region in memo:
        return cast(nn.Parameter, memo[region][0])
    parameter = nn.Parameter(active.detach().clone(), requires_grad=source.requires_grad)
    if memo is not None and region[0] and active.untyped_storage().data_ptr() == source.untyped_storage().data_ptr():
        memo[region] = (parameter, source)  # holding the source keeps its address from being used again
    return parameter


def _specialised(module: nn.Module, memo: Memo) -> nn.Module:
    known = memo.get(id(module))
    if known is not None:
        return cast(nn.Module, known)
    own_method = getattr(type(module), "specialise", None)
    if own_method is None:
        return _copied(module, memo)
    result = cast(nn.Module, own_method(module))
    memo[id(module)] = result
    return result


def _copied(module: M, memo: Memo) -> M:
    result = module.__new__(type(module))
    memo[id(module)] = result  # before the attributes, which may refer back to the module
    absent = _absent_children(module)
    state: dict[str, Any] = {}
    for name, value in vars(module).items():
        kind = type(value)
        if kind in _PLAIN_TYPES:
            state[name] = value
        elif kind in _CONTAINER_TYPES and not value:
            state[name] = kind()
        elif name == "_modules":
            state[name] = {
                key: None if child is None or key in absent else _specialised(child, memo)
                for key, child in value.items()
            }
        else:
            state[name] = _plain(value, memo)
    result.__dict__.update(state)
    return result


def _absent_children(module: nn.Module) -> frozenset[str]:
    conditions = getattr(type(module), "conditions", None)
    if conditions is None or not dimensions_of(list(vars(module).values())):  # the latter: already specialised
        return frozenset()
    return frozenset(name for name, guard in conditions(module).items() if guard.dimension.value not in guard.values)


def _plain(value: Any, memo: Memo) -> Any:
    """Copies an attribute with plain numbers in place of dimensions and sizes."""
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value
    if isinstance(value, Ordinal | Categorical):
        return value.value
    if isinstance(value, Size):
        number = value.value
        return int(number) if number == int(number) else number
    if kind in (Tensor, nn.Parameter):
        known = memo.get(id(value))
        if known is None:
            data = value.detach().clone()
            known = memo[id(value)] = (
                nn.Parameter(data, value.requires_grad)
                if kind is nn.Parameter
                else data.requires_grad_(value.requires_grad)
            )
        return known
    if isinstance(value, nn.Module):
        return _specialised(value, memo)
    if kind in (dict, OrderedDict):
        return kind((key, _plain(item, memo)) for key, item in value.items()) if value else kind()
    if kind in (list, tuple, set, frozenset):
        return kind(_plain(item, memo) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(_plain(item, memo) for item in value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        result = copy.copy(value)
        for field in dataclasses.fields(value):
            object.__setattr__(result, field.name, _plain(getattr(value, field.name), memo))
        return result
    return copy.deepcopy(value, memo)
