"""Parts, their keys, and the sessions that time them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.objectives import Candidate
from automl.objectives.prediction.cover import covering_architectures
from automl.objectives.prediction.parts import part_paths, parts_of
from automl.objectives.prediction.profiling import drift, interleaved_parts
from automl.objectives.prediction.structure import signature, structure
from automl.objectives.runtimes import Eager, OnnxRuntime, PartSession
from automl.objectives.runtimes.onnx_conversion import part_of_name, to_onnx
from automl.objectives.runtimes.part_session import HookedSession
from automl.space import Architecture
from automl.supernet import Supernet
from automl.testing.weights import randomise

Network = Callable[[Architecture], Candidate]


def test_keys_do_not_depend_on_weights_but_on_work(supernet: Supernet, network: Network) -> None:
    largest, smallest = supernet.space.largest(), supernet.space.smallest()
    before = [part.key for part in parts_of(network(largest).model, network(largest).example_inputs(1))]
    randomise(supernet, 5)
    candidate = network(largest)
    assert [part.key for part in parts_of(candidate.model, candidate.example_inputs(1))] == before
    assert [part.key for part in parts_of(candidate.model, candidate.example_inputs(2))] != before
    small = network(smallest)
    assert not {p.key for p in parts_of(small.model, small.example_inputs(1)) if p.path} & set(before)


def test_parts_are_all_blocks_and_the_head_of_a_network_of_slots(network: Network, supernet: Supernet) -> None:
    candidate = network(supernet.space.largest())
    paths = part_paths(candidate.model)
    assert paths[0] == ""
    assert paths[-1] == "head"
    assert {p.path for p in parts_of(candidate.model, candidate.example_inputs(1))} == set(paths)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in candidate.model.modules())
    assert part_paths(nn.Sequential(nn.ReLU())) == [""]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3, stride=2)),
        (nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=2)),
        (nn.Linear(2, 3), nn.Linear(2, 3, bias=False)),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU())),
        (nn.ReLU(), nn.Tanh()),
    ],
)
def test_structures_of_different_work_differ(one: nn.Module, two: nn.Module) -> None:
    assert structure(one) != structure(two)
    assert structure(one) == structure(one)


def test_structures_hold_no_addresses() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.function = torch.relu
            self.inner = {"object": object(), "list": [1, (2, None)]}

    assert structure(Odd()) == structure(Odd())
    assert "0x" not in structure(Odd())


def test_signatures_follow_containers() -> None:
    class Payload:
        def __init__(self, x: Tensor) -> None:
            self.x, self.hops = x, 3

    assert signature(Payload(torch.zeros(2, 5))) == "Payload{x: float32[2, 5], hops: 3}"
    assert signature({"a": torch.zeros(1, dtype=torch.int64)}) == "{a: int64[1]}"
    assert signature(torch.zeros(2, 2).to_sparse()) == "sparse_coo float32[2, 2]"


def test_hooks_count_the_time_of_an_inner_part_once() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            tick(5)
            return x

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: Tensor) -> Tensor:
            tick(2)
            x = self.inner(self.inner(x))
            tick(3)
            return x

    now = 0.0

    def tick(seconds: float) -> None:
        nonlocal now
        now += seconds

    model = Outer()
    session = HookedSession(model, (torch.zeros(1),), ["", "inner"], clock=lambda: now)
    session.run()
    session.whole()
    session.run()
    assert session.finish() == [{"": 5.0, "inner": 10.0}] * 2
    assert not model._forward_hooks
    assert not model.inner._forward_pre_hooks


def test_hooks_are_gone_after_a_network_that_raises() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    session = HookedSession(model, (torch.zeros(1, 7),), ["", "0"])
    with pytest.raises(RuntimeError):
        session.run()
    assert not model[0]._forward_hooks
    assert not model._forward_pre_hooks


@pytest.mark.parametrize("runtime", [Eager(), OnnxRuntime()], ids=lambda r: r.name)
def test_runtimes_see_every_part_and_miss_no_run(
    runtime: Eager | OnnxRuntime, network: Network, supernet: Supernet
) -> None:
    candidate = network(supernet.space.smallest())
    paths = part_paths(candidate.model)
    session = runtime.prepare_parts(
        candidate.model, candidate.example_inputs(2), threads=1, trace=candidate.trace, parts=paths
    )
    (inside,) = interleaved_parts([session], repeats=4, warmup=1, budget=60)
    assert not isinstance(inside, Exception)
    assert len(inside.parts) == len(inside.whole) == 4
    for times in inside.parts:
        assert list(times) == paths
        assert all(seconds > 0 for path, seconds in times.items() if path)


def test_marked_names_say_the_part_and_change_no_number(network: Network, supernet: Supernet) -> None:
    import onnxruntime

    candidate = network(supernet.space.smallest())
    paths = part_paths(candidate.model)
    marked = to_onnx(candidate.model, candidate.trace(), paths)
    found = {part_of_name(node.name) for node in marked.graph.node}
    assert None not in found
    assert {paths[i] for i in found if i is not None} >= set(paths[1:])
    (images,) = candidate.example_inputs(3)
    session = onnxruntime.InferenceSession(marked.SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {candidate.task.input_names[0]: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), candidate.model(images).detach(), rtol=1e-4, atol=1e-4)


def test_networks_are_timed_in_turns() -> None:
    order: list[str] = []
    ticks = count()

    class Spy(PartSession):
        def __init__(self, name: str) -> None:
            self.name = name
            self.whole = lambda: order.append(name)

        def run(self) -> None:
            order.append(self.name.lower())
            if self.name == "B" and order.count("b") == 2:
                raise RuntimeError("B fails in its second round")

        def finish(self) -> list[dict[str, float]]:
            return [{"": 1.0}] * order.count(self.name.lower())

    first, second = interleaved_parts(
        [Spy("A"), Spy("B")], repeats=3, warmup=1, budget=1e9, clock=lambda: float(next(ticks))
    )
    assert "".join(order) == "AB" + "AAaBBb" + "AAaBBb" + "AAa"
    assert not isinstance(first, Exception)
    assert first.whole == [1.0, 1.0, 1.0]
    assert isinstance(second, RuntimeError)


def test_drift_needs_enough_that_is_known() -> None:
    assert drift({"a": 1.0}, {"a": [2.0], "b": [100.0]}) == 1.0
    assert drift({"a": 1.0}, {"a": [2.0, 2.0], "b": [4.0]}) == 0.5
    assert drift({}, {"b": [4.0]}) == 1.0


def test_covering_networks_hold_every_block_that_random_networks_have(supernet: Supernet, network: Network) -> None:
    def keys(architecture: Architecture) -> set[str]:
        candidate = network(architecture)
        return {part.key for part in parts_of(candidate.model, candidate.example_inputs(1))}

    architectures = list(covering_architectures(supernet))
    assert architectures == list(covering_architectures(supernet))
    assert len(set(architectures)) == len(architectures) < 30
    covered = set().union(*map(keys, architectures))
    rng = np.random.default_rng(3)
    for _ in range(40):
        assert keys(supernet.space.sample(rng)) <= covered


def test_networks_of_a_narrower_space_hold_all_that_it_keeps(supernet: Supernet) -> None:
    """As a limit of memory leaves families out."""
    whole = supernet.space
    only: dict[str, list[Any]] = {}
    for name, dimension in whole.dimensions.items():
        if name.endswith(".choice"):
            only[name] = [dimension.choices[0]]
        elif len(dimension.choices) > 2:
            only[name] = list(dimension.choices[:-1])
    assert any(name.endswith(".choice") for name in only)
    assert any(not name.endswith(".choice") for name in only)
    narrow = Supernet(supernet.network, only=only)
    assert set(narrow.space.names) < set(whole.names)  # those of blocks beyond the greatest depth are gone
    architectures = list(covering_architectures(narrow))
    # Depths say how many blocks there are, and are no setting of any.
    of_blocks = {name: dimension for name, dimension in narrow.space.dimensions.items() if not name.endswith(".depth")}
    found = {pair for architecture in architectures for pair in architecture.items() if pair[0] in of_blocks}
    assert found == {(name, choice) for name, dimension in of_blocks.items() for choice in dimension.choices}
