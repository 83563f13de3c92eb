from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from automl.report.drawing import draw_network, family_colours
from automl.report.layout import read_layout

SKELETON: dict[str, Any] = {
    "input": "image",
    "slots": {
        "late": {"from": ["left", "right"], "merge": "concat", "blocks": ["a.b"], "depth": [2, 3]},
        "left": {"from": "input", "blocks": [{"a.conv": {"kernel": 3}}], "width": [8, 16], "stride": 2},
        "right": {"from": "left", "blocks": ["a.b", "c.d"], "width": "left", "depth": 2},
    },
    "output": "late",
    "head": {"a.head": {"hidden": [5, 9]}},
}
ARCHITECTURE = {
    "left.width": 16,
    "right.blocks.0.choice": "c.d",
    "right.blocks.0.c_d.kernel": 5,
    "right.blocks.1.choice": "a.b",
    "right.blocks.1.a_b.inner.rate": 0.25,
    "late.depth": 2,
    "late.blocks.0.ratio": 4,
    "late.blocks.1.ratio": 6,
    "head.hidden": 9,
}


def test_slots_follow_their_sources_and_carry_what_is_fixed() -> None:
    layout = read_layout(ARCHITECTURE, SKELETON)
    left, right, late = layout.slots
    assert [left.name, right.name, late.name] == ["left", "right", "late"]
    assert (left.width, left.widest, left.stride, left.depth, left.deepest) == (16, 16, 2, 1, 1)
    assert (right.width, right.depth, right.deepest) == (16, 2, 2)
    assert (late.width, late.depth, late.deepest, late.merge) == (None, 2, 3, "concat")
    assert set(layout.edges) == {
        ("input", "left"),
        ("left", "right"),
        ("left", "late"),
        ("right", "late"),
        ("late", "head"),
    }
    assert (layout.signal, layout.head) == ("image", "a.head hidden 9")


def test_a_head_that_was_chosen_is_named_once() -> None:
    skeleton = {"slots": {"stem": {"from": "input", "blocks": ["x"]}}, "input": "image", "output": "stem"}
    several = {**skeleton, "head": ["graph.classifier", {"graph.dagnn_head": {"hops": [2, 5]}}]}
    chosen = {"head.choice": "graph.dagnn_head", "head.graph_dagnn_head.hops": 5}
    assert read_layout(chosen, several).head == "choice graph.dagnn_head, hops 5"
    assert read_layout({}, {**skeleton, "head": ["graph.classifier"]}).head == "graph.classifier"


def test_blocks_carry_their_name_and_only_their_own_options() -> None:
    left, right, late = read_layout(ARCHITECTURE, SKELETON).slots
    assert [(b.name, b.options) for b in left.blocks] == [("a.conv", {})]
    assert [(b.name, b.options) for b in right.blocks] == [("c.d", {"kernel": 5}), ("a.b", {"inner.rate": 0.25})]
    assert [(b.name, b.options) for b in late.blocks] == [("a.b", {"ratio": 4}), ("a.b", {"ratio": 6})]


def test_without_a_skeleton_slots_form_a_chain_in_the_order_of_the_dimensions() -> None:
    layout = read_layout({"b.width": 4, "a.depth": 1, "a.blocks.0.x_y.kernel": 3, "b.rate": 0.5, "lone": "tanh"})
    assert layout.edges == [("input", "b"), ("b", "a"), ("a", "lone"), ("lone", "head")]
    b, a, lone = layout.slots
    assert (b.width, b.options) == (4, {"rate": 0.5})
    assert [(block.name, block.options) for block in a.blocks] == [("x_y", {"kernel": 3})]
    assert lone.options == {"lone": "tanh"}


@pytest.mark.parametrize("skeleton", [SKELETON, None])
def test_drawing_is_well_formed_and_names_every_slot_and_block(skeleton: dict[str, Any] | None) -> None:
    layout = read_layout({**ARCHITECTURE, "left.<mode>": "&"}, skeleton)
    svg = ElementTree.fromstring(draw_network(layout, family_colours([layout]), "<title> & more", "x"))
    text = " ".join(element.text or "" for element in svg.iter("text"))
    for word in ("left", "right", "late", "c.d  kernel 5", "<mode> &", "head"):
        assert word in text
    edges = [element for element in svg.iter("path") if element.get("class") == "edge"]
    assert len(edges) == len(layout.edges)


def test_cards_do_not_overlap_and_lie_inside_the_drawing() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        names = [f"s{i}" for i in range(rng.integers(1, 8))]
        slots: dict[str, Any] = {}
        for i, name in enumerate(names):
            sources = [*["input"], *names[:i]]
            chosen = sorted({sources[rng.integers(len(sources))] for _ in range(2)})
            slots[name] = {"from": chosen, "merge": "sum", "blocks": ["a.b"], "depth": int(rng.integers(1, 5))}
        layout = read_layout({}, {"slots": slots, "output": names[-1]})
        svg = ElementTree.fromstring(draw_network(layout, {}, "", ""))
        width, height = (float(v) for v in svg.attrib["viewBox"].split()[2:])
        boxes = [
            tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            for rect in svg.iter("rect")
            if rect.get("class") in ("card", "pill")
        ]
        assert len(boxes) == len(names) + 2
        for i, (x, y, w, h) in enumerate(boxes):
            assert x >= 0
            assert y >= 0
            assert x + w <= width
            assert y + h <= height
            for a, b, c, d in boxes[:i]:
                assert x + w <= a or a + c <= x or y + h <= b or b + d <= y
