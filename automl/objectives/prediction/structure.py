"""What a module computes, as text without its weights: two modules of equal text do the same work on equal inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

__all__ = ["signature", "structure"]

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.layout)


def structure(module: nn.Module) -> str:
    """Returns class, settings, sizes of the weights and children of a module, in a fixed order.

    Args:
        module: a plain module without dimensions, as extraction gives it.

    Example:
        >>> structure(nn.Linear(2, 3)) == structure(nn.Linear(2, 3)), structure(nn.Linear(2, 3)) == structure(nn.Linear(2, 4))
        (True, False)
    """
    settings = {
        name: _described(value)
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training"
    }
    tensors = {
        name: "none" if tensor is None else _tensor(tensor)
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
        if name != "num_batches_tracked"
    }
    children = {name: "none" if child is None else structure(child) for name, child in module._modules.items()}
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}{_items(settings)}{_items(tensors)}{_items(children)}"


def signature(value: Any) -> str:
    """Returns types and shapes of a payload: ``float32[1, 24, 28, 28]`` for a tensor, and all members of containers.

    Example:
        >>> signature((torch.zeros(1, 3), None))
        '(float32[1, 3], None)'
    """
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(signature, value))})"
    if isinstance(value, Mapping):
        return _items({str(key): signature(item) for key, item in value.items()})
    if isinstance(value, _PLAIN):
        return repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {field.name: signature(getattr(value, field.name)) for field in dataclasses.fields(value)}
    else:
        members = {name: signature(item) for name, item in vars(value).items()} if hasattr(value, "__dict__") else {}
    return f"{type(value).__name__}{_items(members)}"


def _tensor(tensor: Tensor) -> str:
    layout = "" if tensor.layout is torch.strided else f"{str(tensor.layout).removeprefix('torch.')} "
    return f"{layout}{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _described(value: Any) -> str:
    """Values of plain settings; of anything else only what it is, as its text may hold an address."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_described, value))})"
    if isinstance(value, set | frozenset):
        return f"({', '.join(sorted(map(_described, value)))})"
    if isinstance(value, Mapping):
        return _items({str(key): _described(item) for key, item in value.items()})
    if isinstance(value, nn.Module):
        return structure(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__qualname__}" + _items(
            {field.name: _described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        )
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _items(texts: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {texts[name]}" for name in texts) + "}" if texts else ""
