"""Groups of candidates share work and give the numbers of each alone: batch norm and layer norm, any population."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job_config import EvaluationConfig
from automl.objectives.error import Error
from automl.objectives.loss import Loss
from automl.objectives.macs import Macs
from automl.search.variation import Variation
from automl.space import Architecture
from automl.supernet import Supernet, build_supernet, calibrate, has_batch_norm, read_skeleton
from automl.supernet.group_calibration import calibrate_group
from automl.supernet.supernet import Supernet as PlainSupernet
from automl.tasks import ImageClassification
from automl.testing.weights import randomise

pytest.importorskip("automl_vision", reason="the spaces use blocks of automl-vision")

SPACES = {
    "batch norm": """
space: test/bn
input: image
slots:
  stem: {from: input, blocks: [{vision.conv_stem: {kernel: 3}}], width: [4, 6]}
  one: {from: stem, blocks: [{vision.mbconv: {kernel: [3, 5], expansion: [2, 3]}}, vision.residual], depth: [1, 2], width: [5, 7]}
  two: {from: one, blocks: [{vision.mbconv: {kernel: 3, expansion: [1, 2]}}], depth: [1, 2, 3], stride: 2, width: [6, 8]}
output: two
head: auto
""",
    "layer norm": """
space: test/ln
input: image
slots:
  stem: {from: input, blocks: [{vision.convnext: {ratio: [2, 3]}}], width: [4, 6]}
  one: {from: stem, blocks: [{vision.attention: {head_dim: 4}}, vision.convnext], depth: [1, 2], width: [5, 7], stride: 2}
output: one
head: auto
""",
    "parallel paths": """
space: test/dag
input: image
slots:
  stem: {from: input, blocks: [{vision.conv_stem: {kernel: 3}}], width: [4, 6]}
  left: {from: stem, blocks: [{vision.mbconv: {kernel: [3, 5], expansion: 2}}], width: [5, 7]}
  right: {from: stem, blocks: [{vision.conv_stem: {kernel: 3}}], width: [3, 4], depth: [1, 2]}
  both: {from: [left, right], merge: concat, blocks: [vision.residual], width: [6, 8], depth: [1, 2]}
output: both
head: auto
""",
}


@cache
def world(name: str) -> tuple[Supernet, ImageClassification]:
    task = ImageClassification.load("digits", seed=3)
    folder = Path(__file__).parent
    skeleton = read_skeleton(_written(folder, SPACES[name]))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(4)
        supernet = build_supernet(skeleton, task, Host.load())
    randomise(supernet.network, 5)
    return supernet, task


def _written(folder: Path, text: str) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp()) / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def evaluator(name: str, memory: int, **config: Any) -> Evaluator:
    supernet, task = world(name)
    settings = {"batch_size": 64, "validation_samples": 150, "calibration_samples": 96, "calibration_batch_size": 32}
    return Evaluator(
        supernet,
        task,
        objectives=[Error(), Loss(), Macs()],
        config=EvaluationConfig(sharing_memory=memory, **{**settings, **config}),
        seed=1,
    )


def population(space_name: str, seed: int, size: int) -> list[Architecture]:
    """One parent and mutants of it, as evolution asks for them."""
    space = world(space_name)[0].space
    rng = np.random.default_rng(seed)
    rows = np.repeat(space.to_indices([space.sample(rng)]), size, axis=0)
    rows[1:] = Variation(space).mutate(rows[1:], rng, 1.0)
    return space.from_indices(rows)


@settings(max_examples=12)
@given(st.sampled_from(sorted(SPACES)), st.integers(0, 10_000), st.integers(1, 6))
def test_a_group_gives_the_numbers_of_each_candidate_alone(name: str, seed: int, size: int) -> None:
    asked = population(name, seed, size)
    together = evaluator(name, 64)(asked)
    alone = [evaluator(name, 0)([architecture])[0] for architecture in asked]
    for shared, single in zip(together, alone, strict=True):
        assert shared.failure is None
        assert shared.values == single.values
        assert shared.details == single.details


@settings(max_examples=8)
@given(
    st.sampled_from(["batch norm", "parallel paths"]),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.05, 0.1]),
    st.sampled_from([1, 50_000, 1 << 26]),
)
def test_statistics_of_a_group_are_those_of_each_alone_although_they_settle_at_different_times(
    name: str, seed: int, tolerance: float, memory: int
) -> None:
    supernet, task = world(name)
    batches = [batch.inputs for batch in task.calibration_batches(0, 160, 16)]
    asked = population(name, seed, 5)
    together = [supernet.extract(a) for a in asked]
    reports = calibrate_group(together, batches, memory=memory, tolerance=tolerance)
    for architecture, model, report in zip(asked, together, reports, strict=True):
        alone = supernet.extract(architecture)
        assert report == calibrate(alone, batches, tolerance=tolerance)
        for (key, value), other in zip(alone.state_dict().items(), model.state_dict().values(), strict=True):
            assert torch.equal(value, other), key
        assert [m.training for m in alone.modules()] == [m.training for m in model.modules()]


def test_networks_settle_at_different_times_in_that_test() -> None:
    supernet, task = world("batch norm")
    batches = [batch.inputs for batch in task.calibration_batches(0, 160, 16)]
    used = set()
    for seed in range(6):
        models = [supernet.extract(a) for a in population("batch norm", seed, 5)]
        assert has_batch_norm(models[0])
        used |= {getattr(r, "batches", None) for r in calibrate_group(models, batches, memory=1 << 26, tolerance=0.05)}
    assert len(used) > 1


class _Breaking(nn.Module):
    """Raises for one width, in calibration or only afterwards."""

    def __init__(self, module: nn.Module, *, late: bool) -> None:
        super().__init__()
        self.module = module
        self.late = late

    def forward(self, x: Tensor) -> Tensor:
        norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
        if not self.late or not any(m.training for m in norms):
            raise MemoryError("no room")
        y: Tensor = self.module(x)
        return y


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("where", ["stem", "two"])
def test_one_failing_candidate_touches_no_other(monkeypatch: pytest.MonkeyPatch, late: bool, where: str) -> None:
    asked = population("batch norm", 4, 5)
    victim = asked[2]
    expected = evaluator("batch norm", 64)(asked)
    original = PlainSupernet.extract

    def extract(self: PlainSupernet, architecture: Architecture) -> nn.Module:
        model = original(self, architecture)
        if architecture == victim:
            blocks = model.get_submodule(f"{where}.blocks")
            assert isinstance(blocks, nn.Sequential)
            blocks[0] = _Breaking(blocks[0], late=late)
        return model

    monkeypatch.setattr(PlainSupernet, "extract", extract)
    outcomes = evaluator("batch norm", 64)(asked)
    assert "no room" in str(outcomes[2].failure)
    for number in (0, 1, 3, 4):
        assert asked[number] != victim
        assert outcomes[number].values == expected[number].values


class _Viewing(nn.Module):
    """Needs its input in the usual order of memory, as careless blocks do."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1).view(x.shape)


def test_a_network_that_cannot_take_channels_last_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    original = PlainSupernet.extract

    def extract(self: PlainSupernet, architecture: Architecture) -> nn.Module:
        model = original(self, architecture)
        blocks = model.get_submodule("stem.blocks")
        assert isinstance(blocks, nn.Sequential)
        blocks.append(_Viewing())
        return model

    asked = population("batch norm", 8, 3)
    expected = evaluator("batch norm", 64)(asked)
    monkeypatch.setattr(PlainSupernet, "extract", extract)
    for outcome, usual in zip(evaluator("batch norm", 64)(asked), expected, strict=True):
        assert outcome.failure is None
        assert outcome.values == pytest.approx(usual.values, rel=1e-4)


def test_outputs_that_are_not_finite_fail_their_own_candidate_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = population("layer norm", 9, 4)
    expected = evaluator("layer norm", 64)(asked)
    original = PlainSupernet.extract

    def extract(self: PlainSupernet, architecture: Architecture) -> nn.Module:
        model = original(self, architecture)
        if architecture == asked[1]:
            with torch.no_grad():
                next(model.get_submodule("head").parameters()).fill_(float("nan"))
        return model

    monkeypatch.setattr(PlainSupernet, "extract", extract)
    outcomes = evaluator("layer norm", 64)(asked)
    assert "not a finite number" in str(outcomes[1].failure)
    assert [_values(outcomes, i) for i in (0, 2, 3)] == [_values(expected, i) for i in (0, 2, 3)]


def _values(outcomes: Sequence[Any], number: int) -> Any:
    assert outcomes[number].failure is None
    return outcomes[number].values
