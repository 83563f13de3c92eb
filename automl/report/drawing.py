"""Drawing of an architecture as an SVG: slots as cards with their blocks, in layers from the input to the head.

Colours come from the CSS classes of the page (``k0`` to ``k7`` for block families), so the drawing follows light and dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Final

from automl.report.layout import HEAD, INPUT, BlockLayout, NetworkLayout, SlotLayout

__all__ = ["draw_network", "family_colours"]

COLOURS: Final = 8
CHARACTER: Final = 7.3  # width of one character of the 12 px monospaced options, in px
LINE: Final = 24
PADDING: Final = 14
HEADING: Final = 44
GAP: Final = 36
SIDE: Final = 28
LEAST_WIDTH: Final = 260
PILL: Final = 30


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


def family_colours(layouts: list[NetworkLayout]) -> dict[str, int]:
    """Returns a colour index for each block family, in order of appearance, so that all drawings of a page agree."""
    names = dict.fromkeys(b.name for layout in layouts for slot in layout.slots for b in slot.blocks)
    return {name: i % COLOURS for i, name in enumerate(names)}


def draw_network(layout: NetworkLayout, colours: dict[str, int], title: str, key: str) -> str:
    """Returns the drawing as an ``<svg>`` element.

    Args:
        layout: the network.
        colours: colour index of each block family.
        title: what the drawing shows, for screen readers.
        key: distinguishes this drawing from others on the page.
    """
    layers = _layers(layout)
    boxes, width, height = _place(layout, layers)
    level = {name: i for i, names in enumerate(layers) for name in names}
    arrow = escape(f"arrow-{key}")  # a marker of a hidden drawing would not be shown in this one
    parts = [_edge(boxes[a], boxes[b], level[b] - level[a], width, arrow) for a, b in layout.edges]
    signal = f"{INPUT}: {layout.signal}" if layout.signal else INPUT
    head = f"{HEAD}: {layout.head}" if layout.head else HEAD
    parts += [_pill(boxes[INPUT], signal), _pill(boxes[HEAD], head)]
    widest = max((slot.widest or slot.width or 0 for slot in layout.slots), default=0)
    parts += [_card(boxes[slot.name], slot, colours, widest) for slot in layout.slots]
    size = f"max-width:{width:.0f}px;min-width:{0.7 * width:.0f}px"
    return (
        f'<svg class="network" viewBox="0 0 {width:.0f} {height:.0f}" style="{size}" role="img">'
        f"<title>{escape(title)}</title>"
        f'<defs><marker id="{arrow}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z"/></marker></defs>{"".join(parts)}</svg>'
    )


def _layers(layout: NetworkLayout) -> list[list[str]]:
    """Names by longest distance from the input; slots that no edge reaches come right after it."""
    level = {INPUT: 0}
    for slot in layout.slots:
        sources = [level[a] for a, b in layout.edges if b == slot.name and a in level]
        level[slot.name] = max(sources, default=0) + 1
    level[HEAD] = max(level.values()) + 1
    layers: list[list[str]] = [[] for _ in range(level[HEAD] + 1)]
    for name, i in level.items():
        layers[i].append(name)
    return layers


def _place(layout: NetworkLayout, layers: list[list[str]]) -> tuple[dict[str, _Box], float, float]:
    slots = {slot.name: slot for slot in layout.slots}
    card = max([LEAST_WIDTH, *(_text_width(slot) for slot in layout.slots)])
    columns = max(len(names) for names in layers)
    jumps = any(_span(layers, edge) > 1 for edge in layout.edges)
    margin = GAP if jumps else SIDE / 2
    width = columns * card + (columns - 1) * SIDE + 2 * margin
    boxes: dict[str, _Box] = {}
    y = 2.0
    for names in layers:
        heights = {name: _height(slots[name]) if name in slots else PILL for name in names}
        x = (width - len(names) * card - (len(names) - 1) * SIDE) / 2
        for name in names:
            is_slot = name in slots
            box_width = card if is_slot else min(card, max(120.0, 8 * len(name + layout.signal + layout.head)))
            boxes[name] = _Box(x + (card - box_width) / 2, y, box_width, heights[name])
            x += card + SIDE
        y += max(heights.values()) + GAP
    return boxes, width, y - GAP + 4


def _span(layers: list[list[str]], edge: tuple[str, str]) -> int:
    level = {name: i for i, names in enumerate(layers) for name in names}
    return level[edge[1]] - level[edge[0]]


def _edge(a: _Box, b: _Box, span: int, width: float, arrow: str) -> str:
    x1, y1, x2, y2 = a.middle, a.bottom, b.middle, b.y - 1
    if span <= 1:
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + GAP / 2:.1f} {x2:.1f} {y2 - GAP / 2:.1f} {x2:.1f} {y2:.1f}"
    else:  # around the cards in between, along the right margin
        side = width - 6
        path = (
            f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + GAP:.1f} {side:.1f} {y1 + 4:.1f} {side:.1f} {y1 + GAP:.1f}"
            f"L{side:.1f} {y2 - GAP:.1f}C{side:.1f} {y2 - 4:.1f} {x2:.1f} {y2 - GAP:.1f} {x2:.1f} {y2:.1f}"
        )
    return f'<path class="edge" d="{path}" marker-end="url(#{arrow})"/>'


def _pill(box: _Box, text: str) -> str:
    return (
        f'<rect class="pill" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height}" rx="{PILL / 2}"/>'
        f'<text class="name" x="{box.middle:.1f}" y="{box.y + 20:.1f}" text-anchor="middle">{escape(text)}</text>'
    )


def _card(box: _Box, slot: SlotLayout, colours: dict[str, int], widest: int) -> str:
    x, y, inner = box.x + PADDING, box.y, box.width - 2 * PADDING
    parts = [
        f'<rect class="card" x="{box.x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height}" rx="10"/>',
        f'<text class="name" x="{x:.1f}" y="{y + 22:.1f}">{escape(slot.name)}</text>',
        f'<text class="fact" x="{x + inner:.1f}" y="{y + 22:.1f}" text-anchor="end">{escape(_facts(slot))}</text>',
    ]
    if slot.width and widest:
        parts.append(f'<rect class="track" x="{x:.1f}" y="{y + 31:.1f}" width="{inner:.1f}" height="4" rx="2"/>')
        share = inner * slot.width / widest
        parts.append(f'<rect class="bar" x="{x:.1f}" y="{y + 31:.1f}" width="{share:.1f}" height="4" rx="2"/>')
    line = y + HEADING
    for block in slot.blocks:
        index = colours.get(block.name, 0)
        parts.append(
            f'<rect class="block k{index}" x="{x:.1f}" y="{line:.1f}" width="{inner:.1f}" height="{LINE - 4}" rx="4"/>'
            f'<rect class="stripe k{index}" x="{x:.1f}" y="{line:.1f}" width="5" height="{LINE - 4}" rx="2"/>'
            f'<text class="option" x="{x + 12:.1f}" y="{line + 14:.1f}">{escape(_block_text(block))}</text>'
        )
        line += LINE
    for _ in range(slot.deepest - len(slot.blocks)):
        parts.append(f'<rect class="ghost" x="{x:.1f}" y="{line:.1f}" width="{inner:.1f}" height="{LINE - 4}" rx="4"/>')
        line += LINE
    for name, value in slot.options.items():
        text = escape(f"{name} {_shown(value)}")
        parts.append(f'<text class="option" x="{x:.1f}" y="{line + 14:.1f}">{text}</text>')
        line += LINE
    return "".join(parts)


def _facts(slot: SlotLayout) -> str:
    facts = []
    if slot.merge:
        facts.append(slot.merge)
    if slot.width:
        facts.append(f"width {slot.width}")
    if slot.deepest > 1:
        facts.append(f"depth {slot.depth} of {slot.deepest}")
    if slot.stride > 1:
        facts.append(f"stride {slot.stride}")
    return " · ".join(facts)


def _block_text(block: BlockLayout) -> str:
    options = " · ".join(f"{name} {_shown(value)}" for name, value in block.options.items())
    return "  ".join(part for part in (block.name or "block", options) if part)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text_width(slot: SlotLayout) -> float:
    lines = [_block_text(block) for block in slot.blocks]
    lines += [f"{name} {_shown(value)}" for name, value in slot.options.items()]
    lines.append(slot.name + "   " + _facts(slot))
    return 2 * PADDING + 22 + CHARACTER * max(len(line) for line in lines)


def _height(slot: SlotLayout) -> int:
    rows = max(len(slot.blocks), slot.deepest) + len(slot.options)
    return HEADING + LINE * rows + 6
