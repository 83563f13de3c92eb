"""The parts of an extracted network whose times add up: its blocks, its joins, its head, and what holds them together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from automl.objectives.prediction.structure import signature, structure
from automl.supernet.network import SkeletonNetwork, SlotNetwork

__all__ = ["Part", "part_paths", "parts_of"]


@dataclass(frozen=True)
class Part:
    """One part at one place of a network.

    Attributes:
        path: where it is in the network; ``""`` is the network without its other parts.
        key: digest of its structure and of the shapes that enter it; equal wherever the same work is done.
        kind: name of its class.
        inputs: shapes that enter it, for people.
    """

    path: str
    key: str
    kind: str
    inputs: str

    def describe(self, architecture: Mapping[str, Any] | None = None) -> str:
        """Returns the part with its dimensions and input for a message, such as ``stage1.blocks.0 (MBConv, kernel 5, …)``."""
        slot = self.path.partition(".")[0]
        chosen = {
            name.removeprefix(f"{self.path}.").removeprefix(f"{slot}."): value
            for name, value in (architecture or {}).items()
            if self.path and (name == f"{slot}.width" or name.startswith(f"{self.path}."))
        }
        facts = [self.kind, *(f"{name} {value}" for name, value in chosen.items()), f"input {self.inputs}"]
        return f"{self.path or 'the network around its blocks'} ({', '.join(facts)})"


def part_paths(model: nn.Module) -> list[str]:
    """Returns the paths of the parts of a network, the network itself first.

    Of a network of slots these are all blocks, the slots that join several inputs or outputs of blocks, and the head. Any
    other network is a single part.
    """
    if not isinstance(model, SkeletonNetwork):
        return [""]
    paths = [""]
    for name in model.sources:
        slot = model.get_submodule(name)
        assert isinstance(slot, SlotNetwork)
        if len(model.sources[name]) > 1 or slot.jumps:
            paths.append(name)
        paths += [f"{name}.blocks.{block}" for block, _ in slot.blocks.named_children()]
    return list({model.get_submodule(path): path for path in reversed([*paths, "head"])}.values())[::-1]


def parts_of(model: nn.Module, inputs: Sequence[Tensor]) -> list[Part]:
    """Returns the parts that a forward runs, one for each run of each; costs one forward.

    Args:
        model: the extracted network; not changed.
        inputs: what enters the network.
    """
    modules = {path: model.get_submodule(path) for path in part_paths(model)}
    parts: list[Part] = []

    def record(path: str, module: nn.Module, values: tuple[Any, ...]) -> None:
        shapes = ", ".join(map(signature, values))
        text = f"{_work(module)} on {shapes}"
        key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        parts.append(Part(path, key, type(module).__name__, shapes))

    handles = [
        module.register_forward_pre_hook(lambda module, values, path=path: record(path, module, values))
        for path, module in modules.items()
    ]
    try:
        with torch.inference_mode():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return parts


def _work(module: nn.Module) -> str:
    """What a part does besides the parts inside of it: slots wire blocks and join their inputs, whatever the blocks are."""
    if isinstance(module, SkeletonNetwork):
        return f"{type(module).__qualname__} {module.sources} {module.output}"
    if isinstance(module, SlotNetwork):
        join = "sum" if module.concat is None else structure(module.concat)
        jump = f" {module.jump} of {len(list(module.blocks.children()))}" if module.jumps else ""
        return f"{type(module).__qualname__} {join}{jump} {type(module.payload).__qualname__}"
    return structure(module)
