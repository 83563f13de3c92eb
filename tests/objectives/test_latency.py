"""Latency in both runtimes: context, order, failures, and the same numbers as the model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.errors import ConfigError, UnknownNameError
from automl.host import Host
from automl.objectives import Candidate, Latency, Trace, Value, build_objective
from automl.objectives.runtimes import Eager, OnnxRuntime, Runtime
from automl.objectives.runtimes.onnx_conversion import to_onnx
from automl.progress import SilentProgress
from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.testing.toy_task import ToyTask, toy_supernet


class _Sleeper(nn.Module):
    """Takes the given time and some more."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.layer, self.seconds = nn.Linear(64, 10), seconds

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return self.layer(x.flatten(1))


def test_latency_is_the_median_with_interval_and_context(candidate: Callable[..., Candidate]) -> None:
    latency = Latency(runtime=Eager(), batch_size=3, threads=1, repeats=7, warmup=1)
    fast, slow = latency.measure_group([candidate(_Sleeper(0.002)), candidate(_Sleeper(0.008))])
    assert isinstance(fast, Value)
    assert isinstance(slow, Value)
    assert 2 <= fast.value < 8 <= slow.value
    assert fast.low is not None
    assert fast.high is not None
    assert fast.low <= fast.value <= fast.high
    context = json.loads(json.dumps(fast.context))
    assert context["runtime"] == "eager"
    assert (context["batch_size"], context["threads"], context["repeats"]) == (3, 1, 7)
    assert (context["dtype"], context["interleaved"]) == ("float32", 2)
    assert context["coverage"] >= 0.95
    assert {"python", "torch"} <= set(context["versions"])
    assert "cores" in context["cpu"]


def test_the_session_gets_the_batch_and_the_threads(candidate: Callable[..., Candidate]) -> None:
    seen: list[tuple[int, int, int]] = []

    class Spy(Runtime):
        name = "spy"

        def prepare(
            self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
        ) -> Callable[[], None]:
            return lambda: seen.append((len(inputs[0]), threads, torch.get_num_threads()))

    before = torch.get_num_threads()
    Latency(runtime=Spy(), batch_size=5, threads=before + 1, repeats=3).measure(candidate())
    assert set(seen) == {(5, before + 1, before + 1)}
    assert torch.get_num_threads() == before


def test_a_candidate_that_fails_leaves_the_others_their_place(candidate: Callable[..., Candidate]) -> None:
    subjects = [candidate(nn.Linear(3, 2)), candidate(), candidate(nn.Linear(3, 2)), candidate()]
    results = Latency(runtime=Eager(), repeats=3).measure_group(subjects)
    assert [isinstance(result, Value) for result in results] == [False, True, False, True]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Latency(runtime=Eager(), repeats=3).measure(subjects[0])


def test_onnxruntime_runs_the_exported_network(candidate: Callable[..., Candidate]) -> None:
    subject = candidate()
    value = Latency(runtime=OnnxRuntime(), batch_size=2, repeats=5).measure(subject)
    assert 0 < value.value < 1000
    assert {"onnx", "onnxruntime", "torch"} <= set(value.context["versions"])


def test_the_converted_network_is_one_clean_graph_with_a_free_batch(
    candidate: Callable[..., Candidate], capfd: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    torch.manual_seed(0)
    subject = candidate(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, 10)))
    proto = to_onnx(subject.model, subject.trace())
    assert capfd.readouterr() == ("", "")
    assert b".py" not in proto.SerializeToString()  # no paths or source lines of this machine
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 4):
        (images,) = subject.example_inputs(batch)
        (logits,) = session.run(None, {subject.task.input_names[0]: images.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), subject.model(images).detach(), rtol=1e-5, atol=1e-5)


def test_objectives_are_built_by_name_with_their_options() -> None:
    host = Host.load(entry_points=False)
    latency = build_objective(host, "latency", {"runtime": "onnxruntime", "threads": 2})
    assert isinstance(latency, Latency)
    for name in ("error", "loss", "params", "macs", "size", "peak-memory", "latency"):
        objective = build_objective(host, name)
        assert objective.name == name
        assert objective.unit == host.find("objective", name).unit


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("latencey", {}, "unknown objective 'latencey'. Did you mean 'latency'"),
        ("latency", {"runtime": "egaer"}, "latency.runtime: unknown runtime 'egaer'. Did you mean 'eager'"),
        ("latency", {"thread": 2}, "unknown option 'thread'. Did you mean 'threads'"),
        ("latency", {"budget": -1}, "latency.budget: -1 is not valid"),
        ("params", {"part": "test"}, "unknown option 'part'"),
    ],
)
def test_wrong_names_and_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises((UnknownNameError, ConfigError), match=message):
        build_objective(Host.load(entry_points=False), name, options)


def _tiny() -> tuple[Supernet, Task]:
    return toy_supernet(0), ToyTask(seed=0)


def test_a_search_sees_predictions_and_a_front_measurements(tmp_path: Path) -> None:
    supernet, task = _tiny()
    latency = Latency(runtime=Eager(), repeats=3, warmup=1, cache=str(tmp_path))
    assert latency.final() is latency  # nothing is predicted before it is prepared
    latency.prepare(supernet, task, SilentProgress())
    rng = np.random.default_rng(0)
    candidates = [Candidate(a, supernet.extract(a), task) for a in (supernet.space.sample(rng) for _ in range(4))]
    first, again = latency.measure_group(candidates), latency.measure_group(candidates)
    assert first == again  # a table gives the same numbers every time
    for value in first:
        assert isinstance(value, Value)
        assert value.context["mode"] == "predicted"
        assert value.low is not None
        assert value.high is not None
        assert value.low <= value.value <= value.high
    later = Latency(runtime=Eager(), repeats=3, warmup=1, cache=str(tmp_path))
    later.prepare(supernet, task, SilentProgress())
    assert later.measure_group(candidates[::-1]) == first[::-1]
    final = latency.final()
    assert final is not latency
    (measured, *_) = final.measure_group(candidates)
    assert isinstance(measured, Value)
    assert measured.context["mode"] == "measured"


def test_a_search_that_wants_to_measure_prepares_nothing(tmp_path: Path) -> None:
    supernet, task = _tiny()
    latency = Latency(runtime=Eager(), mode="measured", repeats=3, cache=str(tmp_path))
    latency.prepare(supernet, task, SilentProgress())
    smallest = supernet.space.smallest()
    value = latency.measure(Candidate(smallest, supernet.extract(smallest), task))
    assert value.context["mode"] == "measured"
    assert not list(tmp_path.iterdir())


def test_rounds_use_the_same_sessions(candidate: Callable[..., Candidate]) -> None:
    prepared: list[int] = []

    class Counting(Runtime):
        name = "counting"

        def prepare(
            self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
        ) -> Callable[[], None]:
            prepared.append(1)
            return lambda: None

    rounds = Latency(runtime=Counting(), repeats=3).measure_rounds([candidate(), candidate()], 3)
    assert len(prepared) == 2
    assert [len(values) for values in rounds] == [2, 2, 2]
