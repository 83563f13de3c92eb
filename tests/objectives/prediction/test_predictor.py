"""Predictions on a machine that is additive: there they are exact, whatever was profiled and in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from torch import nn

from automl.errors import AutomlError
from automl.objectives import Candidate
from automl.objectives.prediction.parts import part_paths
from automl.objectives.prediction.predictor import LatencyPredictor, UnprofiledError
from automl.objectives.prediction.preparation import prepare_table, typical_architectures
from automl.objectives.runtimes import Runtime
from automl.progress import SilentProgress
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks import ImageClassification

Network = Callable[[Architecture], Candidate]
Make = Callable[..., LatencyPredictor]
Truth = Callable[[nn.Module], float]


def _samples(supernet: Supernet, count: int, seed: int = 7) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [supernet.space.sample(rng) for _ in range(count)]


def test_a_complete_table_predicts_every_network_of_an_additive_machine(
    make_predictor: Make, supernet: Supernet, task: ImageClassification, network: Network, true_ms: Truth
) -> None:
    predictor = make_predictor()
    prepare_table(predictor, supernet, task, progress=SilentProgress(), complete=True)
    correction = predictor.table.correction
    assert correction is not None
    assert (correction.intercept, correction.slope) == pytest.approx((2.0, 1.0), rel=1e-6)
    assert correction.spread < 1e-6
    for architecture in _samples(supernet, 25):
        candidate = network(architecture)
        value = predictor.predict(candidate)
        assert value.value == pytest.approx(true_ms(candidate.model), rel=1e-6)
        assert value.low is not None
        assert value.high is not None
        assert value.low <= value.value <= value.high


def test_what_was_profiled_is_kept_and_not_profiled_again(
    make_predictor: Make, machine: Any, supernet: Supernet, task: ImageClassification, network: Network
) -> None:
    first = make_predictor()
    prepare_table(first, supernet, task, progress=SilentProgress(), complete=True)
    sessions, known = len(machine.prepared), dict(first.table.entries)
    machine.speed = 3.0  # were anything timed again, it would show
    again = make_predictor()
    prepare_table(again, supernet, task, progress=SilentProgress(), complete=True)
    assert len(machine.prepared) == sessions
    assert again.table.entries == known
    (architecture,) = _samples(supernet, 1)
    assert again.predict(network(architecture)) == first.predict(network(architecture))


def test_profiling_that_was_killed_goes_on_where_it_was(
    make_predictor: Make, machine: Any, supernet: Supernet, task: ImageClassification
) -> None:
    class Killed(SilentProgress):
        def advance(self, steps: int = 1, status: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_table(make_predictor(), supernet, task, progress=Killed(), complete=True)
    assert len(make_predictor().table.entries) > 0
    prepare_table(make_predictor(), supernet, task, progress=SilentProgress(), complete=True)
    resumed = make_predictor().table
    prepared = len(machine.prepared)
    whole = make_predictor(killed="never")
    prepare_table(whole, supernet, task, progress=SilentProgress(), complete=True)
    assert len(machine.prepared) == 2 * prepared
    assert resumed.correction is not None
    assert {key: entry.ms for key, entry in resumed.entries.items()} == pytest.approx(
        {key: entry.ms for key, entry in whole.table.entries.items()}
    )


def test_a_network_with_an_unknown_block_is_refused_by_name(
    make_predictor: Make, supernet: Supernet, network: Network
) -> None:
    predictor = make_predictor()
    smallest, largest = supernet.space.smallest(), supernet.space.largest()
    assert not predictor.profile([network(smallest)], fit=True)
    predictor.predict(network(smallest))
    with pytest.raises(UnprofiledError, match="not predicted beyond what was profiled") as caught:
        predictor.predict(network(largest))
    message = str(caught.value)
    assert largest.id in message
    assert "lacks stem.blocks.0 (ConvStem, width 32, input float32[1, 1, 8, 8]); reduce.blocks.0" in message
    assert "automl latency profile SPACE --runtime counted" in message


def test_without_a_correction_nothing_is_predicted(make_predictor: Make, supernet: Supernet, network: Network) -> None:
    predictor = make_predictor()
    smallest = network(supernet.space.smallest())
    predictor.profile([smallest])
    with pytest.raises(UnprofiledError, match="no correction yet"):
        predictor.predict(smallest)


def test_a_machine_that_is_slower_now_does_not_make_new_blocks_slower(
    make_predictor: Make, machine: Any, supernet: Supernet, network: Network, true_ms: Truth
) -> None:
    typical = [network(a) for a in typical_architectures(supernet.space)]
    predictor = make_predictor()
    predictor.profile(typical, fit=True)
    machine.speed = 1.7
    late = next(c for c in (network(a) for a in _samples(supernet, 50)) if predictor.missing(predictor.parts(c)))
    predictor.profile([late])
    assert predictor.predict(late).value == pytest.approx(true_ms(late.model), rel=1e-6)


def test_one_network_that_cannot_run_does_not_touch_the_others(
    make_predictor: Make, machine: Any, supernet: Supernet, network: Network
) -> None:
    machine.broken = {2}
    networks = [network(a) for a in typical_architectures(supernet.space, 4)]
    failures = make_predictor().profile(networks, fit=True)
    assert list(failures) == [1]
    assert "no such network here" in str(failures[1])
    predictor = make_predictor()
    for position in (0, 2, 3):
        predictor.predict(networks[position])


def test_a_space_of_which_nothing_runs_is_one_clear_error(
    make_predictor: Make, machine: Any, supernet: Supernet, task: ImageClassification
) -> None:
    machine.broken = set(range(1000))
    with pytest.raises(AutomlError, match="no network of this space could be measured: no such network here"):
        prepare_table(make_predictor(), supernet, task, progress=SilentProgress(), complete=True)


class _Sealed(Runtime):
    """Cannot look inside."""

    name = "sealed"

    def prepare(self, *_: Any, **__: Any) -> Callable[[], None]:
        raise AssertionError("whole networks are measured by the function that the predictor was given")


def test_blocks_are_fitted_to_whole_networks_where_nothing_can_look_inside(
    make_predictor: Make, supernet: Supernet, task: ImageClassification, network: Network, true_ms: Truth
) -> None:
    predictor = make_predictor(_Sealed())
    prepare_table(predictor, supernet, task, progress=SilentProgress(), complete=True)
    correction = predictor.table.correction
    assert correction is not None
    assert correction.parts == "fitted"
    assert all(entry.samples == 0 for entry in predictor.table.entries.values())
    errors = []
    for architecture in _samples(supernet, 20):
        candidate = network(architecture)
        true = true_ms(candidate.model)
        errors.append(abs(predictor.predict(candidate).value / true - 1))
    assert float(np.median(errors)) < 0.05
    known = len(predictor.table.networks)
    prepare_table(make_predictor(_Sealed()), supernet, task, progress=SilentProgress(), complete=True)
    assert len(make_predictor(_Sealed()).table.networks) == known


def test_a_machine_that_slows_down_between_groups_of_networks_does_not_show(
    make_predictor: Make, machine: Any, supernet: Supernet, network: Network, true_ms: Truth
) -> None:
    networks = [network(a) for a in typical_architectures(supernet.space, 40)]
    groups: list[int] = []

    def slower_and_slower(candidates: Sequence[Candidate], repeats: int) -> list[float | Exception]:
        groups.append(len(candidates))
        return [len(groups) * true_ms(candidate.model) for candidate in candidates]

    predictor = make_predictor(_Sealed(), measure_whole=slower_and_slower)
    assert not predictor.profile(networks)
    assert groups == [16, 17, 9], "the first network is measured again with every later group"
    for candidate in networks:
        assert candidate.architecture is not None
        assert predictor.table.networks[candidate.architecture.id] == pytest.approx(true_ms(candidate.model))


def test_other_contexts_know_nothing_of_each_other(make_predictor: Make, supernet: Supernet, network: Network) -> None:
    one, two = make_predictor(threads=1), make_predictor(threads=2)
    one.profile([network(supernet.space.smallest())], fit=True)
    assert one.table.path != two.table.path
    assert not make_predictor(threads=2).table.entries
    assert make_predictor(threads=1).table.entries == one.table.entries


def test_the_counted_machine_is_what_the_tests_take_it_for(
    counted: Runtime, machine: Any, network: Network, supernet: Supernet, true_ms: Truth
) -> None:
    candidate = network(supernet.space.smallest())
    session = counted.prepare_parts(
        candidate.model,
        candidate.example_inputs(1),
        threads=1,
        trace=candidate.trace,
        parts=part_paths(candidate.model),
    )
    assert session is not None
    before = machine.clock()
    session.whole()
    assert 1e3 * (machine.clock() - before) == pytest.approx(true_ms(candidate.model))
