"""Rungs of validation samples in a whole search: fronts, resume, failures, constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl.job.evaluation import Evaluator
from automl.job.staged_evaluation import StagedEvaluator, search_evaluation
from automl.job_config import EvaluationConfig
from automl.objectives.constraints import Constraint
from automl.objectives.error import Error
from automl.objectives.loss import Loss
from automl.objectives.objective import Objective
from automl.objectives.params import Params
from automl.search import Ledger, Measurement, Random, Searcher, pareto_front, run_search
from automl.search.successive_halving import SuccessiveHalving
from automl.space import Architecture, SearchSpace
from automl.tasks import Batch, Task
from automl.tasks.splits import Part
from automl.testing.toy_task import ToyNetwork, ToyTask, toy_supernet
from automl.testing.weights import randomise

SAMPLES = 700


class LargeTask(ToyTask):  # type: ignore[misc]  # final for users; here only its data grow
    """The toy task with many validation samples, labelled by one of the subnetworks and some noise."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        generator = torch.Generator().manual_seed(8)
        self._x = torch.randn(SAMPLES + 200, 6, generator=generator)
        self._groups = torch.randint(4, (SAMPLES + 200,), generator=generator)
        self.split = {
            "train": list(range(SAMPLES, SAMPLES + 150)),
            "validation": list(range(SAMPLES)),
            "test": list(range(SAMPLES + 150, SAMPLES + 200)),
        }
        supernet = supernet_of_this_task()
        model = supernet.extract(supernet.space.largest())
        with torch.no_grad():
            logits = model.train()(self._x, self._groups)
        noise = torch.randn(logits.shape, generator=generator)
        self._labels = (logits + 0.3 * logits.std() * noise).argmax(-1)


def supernet_of_this_task() -> Any:
    supernet = toy_supernet(1)
    randomise(supernet.network, 2)
    return supernet


def make(objectives: Sequence[Objective] = (Error(), Params()), **given: Any) -> Evaluator:
    config = EvaluationConfig(batch_size=96, calibration_samples=64, calibration_batch_size=32, racing=True)
    return Evaluator(supernet_of_this_task(), LargeTask(), objectives=list(objectives), config=config, seed=1, **given)


def space() -> SearchSpace:
    return SearchSpace.of(ToyNetwork())


def start(
    folder: Path, searcher: Searcher, *, evaluator: Evaluator | None = None, trials: int = 30, **given: Any
) -> list[Measurement]:
    evaluator = evaluator or make()
    config = EvaluationConfig(racing=True, confidence=0.9)
    evaluate = search_evaluation(evaluator, searcher, config, seed=3)
    assert isinstance(evaluate, StagedEvaluator)
    folder.mkdir(exist_ok=True)
    names = [objective.name for objective in evaluator.objectives]
    with Ledger(folder / "ledger.log", space=space(), objectives=names) as ledger:
        return run_search(
            space(),
            searcher,
            evaluate,
            ledger,
            trials=trials,
            group_size=4,
            state_file=folder / "searcher.json",
            heard=evaluate.hear,
            **given,
        )


def searchers() -> dict[str, Callable[[], Searcher]]:
    return {
        "random": lambda: Random(space(), objectives=2, seed=4),
        "successive-halving": lambda: SuccessiveHalving(space(), objectives=2, seed=4, startup=4),
    }


def outline(history: Sequence[Measurement]) -> list[Any]:
    kept = ("fidelity", "rungs", "stopped", "order", "measured")
    return [(m.architecture, m.values, m.violations, {k: m.details.get(k) for k in kept}) for m in history]


def test_complete_candidates_have_the_values_of_a_full_measurement_and_others_estimates(tmp_path: Path) -> None:
    history = start(tmp_path, Random(space(), objectives=2, seed=4))
    stopped = [m for m in history if not m.complete]
    assert 3 <= len(stopped) < len(history) - 3
    full = make()([m.architecture for m in history])
    for measurement, outcome in zip(history, full, strict=True):
        assert measurement.values is not None
        assert outcome.values is not None
        assert measurement.values[1] == outcome.values[1]
        if measurement.complete:
            assert measurement.values == tuple(outcome.values)
            assert measurement.feasible
        else:
            assert measurement.fidelity in (128 / SAMPLES, 256 / SAMPLES, 512 / SAMPLES)
            assert not measurement.feasible
            assert "dominated by" in measurement.details["stopped"]
            assert measurement.values[0] == pytest.approx(outcome.values[0], abs=0.15)
    true_front = pareto_front([o.values for o in full if o.values is not None]).tolist()
    assert all(history[i].complete for i in true_front)


@pytest.mark.parametrize("kind", sorted(searchers()))
def test_killed_at_any_record_and_resumed_it_equals_an_undisturbed_search(kind: str, tmp_path: Path) -> None:
    calm = start(tmp_path / "calm", searchers()[kind]())
    assert any(not m.complete for m in calm)
    assert [m.details["order"] for m in calm] == [4 * (m.number // 4) for m in calm]
    rough: list[Measurement] = []
    for kill_at in (2, 7, 9, 17, 30):

        class Killed(BaseException):
            pass

        def progress(measurement: Measurement, kill_at: int = kill_at, error: type[BaseException] = Killed) -> None:
            if measurement.number + 1 == kill_at < 30:
                raise error

        try:
            rough = start(tmp_path / "rough", searchers()[kind](), progress=progress)
        except Killed:
            continue
    assert outline(rough) == outline(calm)


def test_replayed_without_a_state_file_it_goes_on_alike(tmp_path: Path) -> None:
    calm = start(tmp_path / "calm", Random(space(), objectives=2, seed=4))
    start(tmp_path / "rough", Random(space(), objectives=2, seed=4), trials=16)
    (tmp_path / "rough" / "searcher.json").unlink()
    assert outline(start(tmp_path / "rough", Random(space(), objectives=2, seed=4))) == outline(calm)


def test_a_broken_constraint_on_an_exact_quantity_stops_at_the_first_rung(tmp_path: Path) -> None:
    evaluator = make(constraints=[Constraint.parse("params<=150")])
    history = start(tmp_path, Random(space(), objectives=2, seed=4), evaluator=evaluator)
    for measurement in history:
        assert measurement.values is not None
        if measurement.values[1] > 150:
            assert measurement.details["stopped"] == "breaks params<=150"
            assert len(measurement.details["rungs"]) == 1
    assert {m.complete for m in history} == {True, False}


class Vector(Objective):
    """A sampled quantity of which the task gives no scores."""

    name = "balanced"

    def measure(self, candidate: Any) -> Any:
        from automl.objectives.value import Value

        return Value(candidate.quality()["balanced-error"])


@pytest.mark.parametrize("objective", [Loss(), Vector()], ids=["loss", "balanced"])
def test_objectives_without_scores_of_samples_are_never_decided_early(objective: Objective, tmp_path: Path) -> None:
    history = start(tmp_path, Random(space(), objectives=2, seed=4), evaluator=make([objective, Params()]), trials=12)
    assert all(m.complete for m in history)


def test_objectives_that_need_no_samples_are_measured_without_any(tmp_path: Path) -> None:
    class Unseen(LargeTask):
        def score(self, answers: Any) -> dict[str, float]:
            raise AssertionError("nothing asked for quality")

    evaluator = make([Params()])
    evaluator.task.__class__ = Unseen
    history = start(tmp_path, Random(space(), objectives=1, seed=4), evaluator=evaluator, trials=6)
    assert all(m.complete and m.values is not None for m in history)


def test_a_candidate_whose_outputs_are_not_finite_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = start(tmp_path / "calm", Random(space(), objectives=2, seed=4), trials=8)
    victim = calm[5].architecture
    evaluator = make()
    original = evaluator.prepare._supernet.extract

    def extract(architecture: Architecture) -> nn.Module:
        model = original(architecture)
        if architecture == victim:
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))
        return model  # type: ignore[no-any-return]

    monkeypatch.setattr(evaluator.prepare._supernet, "extract", extract)
    history = start(tmp_path / "nan", Random(space(), objectives=2, seed=4), evaluator=evaluator, trials=8)
    assert history[5].values is None
    assert "not a finite number" in str(history[5].failure)
    assert [m.values for m in history[:5]] == [m.values for m in calm[:5]]


def test_rungs_are_used_only_where_wanted_possible_and_worth_it() -> None:
    random, halving = Random(space(), objectives=2, seed=0), SuccessiveHalving(space(), objectives=2, seed=0)
    evaluator = make()

    def staged(searcher: Searcher, **config: Any) -> bool:
        return isinstance(search_evaluation(evaluator, searcher, EvaluationConfig(**config), 0), StagedEvaluator)

    assert staged(random, racing=True)
    assert not staged(random)  # fewer than 1000 samples
    assert not staged(random, racing=False)
    assert staged(halving, racing=False)  # halving is nothing without rungs

    class Whole(LargeTask):
        def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
            for batch in super().batches(part, batch_size, limit):
                yield batch._replace(index=torch.arange(len(batch.target)))

    evaluator.task.__class__ = Whole
    fresh = make()
    fresh.task.__class__ = Whole
    assert not isinstance(search_evaluation(fresh, random, EvaluationConfig(racing=True), 0), StagedEvaluator)
    plain = make()
    plain.task.__class__ = type("Plain", (LargeTask,), {"score": Task.score})
    assert not isinstance(search_evaluation(plain, random, EvaluationConfig(racing=True), 0), StagedEvaluator)


def test_no_member_of_the_true_front_is_lost_over_20_seeds_at_the_default_confidence() -> None:
    evaluator = make()
    everything = list(space().enumerate())[::2]
    full = evaluator(everything)
    values = np.array([outcome.values for outcome in full])
    true_front = {everything[i] for i in pareto_front(values)}
    saved = []
    for seed in range(20):
        evaluate = StagedEvaluator(evaluator, promote=lambda partial: None, confidence=0.999, seed=seed)
        order = np.random.default_rng(seed).permutation(len(everything))
        history: list[Measurement] = []
        for first in range(0, len(order), 8):
            group = [everything[i] for i in order[first : first + 8]]
            for architecture, outcome in zip(group, evaluate(group), strict=True):
                assert outcome.values is not None
                history.append(
                    Measurement(architecture=architecture, values=tuple(outcome.values), details=outcome.details)
                )
            for measurement in history[first:]:
                evaluate.hear(measurement)
        assert true_front <= {m.architecture for m in history if m.complete}
        saved.append(1 - np.mean([m.fidelity for m in history]))
    assert np.mean(saved) > 0.1
