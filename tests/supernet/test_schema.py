"""Search space files: what is read, and one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.errors import ConfigError
from automl.supernet.schema import Skeleton, read_skeleton

GOOD = """
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [16, 24], stride: 2}
  left:   {from: stem, blocks: ["*"], width: [24, 32], depth: [1, 2]}
  right:  {from: stem, blocks: [{vision.mbconv: {kernel: [3, 5]}}], width: left}
  joined: {from: [left, right], merge: sum, blocks: [vision.residual], width: 48}
output: joined
head: auto
forbid:
  - {left.depth: 2, stem.width: 24}
"""


def _read(tmp_path: Path, text: str) -> Skeleton:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return read_skeleton(path)


def test_slots_come_in_topological_order_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    skeleton = _read(tmp_path, GOOD)
    assert skeleton.order() == ["stem", "left", "right", "joined"]
    lines = GOOD.splitlines()
    lines[4], lines[7] = lines[7], lines[4]
    assert _read(tmp_path, "\n".join(lines)).order() == ["stem", "left", "right", "joined"]
    assert skeleton.slots["joined"].sources == ["left", "right"]
    assert skeleton.rules == [{"left.depth": 2, "stem.width": 24}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'from: stem, blocks: ["*"]',
            'from: stm, blocks: ["*"]',
            r"space.yaml:6: slots.left.from: no slot is called 'stm'. Did you mean 'stem'",
        ),
        ("depth: [1, 2]", "dept: [1, 2]", r"space.yaml:6: .*unknown option 'dept'. Did you mean 'depth'"),
        ("depth: [1, 2]", "depth: []", r"space.yaml:6: slots.left.depth"),
        ("depth: [1, 2]", "depth: [2, 1]", r"choices must increase; write \[1, 2\]"),
        ("depth: [1, 2]", "depth: -1", r"space.yaml:6: slots.left.depth"),
        ("width: [16, 24]", "width: [0, 24]", r"space.yaml:5: slots.stem.width"),
        ("blocks: [vision.residual]", "blocks: []", r"space.yaml:8: slots.joined.blocks"),
        ("blocks: [vision.residual]", "blocks: [{a: {}, b: {}}]", r"exactly one block name"),
        ("merge: sum, ", "", r"space.yaml:8: slots.joined.from: several inputs need 'merge: sum' or 'merge: concat'"),
        ("merge: sum", "merge: plus", r"space.yaml:8: slots.joined.merge"),
        ("output: joined", "output: joint", r"space.yaml:9: output: no slot is called 'joint'. Did you mean 'joined'"),
        ("output: joined", "output: left", r"space.yaml:7: slots.right: .*dangling"),
        (
            "stem:   {from: input",
            "stem:   {from: joined",
            r"slots form a cycle: stem → .* → stem|slots form a cycle: joined",
        ),
        ("  stem: ", "  input: ", r"the name 'input' is taken|no slot is called 'stem'"),
        ("  stem: ", "  Stem: ", r"slots.Stem"),
        ("input: image\n", "", r"input: this option is required"),
        ("stride: 2", "stride: two", r"space.yaml:5: slots.stem.stride: 'two' is not valid"),
        ("output: joined", "output: joined\nwidth: 3", r"unknown option 'width'"),
    ],
)
def test_a_wrong_space_file_names_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        _read(tmp_path, GOOD.replace(old, new))
    assert len(str(caught.value).splitlines()) <= 3


def test_a_file_that_is_no_space_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a search space is a mapping"):
        _read(tmp_path, "- 1\n")
    with pytest.raises(ConfigError, match=r"space.yaml:2: not valid YAML"):
        _read(tmp_path, "a: [1,\nb: }\n")
