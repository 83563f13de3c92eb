"""The assembler learns from a survey whose answer is known: which choice each class needs, and what the budget allows."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from automl.assembling.atlas import Atlas
from automl.assembling.gates import DimensionGates
from automl.assembling.strategies import StrategyGenerator
from automl.assembling.survey import Survey
from automl.assembling.training import _tasks, cost_shares, task_code, train_assembler
from automl.space import Architecture, Categorical, Ordinal, SearchSpace

SPACE = SearchSpace.build(
    {"op": Categorical("first", "second"), "width": Ordinal(2, 4, 8, 16), "depth": Ordinal(1, 2, 3)}
)
CLASSES = 4


def survey() -> Survey:
    """``first`` tells the classes 0 and 1 apart, ``second`` 2 and 3; everything tells better apart what is wider or deeper."""
    architectures, target = list(SPACE.enumerate()), torch.arange(40) % CLASSES

    def logits(a: Architecture) -> torch.Tensor:
        margin = torch.tensor([0.0, 0.0]) + 0.2 * float(a["depth"]) + 0.1 * float(a["width"])
        margin[0 if a["op"] == "first" else 1] += 0.5
        return torch.nn.functional.one_hot(target, CLASSES) * margin[target // 2][:, None]

    return Survey(architectures, torch.stack([logits(a) for a in architectures]), target)


@pytest.mark.parametrize("classes", [[1, 3], [2, 0, 3], [0, 1, 2, 3]])
def test_a_soft_error_is_one_minus_the_mean_softmax_of_the_right_class_among_the_asked_ones(classes: list[int]) -> None:
    torch.manual_seed(2)
    logits, target = 40 * torch.randn(5, 23, CLASSES), torch.arange(23) % CLASSES
    known = Survey(list(SPACE.enumerate())[:5], logits, target)
    rows = [number for number, label in enumerate(target.tolist()) if label in classes]
    chances = logits.double()[:, rows][:, :, classes].softmax(-1)
    right = [chances[:, i, classes.index(int(target[row]))] for i, row in enumerate(rows)]
    torch.testing.assert_close(known.soft_errors(classes).double(), 1 - torch.stack(right).mean(0), atol=1e-6, rtol=0)


def test_neighbours_of_several_are_those_of_each_and_none_twice() -> None:
    known, gates = survey(), DimensionGates(SPACE)
    atlas = Atlas(gates, known, torch.linspace(0, 1, len(known.architectures)), CLASSES)
    rows = atlas.rows(known.architectures[3:6]).tolist()
    expected = {n for row in rows for n in SPACE.neighbours(atlas.architectures[row])}
    found = [atlas.architectures[row] for row in atlas.neighbours(*rows)]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_strategies_of_a_task_are_the_same_alone_and_among_others(tmp_path: Path) -> None:
    known, gates = survey(), DimensionGates(SPACE)
    costs = torch.tensor([float(a["width"]) ** 2 * float(a["depth"]) for a in known.architectures])
    assembler = train_assembler(
        known, costs, gates, classes=CLASSES, path=tmp_path / "macs.safetensors", identity="x", seed=1, steps=5
    )
    tasks = [[0, 1], [2, 3], [0, 3, 1], [0, 1, 2, 3]]
    together = StrategyGenerator(assembler, known, cost_shares(costs), CLASSES).many(tasks)
    for task, found in zip(tasks, together, strict=True):
        alone = StrategyGenerator(assembler, known, cost_shares(costs), CLASSES)(task)
        assert [(s.architecture, s.source) for s in found] == [(s.architecture, s.source) for s in alone]
        np.testing.assert_allclose([s.expected for s in found], [s.expected for s in alone], atol=1e-9)
        np.testing.assert_allclose([s.cost for s in found], [s.cost for s in alone], atol=1e-9)


def test_tasks_that_were_not_trained_on_are_answered_as_well_as_others(tmp_path: Path) -> None:
    """Nine classes in two groups; each choice tells the classes of its group apart. Most subsets are never drawn."""
    classes, architectures, target = 9, list(SPACE.enumerate()), torch.arange(90) % 9

    def logits(a: Architecture) -> torch.Tensor:
        margin = torch.full((classes,), 0.1 * float(a["depth"]) + 0.05 * float(a["width"]))
        margin[torch.arange(classes) % 2 == (0 if a["op"] == "first" else 1)] += 1.5
        return torch.nn.functional.one_hot(target, classes) * margin[target][:, None]

    known, gates = Survey(architectures, torch.stack([logits(a) for a in architectures]), target), DimensionGates(SPACE)
    costs = torch.tensor([float(a["width"]) ** 2 * float(a["depth"]) for a in architectures])
    assembler = train_assembler(
        known, costs, gates, classes=classes, path=tmp_path / "macs.safetensors", identity="x", seed=1, steps=300
    )
    drawn = {tuple(code.nonzero().flatten().tolist()) for code in _tasks(known, classes, seed=1)[0]}
    subsets = [s for size in range(2, classes + 1) for s in itertools.combinations(range(classes), size)]
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for subset in subsets[::7]:
        (answer,) = gates.decode(assembler.logits(task_code(subset, classes), torch.tensor([1.0])))
        errors = known.soft_errors(subset)
        gaps[subset in drawn].append(float(errors[architectures.index(answer)] - errors.min()))
    assert min(len(found) for found in gaps.values()) > 10
    assert np.mean(gaps[False]) < np.mean(gaps[True]) + 0.03
    assert np.mean(gaps[False]) < 0.05


def test_tasks_decide_the_choice_and_budgets_the_size(tmp_path: Path) -> None:
    known, gates = survey(), DimensionGates(SPACE)
    costs = torch.tensor([float(a["width"]) ** 2 * float(a["depth"]) for a in known.architectures])
    shares = cost_shares(costs)
    assembler = train_assembler(
        known, costs, gates, classes=CLASSES, path=tmp_path / "macs.safetensors", identity="x", seed=1, steps=600
    )
    for classes, op in (([0, 1], "first"), ([2, 3], "second")):
        found = gates.decode(assembler.logits(task_code(classes, CLASSES), torch.tensor([0.3, 0.6, 1.0])))
        assert [a["op"] for a in found] == [op] * 3
        position = [known.architectures.index(a) for a in found]
        assert shares[position].tolist() == sorted(shares[position].tolist())
        assert float(shares[position[0]]) < 0.6 < float(shares[position[2]])
        front = StrategyGenerator(assembler, known, shares, CLASSES)(classes)
        assert front[0].architecture == SPACE.smallest()
        assert all(s.architecture["op"] == op for s in front[2:])
        assert [s.expected for s in front[1:]] == sorted((s.expected for s in front[1:]), reverse=True)
