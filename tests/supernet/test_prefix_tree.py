"""What is shared between networks, and that sharing changes no bit."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from automl.supernet import ImageFormat
from automl.supernet.network import SkeletonNetwork, SlotNetwork
from automl.supernet.prefix_tree import PrefixTree, payload_bytes
from automl.supernet.same_module import same_module
from automl.supernet.segments import cut_network

MEGABYTE = 1 << 20


def chain(*slots: list[nn.Module], head: nn.Module, **sources: tuple[str, ...]) -> SkeletonNetwork:
    """Slots one after another unless ``sources`` says otherwise."""
    names = [f"s{i}" for i in range(len(slots))]
    built = {
        name: SlotNetwork(nn.Sequential(*blocks), width=4, depth=len(blocks), payload=ImageFormat(), merge="sum")
        for name, blocks in zip(names, slots, strict=True)
    }
    wiring = {name: sources.get(name, (names[i - 1] if i else "input",)) for i, name in enumerate(names)}
    network = SkeletonNetwork(built, sources=wiring, output=names[-1], head=head, payload=ImageFormat())
    return network.eval()


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.mean((2, 3)))
        return y


class Raising(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ArithmeticError("no")


class Counting(nn.Module):
    """Counts in a list that copies share, so that equal networks count together."""

    calls: list[int] = []  # noqa: RUF012  # one list for all copies is the point

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(1)
        return x * 2


def conv(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Conv2d(4, 4, 3, padding=1)


def head() -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(99)
        return Head()


def x() -> Tensor:
    return torch.randn(5, 4, 7, 6, generator=torch.Generator().manual_seed(1))


def run(networks: list[nn.Module], memory: int = MEGABYTE) -> tuple[PrefixTree, dict[int, Tensor]]:
    tree = PrefixTree(networks, memory=memory)
    with torch.no_grad():
        return tree, tree.run((x(),))


def expect_as_alone(networks: list[nn.Module], outputs: dict[int, Tensor]) -> None:
    with torch.no_grad():
        for number, network in enumerate(networks):
            torch.testing.assert_close(outputs[number], network(x()), rtol=0, atol=0)


@pytest.mark.parametrize("change", [lambda m: m.weight.data[0].add_(1e-7), lambda m: setattr(m, "padding", (2, 2))])
def test_modules_with_any_difference_are_not_the_same(change: Callable[[nn.Conv2d], object]) -> None:
    first, second = conv(1), conv(1)
    assert same_module(first, second)
    change(second)  # type: ignore[arg-type]
    assert not same_module(first, second)


def test_what_cannot_be_looked_into_counts_as_different() -> None:
    def holder(value: object) -> nn.Module:
        module = nn.Identity()
        module.value = value  # type: ignore[assignment]
        return module

    assert same_module(holder(functools.partial(max, 1)), holder(functools.partial(max, 1)))
    assert not same_module(holder(functools.partial(max, 1)), holder(functools.partial(max, 2)))
    assert not same_module(holder(lambda: 1), holder(lambda: 1))
    assert not same_module(holder(0.0), holder(-0.0))
    assert not same_module(holder(part for part in ()), holder(part for part in ()))
    hooked = conv(1)
    hooked.register_forward_hook(lambda *_: None)
    assert not same_module(hooked, hooked)


def test_tied_parts_are_not_the_same_as_equal_untied_ones() -> None:
    layer = conv(1)
    assert not same_module(nn.Sequential(layer, layer), nn.Sequential(conv(1), conv(1)))
    assert same_module(nn.Sequential(layer, layer), copy.deepcopy(nn.Sequential(layer, layer)))


def test_networks_are_cut_behind_blocks_on_the_chain_and_never_inside_parallel_paths() -> None:
    straight = chain([conv(1), nn.ReLU()], [conv(2)], head=head())
    assert len(cut_network(straight)) == 1 + 2 + 1 + 1
    branched = chain([conv(1)], [conv(2)], [conv(3)], [conv(4)], head=head(), s2=("s0",), s3=("s1", "s2"))
    segments = cut_network(branched)
    assert len(segments) == 1 + 1 + 1 + 1  # input, s0, everything between s0 and s3, head
    for network in (straight, branched):
        value: object = (x(),)
        for segment in cut_network(network):
            value = segment(value)
        assert isinstance(value, Tensor)
        assert torch.equal(value, network(x()))


def test_other_networks_and_modules_that_occur_twice_are_not_cut() -> None:
    shared = nn.BatchNorm2d(4)
    assert len(cut_network(nn.Sequential(conv(1), conv(2)))) == 1
    assert len(cut_network(chain([shared], [conv(1), shared], head=head()))) == 1


def test_a_common_prefix_runs_once_and_outputs_are_those_of_each_alone() -> None:
    networks: list[nn.Module] = [
        chain([Counting()], [conv(1), conv(2)], head=head()),
        chain([Counting()], [conv(1), conv(3)], head=head()),
        chain([Counting()], [conv(1)], head=head()),
        chain([Counting()], [conv(4)], head=head()),
        chain([Counting()], [conv(1), conv(2)], head=head()),
    ]
    Counting.calls.clear()
    tree, outputs = run(networks)
    assert len(Counting.calls) == 1
    assert tree.shared > 0.5
    expect_as_alone(networks, outputs)


@pytest.mark.parametrize("values", [0, 1, 2])
def test_no_more_memory_is_used_than_allowed(values: int) -> None:
    networks: list[nn.Module] = [chain([conv(0)], [conv(i // 2), conv(i)], head=head()) for i in range(4)]
    one = payload_bytes(x())
    tree, outputs = run(networks, memory=values * one)
    assert tree.held <= values * one
    assert (tree.held > 0) == (values > 0)
    expect_as_alone(networks, outputs)


def test_a_network_that_raises_touches_no_other() -> None:
    networks: list[nn.Module] = [
        chain([conv(0)], [conv(1)], head=head()),
        chain([conv(0)], [Raising()], head=head()),
        chain([conv(0)], [conv(2)], head=head()),
    ]
    _, outputs = run(networks)
    assert isinstance(outputs.pop(1), ArithmeticError)
    for number, output in outputs.items():
        torch.testing.assert_close(output, networks[number](x()), rtol=0, atol=0)


@pytest.mark.parametrize("memory", [MEGABYTE, 1])
def test_blocks_that_write_into_their_input_are_noticed(memory: int) -> None:
    networks: list[nn.Module] = [
        chain([conv(0)], [nn.ReLU(inplace=True), conv(1)], head=head()),
        chain([conv(0)], [conv(2)], head=head()),
    ]
    _, outputs = run(networks, memory)
    wrong = [n for n, output in outputs.items() if not isinstance(output, Exception)]
    for number in wrong:
        torch.testing.assert_close(outputs[number], networks[number](x()), rtol=0, atol=0)
    if memory == MEGABYTE:
        assert "in place" in str(outputs[1])


def test_only_wanted_networks_run() -> None:
    networks: list[nn.Module] = [chain([Raising()], head=head()), chain([conv(0)], head=head())]
    tree = PrefixTree(networks, memory=MEGABYTE)
    assert set(tree.run((x(),), [1])) == {1}
