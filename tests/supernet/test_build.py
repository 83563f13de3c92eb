"""Skeletons become supernets: dimensions, coupling, merges, and errors of blocks that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.errors import ConfigError, UnknownNameError, UserError
from automl.host import Family, Host, hookimpl
from automl.objectives.prediction.parts import part_paths, parts_of
from automl.space import SizeLike, as_ordinal, restrict
from automl.supernet import Supernet, build_supernet, family_slots, head_slot, load_skeleton
from automl.supernet.schema import Skeleton, read_skeleton
from automl.supernet.segments import cut_network


class Plain(nn.Module):
    """Conv with an elastic kernel."""

    def __init__(self, inp: SizeLike, out: SizeLike, *, stride: int = 1, kernel: Any = (1, 3)) -> None:
        super().__init__()
        self.kernel = as_ordinal(kernel)
        self.conv = elastic.Conv2d(inp, out, self.kernel, stride=stride)
        self.norm = elastic.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Fixed(nn.Module):
    """Cannot down-sample."""

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.conv = elastic.Conv2d(inp, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv(x))


class Head(nn.Module):
    def __init__(self, inp: SizeLike, out: int, *, hidden: int = 5) -> None:
        super().__init__()
        self.layers = nn.Sequential(elastic.Linear(inp, hidden), nn.ReLU(), elastic.Linear(hidden, out))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.mean((2, 3)))


class Toy:
    """A plugin with blocks of two signals."""

    @hookimpl
    def automl_families(self) -> list[Family]:
        def family(name: str, accepts: str = "image", produces: str = "image", target: str = "Plain") -> Family:
            return Family(
                name=f"toy.{name}", summary="toy", target=f"{__name__}:{target}", accepts=accepts, produces=produces
            )

        return [
            family("plain"),
            family("fixed", target="Fixed"),
            family("head", produces="logits", target="Head"),
            family("graph", accepts="graph", produces="graph"),
        ]


class ToyTask:
    """As much of a task as building needs."""

    signal = "image"
    input_width = 3
    outputs = 4

    def head(self, width: SizeLike) -> nn.Module:
        return Head(width, self.outputs)


@pytest.fixture(scope="module")
def host() -> Host:
    import sys

    sys.modules[__name__] = sys.modules.get(__name__) or type(sys)(__name__)
    vars(sys.modules[__name__]).update(Plain=Plain, Fixed=Fixed, Head=Head)
    return Host.load(entry_points=False, plugins=[Toy()])


def _skeleton(tmp_path: Path, slots: str, rest: str = "output: b\n") -> Skeleton:
    path = tmp_path / "space.yaml"
    path.write_text(f"space: image/toy\ninput: image\nslots:\n{slots}{rest}")
    return read_skeleton(path)


def _build(host: Host, tmp_path: Path, slots: str, rest: str = "output: b\n") -> Supernet:
    return build_supernet(_skeleton(tmp_path, slots, rest), ToyTask(), host)  # type: ignore[arg-type]


TWO = """  a: {from: input, blocks: [toy.plain], width: [5, 7], stride: 2}
  b: {from: a, blocks: [toy.plain, toy.fixed], width: [6, 9, 11], depth: [1, 2, 3]}
"""


def _randomised(supernet: Supernet) -> Supernet:
    generator = torch.Generator().manual_seed(1)
    supernet.double()
    for tensor in (*supernet.parameters(), *supernet.buffers()):
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.3)
    return supernet.eval()


def test_dimensions_are_named_by_slot_and_the_size_is_exact(host: Host, tmp_path: Path) -> None:
    supernet = _build(host, tmp_path, TWO)
    assert {
        "a.width",
        "a.blocks.0.kernel",
        "b.width",
        "b.depth",
        "b.blocks.0.choice",
        "b.blocks.0.toy_plain.kernel",
    } <= set(supernet.space.dimensions)
    per_block = 2 + 1  # plain with two kernels, or fixed
    assert supernet.space.size() == 2 * 2 * 3 * (per_block + per_block**2 + per_block**3)


def test_every_architecture_extracts_to_what_it_computes_when_active(host: Host, tmp_path: Path) -> None:
    supernet = _randomised(_build(host, tmp_path, TWO))
    x = torch.randn(3, 3, 9, 7, dtype=torch.float64)
    rng = np.random.default_rng(0)
    for _ in range(25):
        architecture = supernet.space.sample(rng)
        supernet.activate(architecture)
        assert supernet.active == architecture
        other = supernet.space.sample(rng)
        expected = supernet(x)
        extracted = supernet.extract(architecture)
        supernet.activate(other)
        torch.testing.assert_close(extracted(x), expected, rtol=0, atol=1e-12)
        assert not any(isinstance(m, elastic.Conv2d | elastic.Choice | elastic.Repeat) for m in extracted.modules())
        supernet.activate(architecture)
        assert torch.equal(supernet(x), expected)


def test_extracting_keeps_the_active_subnetwork(host: Host, tmp_path: Path) -> None:
    supernet = _build(host, tmp_path, TWO)
    supernet.activate(supernet.space.smallest())
    supernet.extract(supernet.space.largest())
    assert supernet.active == supernet.space.smallest()


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_merges(host: Host, tmp_path: Path, merge: str) -> None:
    slots = f"""  a: {{from: input, blocks: [toy.plain], width: [5, 7]}}
  left: {{from: a, blocks: [toy.plain], width: [2, 3]}}
  right: {{from: a, blocks: [toy.fixed], width: {"left" if merge == "sum" else "[4, 6]"}}}
  b: {{from: [left, right], merge: {merge}, blocks: [toy.plain], width: 5}}
"""
    supernet = _randomised(_build(host, tmp_path, slots))
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
        torch.testing.assert_close(supernet.extract(architecture)(x), supernet(x), rtol=0, atol=1e-12)
    assert ("right.width" in supernet.space.dimensions) == (merge == "concat")


JUMPING = """  a: {from: input, blocks: [toy.plain], width: [5, 7]}
  b: {from: a, blocks: [toy.plain], depth: [0, 1, 3], jump: [last, max, mean]}
"""


def test_outputs_of_all_blocks_jump_to_the_end_of_a_slot(host: Host, tmp_path: Path) -> None:
    supernet = _randomised(_build(host, tmp_path, JUMPING))
    kernels = 2
    one_block, three_blocks = kernels, 3 * kernels**3  # only several blocks have something to jump over
    assert supernet.space.size() == 2 * kernels * (1 + one_block + three_blocks)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    seen = set()
    for architecture in supernet.space.enumerate():
        jump = architecture.get("b.jump", "last")
        supernet.activate(architecture)
        network = supernet.extract(architecture)
        value, outputs = network.a([x]), []
        for block in network.b.blocks:
            value = block(value)
            outputs.append(value)
        expected = {
            "last": value,
            "max": torch.stack(outputs or [value]).amax(0),
            "mean": torch.stack(outputs or [value]).mean(0),
        }[str(jump)]
        torch.testing.assert_close(supernet(x), network.head(expected), rtol=0, atol=1e-12)
        assert torch.equal(network(x), supernet(x))
        value = (x,)
        for segment in cut_network(network):
            value = segment(value)
        assert torch.equal(value, network(x))
        paths = part_paths(network)
        assert ("b" in paths) == (jump != "last" and architecture["b.depth"] == 3)
        seen.add((jump, architecture["b.depth"]))
    assert seen == {("last", 0), ("last", 1), ("last", 3), ("max", 3), ("mean", 3)}


def test_parts_of_slots_with_different_jumps_are_no_peers(host: Host, tmp_path: Path) -> None:
    supernet = _randomised(_build(host, tmp_path, JUMPING))
    keys = {}
    for jump in ("max", "mean"):
        architecture = supernet.space.canonical({**supernet.space.largest(), "b.jump": jump})
        parts = parts_of(supernet.extract(architecture), (torch.randn(2, 3, 5, 4, dtype=torch.float64),))
        keys[jump] = {part.path: part.key for part in parts}
    assert keys["max"]["b"] != keys["mean"]["b"]
    assert keys["max"]["b.blocks.1"] == keys["mean"]["b.blocks.1"]


def test_a_jump_over_nothing_is_refused(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"space.yaml:5: slots.b.jump: a slot of one block has one output"):
        _build(
            host,
            tmp_path,
            "  a: {from: input, blocks: [toy.plain], width: 5}\n  b: {from: a, blocks: [toy.plain], jump: max}\n",
        )
    with pytest.raises(ConfigError, match=r"choices must differ; write \['max', 'last'\]"):
        _skeleton(tmp_path, JUMPING.replace("last, max, mean", "max, last, max"))
    with pytest.raises(ConfigError, match="'last'"):
        _skeleton(tmp_path, JUMPING.replace("last, max, mean", "lst"))


def test_a_slot_of_depth_zero_passes_its_input_on(host: Host, tmp_path: Path) -> None:
    slots = """  a: {from: input, blocks: [toy.plain], width: 5}
  b: {from: a, blocks: [toy.fixed], depth: [0, 1]}
"""
    supernet = _randomised(_build(host, tmp_path, slots))
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    outputs = []
    for depth in (0, 1):
        model = supernet.extract(supernet.space.canonical({"b.depth": depth, "a.blocks.0.kernel": 3}))
        outputs.append(model(x))
    assert not torch.equal(*outputs)
    assert supernet.space.size() == 4


def test_stars_take_every_fitting_block_in_order_of_name(host: Host, tmp_path: Path) -> None:
    slots = """  a: {from: input, blocks: ["*"], width: 5, stride: 2}
  b: {from: a, blocks: ["*"], width: 5}
"""
    supernet = _build(host, tmp_path, slots)
    assert "a.blocks.0.choice" not in supernet.space.dimensions  # only toy.plain can down-sample
    assert supernet.space.dimensions["b.blocks.0.choice"].choices == ("toy.fixed", "toy.plain")


def test_options_reach_the_block_and_rules_the_space(host: Host, tmp_path: Path) -> None:
    slots = """  a: {from: input, blocks: [toy.plain], width: [5, 7]}
  b: {from: a, blocks: [{toy.plain: {kernel: [1, 3, 5]}}], width: 5}
"""
    supernet = _build(host, tmp_path, slots, "output: b\nforbid: [{a.width: 7, b.blocks.0.kernel: [3, 5]}]\n")
    assert supernet.space.dimensions["b.blocks.0.kernel"].choices == (1, 3, 5)
    assert supernet.space.size() == 2 * (3 + 1)


ONLY = """output: b
only:
  a.width: 5
  b.depth: [2, 3]
  b.blocks.0.choice: [toy.fixed]
  b.blocks.1.toy_plain.kernel: [3]
"""


def test_a_narrower_space_holds_the_kept_choices_and_extracts_the_same_networks(host: Host, tmp_path: Path) -> None:
    whole, narrow = _randomised(_build(host, tmp_path, TWO)), _randomised(_build(host, tmp_path, TWO, ONLY))
    # Kernel of a, three widths of b, and per depth: block 0 is fixed, block 1 two choices, block 2 three.
    assert narrow.space.size() == 2 * 3 * (2 + 2 * 3)
    assert "b.blocks.0.toy_plain.kernel" not in narrow.space.dimensions
    assert narrow.active in set(narrow.space.enumerate())
    x = torch.randn(2, 3, 9, 7, dtype=torch.float64)
    rng = np.random.default_rng(0)
    for _ in range(10):
        architecture, other = narrow.space.sample(rng), narrow.space.sample(rng)
        assert architecture["a.width"] == 5
        narrow.activate(architecture)
        assert narrow.active == architecture
        expected = narrow(x)
        narrow.activate(other)
        torch.testing.assert_close(narrow.extract(architecture)(x), expected, rtol=0, atol=1e-12)
        assert narrow.active == other
        torch.testing.assert_close(whole.extract(whole.space.canonical(architecture))(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a.widht: [5]", r"only.a.widht: unknown dimension 'a.widht'. Did you mean 'a.width'"),
        ("a.width: [6]", r"only.a.width: 6 is not a choice of Ordinal\(5, 7\)"),
        (
            "b.blocks.0.choice: toy.plan",
            r"only.b.blocks.0.choice: 'toy.plan' is not a choice .* Did you mean 'toy.plain'",
        ),
        ("a.width: []", r"only.a.width"),
        ("a.width: {at: 5}", r"only.a.width"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_file_and_line(
    host: Host, tmp_path: Path, entry: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"space.yaml:8: {message}"):
        _build(host, tmp_path, TWO, f"output: b\nonly:\n  {entry}\n")
    with pytest.raises(ConfigError, match=r"space.yaml:\d+: only: .*exclude every architecture"):
        _build(host, tmp_path, TWO, "output: b\nforbid: [{a.width: 5, b.depth: 1}]\nonly: {a.width: 5, b.depth: 1}\n")


def test_weights_save_and_load_and_foreign_ones_are_refused(host: Host, tmp_path: Path) -> None:
    supernet, again = _randomised(_build(host, tmp_path, TWO)), _build(host, tmp_path, TWO).double()
    supernet.save(tmp_path / "weights.safetensors")
    again.load(tmp_path / "weights.safetensors")
    for key, value in supernet.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    other = _build(host, tmp_path, TWO.replace("[5, 7]", "[5, 8]"))
    with pytest.raises(UserError, match="belong to another search space"):
        other.load(tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="no such file"):
        other.load(tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:200])
    with pytest.raises(UserError, match="damaged or foreign"):
        again.load(tmp_path / "half.safetensors")


BAD: Mapping[str, tuple[str, str, str]] = {
    "unknown block": (
        "blocks: [toy.plain, toy.fixed]",
        "blocks: [toy.plane]",
        "unknown family 'toy.plane'.*Did you mean 'toy.plain'",
    ),
    "wrong signal": (
        "blocks: [toy.plain, toy.fixed]",
        "blocks: [toy.graph]",
        "takes graph, here comes image. Fitting: toy.fixed, toy.plain",
    ),
    "twice": ("blocks: [toy.plain, toy.fixed]", "blocks: [toy.plain, toy.plain]", "stands here twice"),
    "unknown option": (
        "[toy.plain, toy.fixed]",
        "[{toy.plain: {kernle: 3}}]",
        "toy.plain has no option 'kernle'. Did you mean 'kernel'",
    ),
    "wrong option": ("[toy.plain, toy.fixed]", "[{toy.plain: {kernel: [5, 3]}}]", "choices must increase"),
    "stride": (
        "blocks: [toy.plain], width: [5, 7], stride: 2",
        "blocks: [toy.fixed], width: 5, stride: 2",
        "cannot down-sample",
    ),
    "depth 0": ("depth: [1, 2, 3]", "depth: [0, 1]", "stride 1 and no width of its own"),
    "width of": ("width: [6, 9, 11]", "width: c", "no slot before this one is called 'c'"),
    "head": ("[6, 9, 11]", "6", ""),
}


@pytest.mark.parametrize("case", [c for c in BAD if BAD[c][2]])
def test_blocks_that_do_not_fit_are_refused_with_file_and_line(host: Host, tmp_path: Path, case: str) -> None:
    old, new, message = BAD[case]
    assert old in TWO
    with pytest.raises(UserError, match=rf"space.yaml:[45]: .*{message}"):
        _build(host, tmp_path, TWO.replace(old, new))


def test_heads_are_checked(host: Host, tmp_path: Path) -> None:
    model = _build(host, tmp_path, TWO, "output: b\nhead: {toy.head: {hidden: 9}}\n")
    assert model.network.head.layers[0].out_features == 9
    assert head_slot(model.network, model.space) == {}
    with pytest.raises(ConfigError, match="a head here maps image to logits"):
        _build(host, tmp_path, TWO, "output: b\nhead: toy.plain\n")


def test_heads_compete(host: Host, tmp_path: Path) -> None:
    model = _build(host, tmp_path, TWO, "output: b\nhead: [auto, {toy.head: {hidden: 9}}]\n")
    assert model.space.dimensions["head.choice"].choices == ("auto", "toy.head")
    x = torch.randn(2, 3, 8, 8)
    outputs = []
    for head in ("auto", "toy.head"):
        architecture = model.space.architecture({**model.space.largest(), "head.choice": head})
        model.activate(architecture)
        outputs.append(model.eval()(x))
        assert torch.equal(model.extract(architecture)(x), outputs[-1])
    assert outputs[0].shape == outputs[1].shape == (2, 4)
    assert not torch.allclose(*outputs)
    assert "head" not in family_slots(model.network, model.space)  # an option: families take turns in slots
    heads = head_slot(model.network, model.space)["head"]
    assert heads.dimensions == ("head.choice",)
    assert heads.families == ["auto", "toy.head"]
    assert (
        heads.weights["toy.head"] == sum(p.numel() for p in model.network.head.candidate("toy.head").parameters()) > 0
    )
    assert head_slot(model.network, restrict(model.space, {"head.choice": ["auto"]})) == {}
    with pytest.raises(ConfigError, match=r"space.yaml:\d+: head: 'toy.head' stands here twice"):
        _build(host, tmp_path, TWO, "output: b\nhead: [toy.head, {toy.head: {hidden: 9}}]\n")
    with pytest.raises(ConfigError, match="exactly one block name"):
        _build(host, tmp_path, TWO, "output: b\nhead: [{toy.head: {hidden: 9}, auto: {}}]\n")


def test_unknown_rule_names_and_unequal_sums_are_refused(host: Host, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"space.yaml:\d+: forbid: .*unknown dimension 'a.widht'. Did you mean 'a.width'"
    ):
        _build(host, tmp_path, TWO, "output: b\nforbid: [{a.widht: 5}]\n")
    slots = TWO + "  c: {from: [a, b], merge: sum, blocks: [toy.plain]}\n"
    with pytest.raises(ConfigError, match="couple them with 'width: a' in 'b'"):
        _build(host, tmp_path, slots, "output: c\n")
    slots = TWO + "  c: {from: [input, b], merge: concat, blocks: [toy.plain]}\n"
    with pytest.raises(ConfigError, match="give them the same strides"):
        _build(host, tmp_path, slots, "output: c\n")


def test_unknown_spaces_offer_the_nearest(host: Host, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown space 'image/tinny'"):
        load_skeleton("image/tinny", host)
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such file"):
        load_skeleton(str(tmp_path / "nowhere.yaml"), host)


def test_the_signal_of_task_and_space_must_agree(host: Host, tmp_path: Path) -> None:
    task = ToyTask()
    task.signal = "graph"
    with pytest.raises(ConfigError, match="takes the signal 'image', the task gives 'graph'"):
        build_supernet(_skeleton(tmp_path, TWO), task, host)  # type: ignore[arg-type]
