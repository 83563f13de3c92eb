"""An architecture seen as slots: which blocks each slot holds, how wide it is, and where its input comes from.

Read off the dimension names (``stage1.width``, ``stage1.depth``, ``stage1.blocks.0.choice``,
``stage1.blocks.0.vision_mbconv.kernel``) and, where the run stored it, the skeleton of the space, which adds what is
fixed: edges, strides and single choices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

__all__ = ["BlockLayout", "NetworkLayout", "SlotLayout", "read_layout"]

INPUT: Final = "input"
HEAD: Final = "head"
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


@dataclass
class BlockLayout:
    """One block of a slot: the name of its family, empty if unknown, and its chosen options."""

    name: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class SlotLayout:
    """One slot.

    Attributes:
        name: name of the slot.
        sources: slots that its input comes from.
        width: number of output features; None if it is that of the input or unknown.
        widest: the largest width that the space allows here.
        depth: number of active blocks.
        deepest: number of blocks that the space allows here.
        stride: down-sampling factor.
        merge: how several inputs are joined; empty for one.
        blocks: the active blocks.
        options: chosen values that belong to no block.
    """

    name: str
    sources: list[str] = field(default_factory=list)
    width: int | None = None
    widest: int | None = None
    depth: int = 0
    deepest: int = 0
    stride: int = 1
    merge: str = ""
    blocks: list[BlockLayout] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class NetworkLayout:
    """All slots, every one after its sources; ``edges`` run from ``input`` over the slots to ``head``."""

    signal: str
    head: str
    slots: list[SlotLayout]
    edges: list[tuple[str, str]]


def read_layout(architecture: Mapping[str, Any], skeleton: Mapping[str, Any] | None = None) -> NetworkLayout:
    """Returns the layout of an architecture.

    Args:
        architecture: values of the active dimensions by name.
        skeleton: the search space as a mapping (``slots``, ``input``, ``output``, ``head``); without one the slots are
            taken to follow one another in the order of the dimensions.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, value in architecture.items():
        slot, _, rest = name.partition(".")
        groups.setdefault(slot, {})[rest or slot] = value
    head = _head_text(skeleton, groups.pop(HEAD, {}))
    if skeleton is None:
        signal = _shown(groups.pop(INPUT, {}))
        slots = [_slot(name, values, {}) for name, values in groups.items()]
        names = [INPUT, *groups, HEAD]
        for slot_layout, source in zip(slots, names, strict=False):
            slot_layout.sources = [source]
        return NetworkLayout(signal, head, slots, list(pairwise(names)))
    declared: Mapping[str, Mapping[str, Any]] = skeleton["slots"]
    slots = [_slot(name, groups.pop(name, {}), declared[name]) for name in _order(declared)]
    _inherit_widths(slots, declared)
    edges = [(source, slot.name) for slot in slots for source in slot.sources]
    edges.append((str(skeleton.get("output") or slots[-1].name), HEAD))
    slots += [_slot(name, values, {}) for name, values in groups.items()]
    return NetworkLayout(str(skeleton.get("input", "")), head, slots, edges)


def _head_text(skeleton: Mapping[str, Any] | None, options: Mapping[str, Any]) -> str:
    head = (skeleton or {}).get("head", "auto")
    # Where several compete, the choice is one of the options.
    name = (
        "auto" if isinstance(head, list) and len(head) > 1 else _entry_name(head[0] if isinstance(head, list) else head)
    )
    return " ".join(part for part in ("" if name == "auto" else name, _shown(options)) if part)


def _shown(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.rsplit('.', 1)[-1]} {value}" for key, value in options.items())


def _slot(name: str, values: Mapping[str, Any], declared: Mapping[str, Any]) -> SlotLayout:
    widths = _numbers(declared.get("width"))
    depths = _numbers(declared.get("depth", 1 if declared else None))
    source = declared.get("from", [])
    slot = SlotLayout(
        name=name,
        sources=[source] if isinstance(source, str) else list(source),
        width=_whole(values.get("width")) or (widths[0] if len(widths) == 1 else None),
        widest=max(widths, default=None),
        stride=int(declared.get("stride") or 1),
        merge=str(declared.get("merge") or ""),
    )
    blocks: dict[int, dict[str, Any]] = {}
    for key, value in values.items():
        match = _BLOCK.fullmatch(key)
        if match:
            blocks.setdefault(int(match[1]), {})[match[2]] = value
        elif key not in ("width", "depth") or _whole(value) is None:
            slot.options[key] = value
    default_depth = depths[0] if len(depths) == 1 else len(blocks)
    depth = _whole(values.get("depth"))
    slot.depth = default_depth if depth is None else depth
    slot.deepest = max([slot.depth, *depths])
    only = _only_name(declared.get("blocks", []))
    slot.blocks = [_block(blocks.get(i, {}), only) for i in range(max(slot.depth, len(blocks)))]
    return slot


def _inherit_widths(slots: list[SlotLayout], declared: Mapping[str, Mapping[str, Any]]) -> None:
    """Fills in widths that are no dimension of their own: coupled to another slot's, or those of the input."""
    done: dict[str, SlotLayout] = {}
    for slot in slots:
        width = declared[slot.name].get("width")
        model = done.get(width) if isinstance(width, str) else None
        if width is None and (len(slot.sources) == 1 or slot.merge == "sum"):
            model = done.get(slot.sources[0]) if slot.sources else None
        if model is not None:
            slot.width, slot.widest = model.width, model.widest
        done[slot.name] = slot


def _block(values: Mapping[str, Any], only: str) -> BlockLayout:
    name = str(values.get("choice", only))
    options: dict[str, Any] = {}
    for key, value in values.items():
        if key == "choice":
            continue
        candidate, _, rest = key.partition(".")
        if rest and not name:
            name = candidate
        option = rest if rest and candidate == name.replace(".", "_") else key
        options[option.removesuffix(".choice")] = value
    return BlockLayout(name, options)


def _only_name(entries: Iterable[Any]) -> str:
    """Name of the candidate where there is just one, so that no dimension tells it."""
    names = [_entry_name(entry) for entry in entries]
    return names[0] if len(names) == 1 and names[0] != "*" else ""


def _entry_name(entry: Any) -> str:
    return str(next(iter(entry), "")) if isinstance(entry, Mapping) else str(entry)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(value: Any) -> list[int]:
    if value is None or isinstance(value, str):
        return []
    return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]


def _order(declared: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Slots with each one after its sources; what a malformed file leaves over keeps its place at the end."""
    placed: list[str] = []
    waiting = list(declared)
    while waiting:
        ready = [
            name
            for name in waiting
            if all(s in placed or s not in declared for s in _sources(declared[name].get("from", [])))
        ]
        placed += ready or waiting
        waiting = [name for name in waiting if name not in placed]
    return placed


def _sources(source: Any) -> list[str]:
    return [source] if isinstance(source, str) else list(source)
