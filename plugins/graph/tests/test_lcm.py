"""Learnable commutative monoids: the laws, the ragged tree, the regularisers, elastic gates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from automl_graph.aggregators import (
    AGGREGATORS,
    ExactAggregator,
    LCMAggregator,
    RecurrentAggregator,
    build_aggregator,
)
from automl_graph.aggregators.cells import CELLS, CommutativeOperator
from automl_graph.aggregators.regularisers import associativity_loss, order_loss
from automl_graph.aggregators.segments import Operator, Segments, balanced_tree, left_fold
from automl_graph.blocks import LCM
from automl_graph.probes import AlgebraDefect
from automl_graph.pyg import scatter
from automl_graph.signal import Graph, GraphFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl import elastic
from automl.elastic import specialise
from automl.errors import SpaceError
from automl.space import Ordinal
from automl.supernet import auxiliary_losses

WIDTH = 5


def messages(count: int, width: int = WIDTH, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fold(x: Tensor, index: Tensor, size: int, operator: Operator, kind: str = "balanced") -> Tensor:
    segments = Segments.of(x, index, size, limit=1024, shuffle=False)
    return balanced_tree(segments, operator) if kind == "balanced" else left_fold(segments, operator, start=False)


def random_operator(cell: str = "gru", width: int = WIDTH, seed: int = 1) -> CommutativeOperator:
    torch.manual_seed(seed)
    return CommutativeOperator(width, cell).double()


class Counting:
    """Adds, and counts how often and in how many calls it is applied."""

    def __init__(self) -> None:
        self.rows = self.calls = 0

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        self.rows, self.calls = self.rows + len(a), self.calls + 1
        return a + b


@pytest.mark.parametrize("cell", CELLS)
def test_operator_is_commutative(cell: str) -> None:  # check 1
    operator, a, b = random_operator(cell), messages(7, seed=2), messages(7, seed=3)
    assert torch.equal(operator(a, b), operator(b, a))
    assert not torch.equal(operator.cell(a, b), operator.cell(b, a))


def test_gate_without_weights_halves_the_average() -> None:  # check 2
    operator = random_operator()
    for parameter in operator.parameters():
        nn.init.zeros_(parameter)
    a, b = messages(3, seed=2), messages(3, seed=3)
    torch.testing.assert_close(operator(a, b), (a + b) / 4)
    for power in (1, 2, 4):
        x = messages(2**power)
        index = torch.zeros(len(x), dtype=torch.int64)
        torch.testing.assert_close(fold(x, index, 1, operator), x.sum(0, keepdim=True) / 4**power)
    x = messages(3)  # the third message passes one level without a partner, so it weighs more
    expected = (x[:2].sum(0) / 4 + x[2]) / 4
    torch.testing.assert_close(fold(x, torch.zeros(3, dtype=torch.int64), 1, operator)[0], expected)
    x = messages(4)  # an unbalanced tree gives the first two messages the least weight
    expected = (((x[0] + x[1]) / 4 + x[2]) / 4 + x[3]) / 4
    folded = fold(x, torch.zeros(4, dtype=torch.int64), 1, operator, "left_fold")
    torch.testing.assert_close(folded[0], expected)


@pytest.mark.parametrize(("count", "depth"), [(1, 0), (2, 1), (3, 2), (5, 3), (64, 6), (1000, 10), (1024, 10)])
def test_tree_has_logarithmic_depth_and_one_application_less_than_messages(count: int, depth: int) -> None:  # check 3
    operator = Counting()
    x = messages(count)
    combined = fold(x, torch.zeros(count, dtype=torch.int64), 1, operator)
    assert (operator.calls, operator.rows) == (depth, count - 1)
    torch.testing.assert_close(combined[0], x.sum(0))
    if count == 1:
        assert torch.equal(combined, x)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_result_of_a_node_does_not_depend_on_others(name: str) -> None:  # check 4
    torch.manual_seed(0)
    aggregate = build_aggregator("aggregation", name, WIDTH, max_messages=128).double().eval()
    own, crowd = messages(3, seed=4), messages(100, seed=5)
    alone = aggregate(own, torch.zeros(3, dtype=torch.int64), 1)
    index = torch.cat([torch.zeros(50), torch.ones(3), torch.zeros(50)]).long()
    together = aggregate(torch.cat([crowd[:50], own, crowd[50:]]), index, 2)
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-14)


def test_number_of_parameters() -> None:  # check 5
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert count(LCMAggregator(128)) == 6 * 128**2 + 6 * 128 == 99_072
    with_projection = LCM(7, 128, aggregation="lcm")
    assert count(with_projection.aggregate) + count(with_projection.message) == 99_072 + 7 * 128 + 128


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40), st.integers(0, 2**16), st.sampled_from(["balanced", "left_fold"]))
def test_fixed_operators_give_sum_and_maximum_of_ragged_segments(
    index: list[int], seed: int, kind: str
) -> None:  # check 6
    x, target = messages(len(index), seed=seed), torch.tensor(index, dtype=torch.int64)
    total = scatter(x, target, dim=0, dim_size=7, reduce="sum")
    torch.testing.assert_close(fold(x, target, 7, torch.add, kind), total, rtol=0, atol=1e-12)
    largest = scatter(x, target, dim=0, dim_size=7, reduce="max")
    assert torch.equal(fold(x, target, 7, torch.maximum, kind), largest)


def test_aggregators_of_torch_geometric_agree_on_sum_and_max() -> None:  # check 6
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.nn import MaxAggregation, SumAggregation

    index = torch.tensor([0, 0, 0, 2, 2, 3, 3, 3, 3, 3])
    x = messages(len(index))
    torch.testing.assert_close(fold(x, index, 5, torch.add), SumAggregation()(x, index, dim_size=5))
    assert torch.equal(fold(x, index, 5, torch.maximum), MaxAggregation()(x, index, dim_size=5))


def test_probe_is_zero_for_monoids_and_not_for_a_random_cell() -> None:  # check 7
    states = messages(50)
    torch.manual_seed(0)
    exact = ExactAggregator(WIDTH).double()
    nn.init.normal_(exact.rate.weight)
    probe = AlgebraDefect()
    for operator in (torch.add, torch.maximum, exact.combine):
        assert probe(operator, states) < 1e-5
    assert probe(random_operator(), states) > 0.05
    with pytest.raises(SpaceError, match="triples: 0"):
        AlgebraDefect(triples=0)


def test_probe_and_losses_have_the_values_of_operators_that_break_the_laws() -> None:  # check 7
    """With equal states s and ``a + b = 2 a + b``, ``(s + s) + s`` is 7 s and ``s + (s + s)`` is 5 s."""

    def lopsided(a: Tensor, b: Tensor) -> Tensor:
        return 2 * a + b

    states = torch.tensor([[1.0, -3.0, 2.0]], dtype=torch.float64).expand(6, 3)
    for length in (1, 1000):
        assert AlgebraDefect()(lopsided, length * states) == pytest.approx(2 / 7)
    square = float((2 * states[0]).square().mean())
    assert float(associativity_loss(lopsided, [states[:2], states[2:]])) == pytest.approx(square)
    assert float(associativity_loss(lambda a, b: (a + b) / 2, [states])) == pytest.approx(0, abs=1e-25)


def test_loss_on_orders_swaps_two_messages_after_the_same_state() -> None:
    """With ``f(h, x) = 2 h + x`` two orders differ by ``x - y``, whatever the state is; with a sum they do not."""
    x, state = torch.tensor([[0.0], [3.0]], dtype=torch.float64), torch.full((4, 1), 1e3, dtype=torch.float64)
    torch.manual_seed(0)
    values = [float(order_loss(lambda message, h: 2 * h + message, x, [state])) for _ in range(50)]
    assert np.mean(values) == pytest.approx(9 / 2, rel=0.1)  # drawn with repetition: half of the pairs differ
    assert float(order_loss(torch.add, x, [state])) == 0


def trained(weight: float, seed: int) -> tuple[LCMAggregator, nn.Module]:
    """Learns to tell the maximum of sets of numbers, with a weight on associativity; also returns what makes the messages."""
    torch.manual_seed(seed)
    module = LCMAggregator(8, associativity=weight)
    out, enter = nn.Linear(8, 1), nn.Sequential(nn.Linear(1, 8), nn.Tanh())
    optimiser = torch.optim.Adam([*module.parameters(), *out.parameters(), *enter.parameters()], lr=0.01)
    index = torch.arange(16).repeat_interleave(6)
    for _ in range(100):
        x = torch.randn(96, 1)
        with auxiliary_losses() as losses:
            found = out(module(enter(x), index, 16))
        loss = (found - x.view(16, 6).amax(1, keepdim=True)).square().mean()
        optimiser.zero_grad()
        (loss + sum(losses)).backward()
        optimiser.step()
    return module.eval(), enter


def spread(module: nn.Module, x: Tensor) -> float:
    """Deviation of the output over 20 random orders of the messages, relative to its size."""
    index = torch.zeros(len(x), dtype=torch.int64)
    with torch.no_grad():
        orders = [torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)) for seed in range(20)]
        results = torch.stack([module(x[order], index, 1)[0] for order in orders])
    return float(results.std(0).mean() / results.abs().mean())


def test_regulariser_lowers_defect_and_spread() -> None:  # checks 7 and 8
    """On messages like those of the training, four times as many as there; means over three trainings."""
    numbers = torch.randn(24, 1, generator=torch.Generator().manual_seed(9))
    defects: dict[float, list[float]] = {0.0: [], 10.0: []}
    spreads: dict[float, list[float]] = {0.0: [], 10.0: []}
    for weight in defects:
        for seed in range(3):
            module, enter = trained(weight, seed)
            x = enter(numbers).detach()
            defects[weight].append(AlgebraDefect()(module.operator, x))
            spreads[weight].append(spread(module, x))
    assert np.mean(defects[10.0]) < 0.5 * np.mean(defects[0.0])
    assert np.mean(spreads[10.0]) < 0.8 * np.mean(spreads[0.0])


def test_spread_is_zero_for_exact_monoids_and_larger_for_a_left_fold() -> None:  # check 8
    assert spread(ExactAggregator(8).double(), messages(24, 8)) < 1e-12
    balanced, folded = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        module = LCMAggregator(8).double().eval()
        other = LCMAggregator(8, tree="left_fold").double().eval()
        other.load_state_dict(module.state_dict())
        balanced.append(spread(module, messages(24, 8)))
        folded.append(spread(other, messages(24, 8)))
    assert np.mean(folded) > np.mean(balanced) > 1e-6


@pytest.mark.parametrize(
    ("count", "kind", "cells"),
    [
        (256, "balanced", [8] * 256),
        (256, "left_fold", [255, *range(255, 0, -1)]),
        (5, "balanced", [3, 3, 3, 3, 1]),
        (6, "balanced", [3, 3, 3, 3, 2, 2]),
    ],
)
def test_number_of_cells_between_each_message_and_the_result(
    count: int, kind: str, cells: list[int]
) -> None:  # check 9: a mean of two halves the gradient in each cell
    x = messages(count, 1).requires_grad_()
    fold(x, torch.zeros(count, dtype=torch.int64), 1, lambda a, b: (a + b) / 2, kind).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(-x.grad[:, 0].log2(), torch.tensor(cells, dtype=torch.float64), rtol=0, atol=1e-9)


def test_gradient_of_the_first_message_survives_many_others() -> None:  # check 9
    count = 256
    norms = {}
    for name in ("lcm", "gru"):
        torch.manual_seed(0)
        aggregate = build_aggregator("aggregation", name, 8, max_messages=count).double().eval()
        x = messages(count, 8).requires_grad_()
        aggregate(x, torch.zeros(count, dtype=torch.int64), 1).sum().backward()
        assert x.grad is not None
        norms[name] = x.grad.norm(dim=1)
    assert norms["lcm"][0] > 1e-8  # log2(256) = 8 cells lie between a message and the result
    assert norms["gru"][0] < 1e-3 * norms["lcm"][0]  # 256 cells for the first message


@pytest.mark.parametrize("name", AGGREGATORS)
def test_empty_segments_and_unsorted_index(name: str) -> None:  # check 10
    torch.manual_seed(0)
    aggregate = build_aggregator("aggregation", name, WIDTH, max_messages=16).double().eval()
    x, index = messages(6), torch.tensor([4, 1, 4, 2, 1, 4])
    found = aggregate(x, index, 6)
    assert torch.equal(found[[0, 3, 5]], torch.zeros(3, WIDTH, dtype=torch.float64))
    order = torch.sort(index, stable=True).indices
    torch.testing.assert_close(aggregate(x[order], index[order], 6), found)
    assert aggregate(x[:0], index[:0], 2).tolist() == [[0.0] * WIDTH] * 2
    assert aggregate(x[:0], index[:0], 0).shape == (0, WIDTH)


def test_narrow_cell_takes_a_part_of_each_gate() -> None:  # check 11
    width = Ordinal(64, 128)
    cell = elastic.GRUCell(width, width)
    width.value = 64
    plain = specialise(cell)
    rows = torch.cat([torch.arange(64), torch.arange(128, 192), torch.arange(256, 320)])
    assert torch.equal(plain.weight_ih, cell.weight_ih[rows][:, :64])
    assert torch.equal(plain.weight_hh, cell.weight_hh[rows][:, :64])
    assert torch.equal(plain.bias_ih, cell.bias_ih[rows])
    assert torch.equal(plain.bias_hh, cell.bias_hh[rows])
    x, h = torch.randn(3, 64), torch.randn(3, 64)
    torch.testing.assert_close(cell(x, h), plain(x, h))


def test_recurrent_aggregator_equals_a_loop_over_the_cell() -> None:
    torch.manual_seed(0)
    module = RecurrentAggregator(WIDTH).double().eval()
    index = torch.tensor([2, 0, 2, 2, 0, 3])
    x = messages(len(index))
    expected = torch.zeros(5, WIDTH, dtype=torch.float64)
    for message, target in zip(x, index, strict=True):
        expected[target] = module.cell(message[None], expected[target][None].clone())[0]
    torch.testing.assert_close(module(x, index, 5), expected)


@pytest.mark.parametrize("tree", ["balanced", "left_fold"])
def test_messages_beyond_the_limit_do_not_count(tree: str) -> None:
    torch.manual_seed(0)
    module = LCMAggregator(WIDTH, tree=tree, max_messages=3).double().eval()
    index = torch.tensor([0, 0, 1, 0, 0, 1])
    x = messages(len(index))
    kept = torch.tensor([0, 1, 2, 3, 5])
    torch.testing.assert_close(module(x, index, 2), module(x[kept], index[kept], 2))
    with pytest.raises(SpaceError, match="limit of aggregation: 0"):
        build_aggregator("aggregation", "lcm", WIDTH, max_messages=0)


def test_training_shuffles_and_evaluation_does_not() -> None:
    torch.manual_seed(0)
    module = LCMAggregator(WIDTH).double()
    x, index = messages(9), torch.zeros(9, dtype=torch.int64)
    results = {tuple(module(x, index, 1)[0].tolist()) for _ in range(5)}
    assert len(results) > 1
    module.eval()
    assert torch.equal(module(x, index, 1), module(x, index, 1))


@pytest.mark.parametrize("name", ["lcm_reg", "gru_reg"])
def test_regularised_aggregators_add_a_loss_in_training_steps_only(name: str) -> None:
    torch.manual_seed(0)
    aggregate = build_aggregator("aggregation", name, WIDTH, max_messages=16).double()
    x, index = messages(9).requires_grad_(), torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2])
    with auxiliary_losses() as losses:
        aggregate(x, index, 4)
    (loss,) = losses
    assert float(loss.detach()) > 0
    loss.backward()
    assert x.grad is None  # the operator is trained, not what it is fed with
    assert all(p.grad is not None for p in aggregate.parameters())
    with auxiliary_losses() as losses:
        aggregate.eval()(x, index, 4)
        aggregate.train()(x[:0], index[:0], 4)
    assert not losses


def test_associativity_loss_is_zero_for_a_sum() -> None:
    assert float(associativity_loss(torch.add, [messages(9)])) < 1e-25


@pytest.mark.parametrize("name", AGGREGATORS)
@pytest.mark.parametrize("tree", ["balanced", "left_fold"])
def test_exported_aggregators_take_any_number_of_messages(name: str, tree: str) -> None:
    if tree == "left_fold" and not name.startswith("lcm"):
        pytest.skip("the tree is that of learned operators")
    torch.manual_seed(0)
    block = LCM(4, 3, aggregation=name, tree=tree, max_degree=8, residual=False)
    model = specialise(_Tensors(block)).double().eval()
    generator = torch.Generator().manual_seed(1)
    axes = ({0: torch.export.Dim("nodes")}, {1: torch.export.Dim("edges")})

    def example(nodes: int) -> tuple[Tensor, ...]:
        x, edges = GraphFormat().example(nodes, 4, generator)
        return x.double(), edges

    program = torch.export.export(model, example(7), dynamic_shapes=axes).module()
    for nodes in (2, 5, 40):
        inputs = example(nodes)
        with torch.no_grad():
            torch.testing.assert_close(program(*inputs), model(*inputs), rtol=0, atol=1e-12)


class _Tensors(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        features: Tensor = self.block(Graph(x, edge_index)).x
        return features


def test_unfit_options_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"aggregation: unknown value 'lmc'\. Did you mean 'lcm'"):
        LCM(3, 4, aggregation="lmc")
    with pytest.raises(SpaceError, match="cell: unknown value 'lstm'"):
        LCM(3, 4, cell="lstm")
    with pytest.raises(SpaceError, match="tree: unknown value 'right'"):
        LCM(3, 4, tree="right")


def test_depth_of_levels_follows_from_the_largest_segment() -> None:
    operator = Counting()
    index = torch.tensor([0] * 5 + [1] * 2 + [2] * 9)
    fold(messages(16), index, 3, operator)
    assert (operator.calls, operator.rows) == (math.ceil(math.log2(9)), 4 + 1 + 8)
