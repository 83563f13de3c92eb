"""Whether two modules compute the same: equal types, settings and weights, compared bit by bit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import torch
from torch import Tensor, nn

__all__ = ["same_module"]

_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)


def same_module(first: nn.Module, second: nn.Module) -> bool:
    """Tells whether two plain modules give equal outputs for equal inputs, because they are equal in every part.

    Objects that are no modules are compared by what pickling would keep of them; different functions, and whatever cannot
    be pickled, count as different, so a positive answer is safe. Modules with hooks are never the same.

    Args:
        first: a module of plain torch layers, such as an extracted network or a part of one.
        second: another one.

    Example:
        >>> from copy import deepcopy
        >>> layer = nn.Linear(2, 3)
        >>> same_module(layer, deepcopy(layer)), same_module(layer, nn.Linear(2, 3))
        (True, False)
    """
    return _same(first, second, {})


def _same(a: Any, b: Any, matched: dict[int, tuple[int, Any]]) -> bool:
    kind = type(a)
    if kind is not type(b):
        return False
    if kind in _PLAIN:
        return bool(a == b) and repr(a) == repr(b)  # tells 0.0 from -0.0
    if isinstance(a, Tensor):
        return (
            (a.shape, a.dtype, a.device, a.stride()) == (b.shape, b.dtype, b.device, b.stride())
            and a.requires_grad == b.requires_grad
            and torch.equal(a, b)
        )
    if a is b and not isinstance(a, nn.Module):
        return True
    if id(a) in matched:  # an object that occurs twice must correspond to one object
        return matched[id(a)][0] == id(b)
    matched[id(a)] = (id(b), (a, b))  # held, so that neither address is used again
    if isinstance(a, nn.Module):
        if any(value for name, value in (*vars(a).items(), *vars(b).items()) if name.endswith("_hooks")):
            return False
        return _same(vars(a), vars(b), matched)
    if kind in (dict, OrderedDict):
        return list(a) == list(b) and all(_same(a[key], b[key], matched) for key in a)
    if kind in (list, tuple):
        return len(a) == len(b) and all(_same(x, y, matched) for x, y in zip(a, b, strict=True))
    if kind in (set, frozenset):
        return bool(a == b) and all(type(item) in _PLAIN for item in a)
    try:  # what pickling would keep of them is all of their state
        return _same(a.__reduce_ex__(2), b.__reduce_ex__(2), matched)
    except (TypeError, AttributeError):
        return False
