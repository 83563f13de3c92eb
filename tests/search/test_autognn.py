"""What is special about the conservative searcher; the contract is the kit's."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from automl.errors import ConfigError, RunError, UnknownNameError
from automl.search import Measurement
from automl.search.autognn import AutoGNN, _Action
from automl.search.class_controllers import ClassControllers
from automl.search.dimension_classes import dimension_classes
from automl.search.front_reward import FrontReward
from automl.space import Architecture, Categorical, Ordinal, SearchSpace


def two_layers(forbidden: Any = ()) -> SearchSpace:
    dimensions: dict[str, Any] = {}
    for layer in ("first", "second"):
        dimensions[f"{layer}.hidden"] = Ordinal(4, 8, 16, 32)
        dimensions[f"{layer}.attention"] = Categorical("const", "gcn", "gat")
        dimensions[f"{layer}.heads"] = Ordinal(1, 2)
    return SearchSpace.build(dimensions, forbidden=forbidden)


def error(architecture: Architecture) -> float:
    return sum(abs(float(architecture[f"{layer}.hidden"]) - 16) for layer in ("first", "second")) + 3 * (
        architecture["second.attention"] != "gat"
    )


def measured(architecture: Architecture) -> Measurement:
    return Measurement(architecture=architecture, values=(error(architecture),))


def controllers(space: SearchSpace, classes: dict[str, list[int]], **options: Any) -> ClassControllers:
    chosen = {"hidden": 7, "learning_rate": 0.02, "temperature": 1.0, "tanh_constant": 5.0, "entropy_weight": 0.0}
    return ClassControllers(space.structure, list(classes.values()), seed=3, **(chosen | options))


def changed(space: SearchSpace, first: Architecture, second: Architecture) -> set[str]:
    return {name for name in space.names if first.get(name) != second.get(name)}


@pytest.mark.parametrize("classes", [1, 2])
def test_a_proposal_differs_from_the_best_in_one_class_only(classes: int) -> None:
    space = two_layers()
    searcher = AutoGNN(space, objectives=1, seed=1, starts=2, classes_per_step=classes)
    best: Measurement | None = None
    changed_classes: list[int] = []
    for number in range(20):
        (asked,) = searcher.ask(1)
        if best is not None and number >= 2:
            names = changed(space, best.architecture, asked)
            assert 1 <= len(names) <= 2 * classes
            changed_classes.append(len({name.rpartition(".")[2] for name in names}))
        result = measured(asked)
        searcher.tell([result])
        if best is None or result.values < best.values:  # type: ignore[operator]  # a tie keeps the old one
            best = result
    assert max(changed_classes) == classes


def test_best_never_gets_worse_and_a_tie_keeps_the_earlier() -> None:
    space, front = two_layers(), FrontReward()
    rows = space.to_indices(list(space.enumerate())[:4])
    names = space.from_indices(rows)
    rewards = [
        front.hear(row, Measurement(architecture=name, values=(value,)))
        for row, name, value in zip(rows, names, (3.0, 5.0, 3.0, 1.0), strict=True)
    ]
    assert np.array_equal(front.members[0].row, rows[3])
    assert rewards[0] == 0
    assert rewards[1] < 0 == rewards[2] < rewards[3]


def test_reward_with_several_objectives_is_positive_exactly_off_the_front() -> None:
    space, front = two_layers(), FrontReward()
    rows = space.to_indices(list(space.enumerate())[:5])
    names = space.from_indices(rows)
    values = [(1.0, 5.0), (5.0, 1.0), (3.0, 3.0), (6.0, 6.0), (2.0, 2.0)]
    rewards = [
        front.hear(r, Measurement(architecture=a, values=v)) for r, a, v in zip(rows, names, values, strict=True)
    ]
    assert [reward > 0 for reward in rewards] == [False, True, True, False, True]
    assert [member.values for member in front.members] == [(1.0, 5.0), (5.0, 1.0), (2.0, 2.0)]


def test_infeasible_and_failed_candidates_are_worse_than_any_that_meets_the_constraint() -> None:
    space, front = two_layers(), FrontReward()
    rows = space.to_indices(list(space.enumerate())[:5])
    names = space.from_indices(rows)
    records = [((1.0,), (4.0,)), ((9.0,), (2.0,)), ((9.0,), (0.0,)), ((1.0,), (4.0,)), (None, ())]
    rewards = [
        front.hear(r, Measurement(architecture=a, values=v, violations=w))
        for r, a, (v, w) in zip(rows, names, records, strict=True)
    ]
    assert rewards[1] > 0
    assert rewards[2] > 0
    assert front.feasible
    assert [np.array_equal(m.row, rows[2]) for m in front.members] == [True]
    assert -3 <= rewards[4] < rewards[3] < -1


@pytest.mark.parametrize("guide", ["sample", "argmax"])
def test_guide_takes_the_class_whose_full_distributions_are_uniform(guide: Any) -> None:
    space = two_layers()
    searcher = AutoGNN(
        space, objectives=1, seed=0, guide=guide, guide_temperature=1e-3, temperature=1.0, tanh_constant=30.0
    )
    names = list(searcher.classes)
    for number, controller in enumerate(searcher._controllers.controllers):
        for head in controller.decide.values():
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)
            if names[number] != "attention":
                head.bias.data[0] = 9.0  # one-hot
    context = space.to_indices([space.smallest()])[0]
    entropies = [
        searcher._controllers.propose(context, (number,), np.random.default_rng(0)).entropies[number]
        for number in range(3)
    ]
    assert entropies[names.index("attention")] == pytest.approx(2 * np.log(3), rel=1e-5)
    assert max(e for n, e in zip(names, entropies, strict=True) if n != "attention") < 1e-6
    for _ in range(20):
        assert searcher._propose(context)[1] == (names.index("attention"),)


def test_entropies_are_those_of_whole_distributions_whatever_was_drawn() -> None:
    """Check 3: neither uniform nor one-hot, where the surprise at what was drawn is no estimate to mistake for it."""
    space = two_layers()
    learner = controllers(space, dimension_classes(space.names), temperature=2.0, tanh_constant=3.0)
    number = list(dimension_classes(space.names)).index("attention")
    biases = {"first": [1.0, 0.0, -0.5], "second": [0.3, 2.0, 0.0]}
    for layer, bias in biases.items():
        head = learner.controllers[number].decide[str(space.names.index(f"{layer}.attention"))]
        torch.nn.init.zeros_(head.weight)
        head.bias.data = torch.tensor(bias)
    expected = 0.0
    for bias in biases.values():
        chances = np.exp(3 * np.tanh(np.array(bias) / 2))
        chances /= chances.sum()
        expected -= float((chances * np.log(chances)).sum())
    context, rng, rows = space.to_indices([space.smallest()])[0], np.random.default_rng(0), set()
    for _ in range(12):
        proposal = learner.propose(context, (number,), rng)
        rows.add(proposal.row.tobytes())
        assert proposal.entropies[number] == pytest.approx(expected, rel=1e-5)
    assert len(rows) > 3


def test_guide_samples_in_proportion_to_the_exponential_of_the_entropy() -> None:
    searcher = AutoGNN(two_layers(), objectives=1, seed=0)
    entropies = np.array([1.0, 2.0, 0.5])
    drawn = [searcher.guided(entropies)[0] for _ in range(4000)]
    expected = np.exp(entropies) / np.exp(entropies).sum()
    assert np.abs(np.bincount(drawn, minlength=3) / 4000 - expected).max() < 0.03


def test_reinforce_learns_the_better_of_two_arms_and_constant_rewards_teach_nothing() -> None:
    space = SearchSpace.build({"arm": Categorical("a", "b")})
    learner = controllers(space, {"arm": [0]})
    rng, context, baseline = np.random.default_rng(5), np.array([1]), 0.5
    for _ in range(120):
        row = learner.propose(context, (0,), rng).row
        reward = float(row[0] == 0)
        learner.reinforce(context, (0,), row, reward - baseline)
        baseline = 0.9 * baseline + 0.1 * reward
    assert learner.log_chance(0, context, (0,), np.array([0]))[0].exp() > 0.95

    other = controllers(space, {"arm": [0]})
    before = {name: p.clone() for name, p in other.controllers[0].named_parameters()}
    other.reinforce(context, (0,), np.array([0]), 0.0)
    for name, parameter in other.controllers[0].named_parameters():
        assert torch.equal(parameter, before[name])


def test_rewards_are_compared_with_the_mean_of_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check 4: a constant reward teaches nothing from the first on, and a reward is no part of its own baseline."""
    space = two_layers()
    searcher = AutoGNN(space, objectives=1, seed=0, entropy_weight=0.0, baseline_decay=0.75)
    context = space.to_indices([space.smallest()])[0]
    action = _Action(context, (1,))
    row = searcher._controllers.propose(context, (1,), np.random.default_rng(0)).row
    before = [p.clone() for c in searcher._controllers.controllers for p in c.parameters()]
    for _ in range(3):
        searcher._learn(action, row, 0.4)
    after = [p for c in searcher._controllers.controllers for p in c.parameters()]
    assert all(map(torch.equal, before, after))
    advantages: list[float] = []
    monkeypatch.setattr(searcher._controllers, "reinforce", lambda *given: advantages.append(given[3]))
    for reward in (1.4, 0.4, 0.0):
        searcher._learn(action, row, reward)
    assert advantages == pytest.approx([1.0, 0.4 - 0.65, 0.0 - 0.5875])


def test_a_repetition_teaches_without_a_measurement() -> None:
    """Check 10: what was measured before is known."""
    space = two_layers()
    searcher = AutoGNN(space, objectives=1, seed=0, starts=3, learning_rate=0.02)
    asked = searcher.ask(3)
    searcher.tell([measured(a) for a in asked])
    good, bad = (sorted(asked, key=error)[i] for i in (0, -1))
    assert error(good) < error(bad)
    rows = space.to_indices([good, bad])
    everything = tuple(range(len(searcher.classes)))
    searcher._baseline = searcher._front.reward(measured(good))
    learner = searcher._controllers

    def chance() -> float:
        return sum(learner.log_chance(n, rows[0], everything, rows[1])[0].item() for n in everything)

    before = chance()
    searcher._learn_at_once(_Action(rows[0], everything), rows[1])
    assert chance() < before
    assert searcher.state()["told"] == 3


def test_only_the_acting_controller_gets_gradient() -> None:
    space = two_layers()
    classes = dimension_classes(space.names)
    learner = controllers(space, classes)
    context = space.to_indices([space.smallest()])[0]
    row = learner.propose(context, (1,), np.random.default_rng(0)).row
    learner.reinforce(context, (1,), row, 0.7)
    for number, controller in enumerate(learner.controllers):
        gradients = [p.grad for p in controller.parameters() if p.grad is not None]
        assert bool(gradients) == (number == 1)


def test_a_forbidden_combination_teaches_without_a_measurement() -> None:
    space = two_layers(forbidden=[{"first.heads": 2}, {"second.heads": 2, "second.hidden": [8, 16, 32]}])
    searcher = AutoGNN(space, objectives=1, seed=4, starts=1)
    context = space.to_indices([space.smallest()])[0]
    forbidden = context.copy()
    forbidden[space.names.index("first.heads")] = 1
    number = list(searcher.classes).index("heads")
    learner = searcher._controllers
    searcher._baseline = 0.0
    before = learner.log_chance(number, context, (number,), forbidden)[0].item()
    searcher._learn_at_once(_Action(context, (number,)), forbidden)
    assert learner.log_chance(number, context, (number,), forbidden)[0].item() < before
    assert searcher.state()["told"] == 0
    asked = [searcher.ask(1)[0] for _ in range(3)]
    assert all(space.allows(a) for a in asked)


def test_no_architecture_is_measured_twice() -> None:
    space = two_layers()
    searcher = AutoGNN(space, objectives=1, seed=2, hidden=5)
    seen: set[Architecture] = set()
    while (asked := searcher.ask(7)) and len(seen) < 250:
        assert not seen & set(asked)
        seen |= set(asked)
        searcher.tell([measured(a) for a in asked])
        assert searcher.state()["told"] == len(seen)
    assert len(seen) >= 250


def test_as_many_classes_as_there_are_resample_everything() -> None:
    space = two_layers()
    searcher = AutoGNN(space, objectives=1, seed=6, starts=1, classes_per_step=3)
    (first,) = searcher.ask(1)
    searcher.tell([measured(first)])
    assert max(len(changed(space, first, asked)) for asked in searcher.ask(6)) > 2


def test_classes_follow_patterns_and_then_the_last_part_of_a_name() -> None:
    names = ["stem.width", "a.heads", "b.heads", "b.width"]
    assert dimension_classes(names) == {"width": [0, 3], "heads": [1, 2]}
    assert dimension_classes(names, {"b": "b.*"}) == {"b": [2, 3], "width": [0], "heads": [1]}


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"starts": 0}, ConfigError, "starts is 0"),
        ({"classes_per_step": 0}, ConfigError, "classes_per_step is 0"),
        ({"learning_rate": 0.0}, ConfigError, "learning_rate is 0.0"),
        ({"baseline_decay": 1.0}, ConfigError, "baseline_decay is 1.0"),
        ({"entropy_weight": -1.0}, ConfigError, "entropy_weight is -1.0"),
        ({"guide": "sampel"}, UnknownNameError, "Did you mean 'sample'"),
        ({"classes": {"x": "*.headz"}}, ConfigError, "'\\*.headz' matches no dimension"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        AutoGNN(two_layers(), objectives=1, seed=0, **options)


def test_a_state_of_another_history_is_refused_or_another_versions_measurements_are_kept() -> None:
    space = two_layers()
    searcher = AutoGNN(space, objectives=1, seed=0, starts=1)
    history = []
    for _ in range(4):
        results = [measured(a) for a in searcher.ask(2)]
        searcher.tell(results)
        history += results
    state = json.loads(json.dumps(searcher.state()))
    with pytest.raises(RunError, match="autognn"):
        AutoGNN(space, objectives=1, seed=0, starts=1).restore(state, history[:3])
    again = AutoGNN(space, objectives=1, seed=1, starts=1)  # another seed asks otherwise, as another version might
    again.restore(state, history)
    assert not {m.architecture for m in history} & set(again.ask(5))
