"""Nested subnetworks of a run: measured like any candidate, ordered by cost, picked by budget without a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError, RunError
from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.opened import load_supernet, task_and_supernet
from automl.job.parts import resolve_parts
from automl.job.sorted_front import SortedFront, SortedMember, measure_sorted
from automl.job_config import resolve_job
from automl.objectives.constraints import Constraint
from automl.objectives.error import Error
from automl.run_folder import Run
from automl.space import Architecture

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")


def untrained_run(folder: Path, *assignments: str, **settings: Any) -> Run:
    """A run as it is after the training, with the initial weights."""
    settings = {"space": "image/tiny", "strategy": "sorted", "seed": 3, **settings}
    job = resolve_job(settings=settings, assignments=["evaluation.validation_samples=60", *assignments])
    run = Run.start(folder, job)
    host = Host.load()
    task, supernet = task_and_supernet(job, resolve_parts(job, host), host)
    run.write_json("split.json", task.split)
    supernet.save(run.path("supernet.safetensors"))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return untrained_run(tmp_path_factory.mktemp("runs") / "nested", "strategy_options.sub_models=12")


@pytest.fixture(scope="module")
def front(run: Run) -> SortedFront:
    return measure_sorted(run, Host.load())


def test_members_are_those_that_were_trained_the_cheapest_first(run: Run, front: SortedFront) -> None:
    supernet, _, _ = load_supernet(run, Host.load())
    assert 2 < len(front.members) <= 12
    assert front.members[0].architecture == supernet.space.smallest()
    assert front.members[-1].architecture == supernet.space.largest()
    assert [m.macs for m in front.members] == sorted(m.macs for m in front.members)
    assert front.strategy == "sorted"


def test_values_are_those_of_the_search(run: Run, front: SortedFront) -> None:
    supernet, task, _ = load_supernet(run, Host.load())
    member = front.members[len(front.members) // 2]
    evaluate = Evaluator(supernet, task, objectives=[Error()], config=run.job.evaluation, seed=run.job.seed)
    (outcome,) = evaluate([member.architecture])
    assert outcome.values == [member.error]
    assert member.params == sum(p.numel() for p in supernet.extract(member.architecture).parameters())


def test_kept_shares_relate_to_the_full_model(front: SortedFront) -> None:
    full = front.members[-1]
    assert full.kept == pytest.approx(1)
    for member in front.members:
        assert member.kept == pytest.approx((1 - member.error) / (1 - full.error))
    assert front.least_kept <= front.mean_kept


def test_a_measurement_writes_nothing(run: Run, front: SortedFront) -> None:
    assert {p.name for p in run.folder.iterdir()} <= {"job.yaml", "split.json", "supernet.safetensors", ".lock"}


def test_fewer_sub_models_can_be_listed_than_were_trained(run: Run) -> None:
    front = measure_sorted(run, Host.load(), sub_models=2)
    assert len(front.members) == 2


def test_runs_of_other_strategies_can_be_listed_and_say_so(tmp_path: Path) -> None:
    other = untrained_run(tmp_path / "other", strategy="single-path")
    front = measure_sorted(other, Host.load(), sub_models=3)
    assert (len(front.members), front.strategy) == (3, "single-path")


def _front(*costs: int) -> SortedFront:
    return SortedFront(
        tuple(SortedMember(Architecture({"d": c}), 0.5 - c / 1000, c * 2, c, 1.0) for c in costs), "sorted"
    )


def test_the_pick_is_the_largest_within_the_budget_and_grows_with_it() -> None:
    front, before = _front(10, 20, 35, 70), 0
    for limit in range(10, 90):
        picked = front.pick(Constraint.parse(f"macs<={limit}"))
        assert picked.macs <= limit
        assert not any(picked.macs < m.macs <= limit for m in front.members)
        assert picked.macs >= before
        before = picked.macs
    assert front.pick(Constraint.parse("params<70")).macs == 20


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("macs<=9", "no nested subnetwork meets it; macs goes from 10 to 70"),
        ("macs>=9", "write an upper bound of params or macs"),
        ("error<=9%", "write an upper bound of params or macs"),
    ],
)
def test_budgets_that_pick_nothing_are_refused(budget: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _front(10, 70).pick(Constraint.parse(budget))
    assert message in str(caught.value)


def test_a_run_without_a_supernet_is_refused(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "early", resolve_job(settings={"strategy": "sorted"}))
    with pytest.raises(RunError, match="the supernet is not trained yet"):
        measure_sorted(run, Host.load())
