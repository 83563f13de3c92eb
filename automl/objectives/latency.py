"""Latency: time of one forward of the extracted model, in the runtime that will serve it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, final

from pydantic import BaseModel

from automl.objectives.candidate import Candidate
from automl.objectives.context import cpu_name, versions
from automl.objectives.objective import Objective
from automl.objectives.options import LatencyOptions
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.timing import interleaved_times, median_interval, steady_machine
from automl.objectives.value import Value

__all__ = ["Latency"]


@final
class Latency(Objective):
    """Median time of one forward in milliseconds, with a 95 % interval and the full measuring context.

    All candidates of a group are prepared first and then timed in turns, A B C A B C, after a warm-up, with fixed threads, no
    garbage collection and denormals flushed. The interval is that of the median over the visits; slow drifts of the
    machine that outlast a whole group are not in it.

    Args:
        runtime: what runs the model.
        batch_size: samples in one forward.
        threads: threads of one forward.
        repeats: timed visits to each candidate.
        warmup: untimed forwards before the first visit.
        budget: seconds for each candidate, after which no further round starts.
    """

    name: ClassVar[str] = "latency"
    unit: ClassVar[str] = "ms"
    repeatable: ClassVar[bool] = False
    options_model: ClassVar[type[BaseModel]] = LatencyOptions

    def __init__(
        self,
        *,
        runtime: Runtime,
        batch_size: int = 1,
        threads: int = 1,
        repeats: int = 25,
        warmup: int = 5,
        budget: float = 2.0,
    ) -> None:
        self._runtime: Final = runtime
        self._batch_size: Final = batch_size
        self._threads: Final = threads
        self._repeats: Final = repeats
        self._warmup: Final = warmup
        self._budget: Final = budget

    def measure(self, candidate: Candidate) -> Value:
        (result,) = self.measure_group([candidate])
        if isinstance(result, Exception):
            raise result
        return result

    def measure_group(self, candidates: Sequence[Candidate]) -> list[Value | Exception]:
        results: list[Value | Exception | None] = [None] * len(candidates)
        sessions: list[Callable[[], None]] = []
        prepared: list[int] = []
        for index, candidate in enumerate(candidates):
            try:
                sessions.append(self._session(candidate))
                prepared.append(index)
            except Exception as error:
                results[index] = error
        with steady_machine(self._threads):
            samples = interleaved_times(sessions, repeats=self._repeats, warmup=self._warmup, budget=self._budget)
        for index, times in zip(prepared, samples, strict=True):
            results[index] = (
                times if isinstance(times, Exception) else self._value(times, candidates[index], len(sessions))
            )
        return [result for result in results if result is not None]

    def _session(self, candidate: Candidate) -> Callable[[], None]:
        inputs = candidate.example_inputs(self._batch_size)
        return self._runtime.prepare(candidate.model, inputs, threads=self._threads, trace=candidate.trace)

    def _value(self, times: Sequence[float], candidate: Candidate, group: int) -> Value:
        median, low, high, coverage = median_interval(times)
        return Value(1e3 * median, 1e3 * low, 1e3 * high, self._context(candidate, len(times), coverage, group))

    def _context(self, candidate: Candidate, repeats: int, coverage: float, group: int) -> dict[str, Any]:
        tensors = [*candidate.model.parameters(), *candidate.example_inputs(1)]
        dtypes = [str(tensor.dtype).removeprefix("torch.") for tensor in tensors if tensor.is_floating_point()]
        return {
            "runtime": self._runtime.name,
            "batch_size": self._batch_size,
            "dtype": dtypes[0] if dtypes else "none",
            "threads": self._threads,
            "repeats": repeats,
            "interleaved": group,
            "coverage": round(coverage, 4),
            "denormals": "flushed to zero",
            "cpu": cpu_name(),
            "versions": versions("torch", "automl-supernets", *self._runtime.distributions),
        }
