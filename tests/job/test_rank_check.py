"""Ranking by the supernet against training alone: what is trained, what is kept, and what is concluded."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from automl.errors import RunError
from automl.host import Host
from automl.job import training_alone
from automl.job.opened import task_and_supernet
from automl.job.parts import resolve_parts
from automl.job.rank_agreement import rank_correlation
from automl.job.rank_check import check_ranks, drawn_subnets
from automl.job_config import resolve_job
from automl.run_folder import Run
from automl.space import Categorical, Ordinal, SearchSpace

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")

SPACE = """\
space: image/few
input: image
slots:
  stem: {from: input, blocks: [{vision.conv_stem: {kernel: 3}}], width: [12, 20, 32], stride: 2}
  more: {from: stem, blocks: [{vision.conv_stem: {kernel: 3}}], depth: [0, 1]}
output: more
"""


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "few.yaml").write_text(SPACE)
    job = resolve_job(
        settings={"space": str(tmp_path / "few.yaml"), "strategy": "single-path", "seed": 2},
        assignments=["training.batch_size=256", "training.epochs=2", "evaluation.validation_samples=80"],
    )
    run, host = Run.start(tmp_path / "runs" / "few", job), Host.load()
    task, supernet = task_and_supernet(job, resolve_parts(job, host), host)
    run.write_json("split.json", task.split)
    supernet.save(run.path("supernet.safetensors"))
    return run


def test_every_result_is_kept_at_once_and_a_killed_check_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    host, trained, original = Host.load(), [], training_alone.train

    def counting(supernet, *arguments, **options):
        if len(trained) == 2:
            raise Killed
        trained.append(options["folder"].name)
        return original(supernet, *arguments, **options)

    monkeypatch.setattr(training_alone, "train", counting)
    with pytest.raises(Killed):
        check_ranks(run, host, subnets=3)
    files = sorted((run.folder / "standalone" / "2-epochs").glob("*.json"))
    assert {file.stem for file in files} == set(trained)
    assert all(json.loads(file.read_text())["epochs"] == 2 for file in files)

    before = {file.name: file.read_bytes() for file in files}
    monkeypatch.setattr(training_alone, "train", original)
    resumed = check_ranks(run, host, subnets=3)
    assert {name: (files[0].parent / name).read_bytes() for name in before} == before
    monkeypatch.setattr(training_alone, "train", None)  # all is there: nothing is trained again
    again = check_ranks(run, host, subnets=3)
    assert again == resumed
    assert len({subnet.architecture for subnet in again.subnets}) == 3
    assert not [p for p in (run.folder / "standalone" / "2-epochs").iterdir() if p.is_dir()]


def test_more_subnetworks_and_other_epochs_add_to_what_is_there(run: Run) -> None:
    few = check_ranks(run, Host.load(), subnets=3, epochs=1)
    more = check_ranks(run, Host.load(), subnets=20, epochs=1)
    assert more.epochs == 1
    assert len(more.subnets) == 6  # all that the space has
    known = {s.architecture: s for s in more.subnets}
    assert all(known[s.architecture] == s for s in few.subnets)


def test_a_subnetwork_learns_alone_and_the_supernet_keeps_its_untrained_errors(run: Run) -> None:
    training = run.job.training.model_copy(update={"batch_size": 32, "ema": 0.0})
    run.job = run.job.model_copy(update={"training": training})
    found = check_ranks(run, Host.load(), subnets=3, epochs=6)
    alone = np.mean([s.standalone_error for s in found.subnets])
    shared = np.mean([s.supernet_error for s in found.subnets])
    assert shared > 0.6
    assert alone < shared - 0.2


def test_a_run_without_a_supernet_is_refused(tmp_path: Path) -> None:
    early = Run.start(tmp_path / "early", resolve_job())
    with pytest.raises(RunError, match="the supernet is not trained yet"):
        check_ranks(early, Host.load(), subnets=3)


def test_fewer_draws_are_the_first_of_more_and_all_differ() -> None:
    space = SearchSpace.build({"width": Ordinal(*range(1, 40)), "op": Categorical("a", "b")})
    many = drawn_subnets(space, 30, seed=4)
    assert many[:7] == drawn_subnets(space, 7, seed=4)
    assert len(set(many)) == 30
    assert drawn_subnets(space, 30, seed=5) != many
    assert len(drawn_subnets(space, 1000, seed=4)) == 78


def test_correlations_of_known_orders() -> None:
    x = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    for kind in ("kendall", "spearman"):
        same = rank_correlation(x, [v**2 for v in x], kind, seed=0)
        assert (same.value, same.low, same.high) == pytest.approx((1, 1, 1))
        assert rank_correlation(x, x[::-1], kind, seed=0).value == pytest.approx(-1)
    # one pair of six changed places among 15 pairs: (14 - 1) / 15
    assert rank_correlation(x, [0.1, 0.3, 0.2, 0.4, 0.5, 0.6], "kendall", seed=0).value == pytest.approx(13 / 15)


def test_the_interval_repeats_holds_the_value_and_narrows_with_more_pairs() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (10, 200):
        x = rng.normal(size=count)
        y = x + rng.normal(size=count)
        found = rank_correlation(x.tolist(), y.tolist(), "kendall", seed=1)
        assert found == rank_correlation(x.tolist(), y.tolist(), "kendall", seed=1)
        assert found.low <= found.value <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_values_that_do_not_vary_have_no_correlation() -> None:
    assert math.isnan(rank_correlation([0.5] * 4, [0.1, 0.2, 0.3, 0.4], "kendall", seed=0).value)
