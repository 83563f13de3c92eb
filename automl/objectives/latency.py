"""Latency: time of one forward of the extracted model, in the runtime that will serve it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from pydantic import BaseModel

from automl.cache_folder import cache_folder
from automl.objectives.candidate import Candidate
from automl.objectives.context import serving_context
from automl.objectives.objective import Objective
from automl.objectives.options import LatencyOptions
from automl.objectives.prediction.parts import Part
from automl.objectives.prediction.predictor import LatencyPredictor
from automl.objectives.prediction.preparation import prepare_table
from automl.objectives.prediction.structure import signature
from automl.objectives.prediction.table import BlockTable
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.timing import interleaved_times, level_rounds, median_interval, steady_machine
from automl.objectives.value import Value
from automl.progress import Progress

if TYPE_CHECKING:
    from automl.supernet import Supernet
    from automl.tasks import Task

__all__ = ["Latency"]


@final
class Latency(Objective):
    """Median time of one forward in milliseconds, with a 95 % interval and the full measuring context.

    During a search it is predicted: ``prepare`` times every block of the space once inside whole networks, and a candidate
    is the corrected sum of its blocks, with the interval of such a prediction. Blocks that turn up later are timed when
    they are first needed. Without ``prepare``, and for the members of the front, networks are measured:

    All candidates of a group are prepared first and then timed in turns, A B C A B C, after a warm-up, with fixed threads, no
    garbage collection and denormals flushed. The speed of the machine in each round is taken out where a group is large
    enough to tell (``level_rounds``). The interval is that of the median over the visits; drifts that outlast a whole
    group are not in it.

    Args:
        runtime: what runs the model.
        mode: ``"predicted"`` or ``"measured"``: what a search sees.
        cache: folder of the tables of timed blocks; left out, that of ``cache_folder``.
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
        mode: str = "predicted",
        cache: str | None = None,
        batch_size: int = 1,
        threads: int = 1,
        repeats: int = 25,
        warmup: int = 5,
        budget: float = 2.0,
    ) -> None:
        self._runtime: Final = runtime
        self._mode: Final = mode
        self._cache: Final = Path(cache) if cache is not None else cache_folder()
        self._batch_size: Final = batch_size
        self._threads: Final = threads
        self._repeats: Final = repeats
        self._warmup: Final = warmup
        self._budget: Final = budget
        self._predictor: LatencyPredictor | None = None

    def measure(self, candidate: Candidate) -> Value:
        (result,) = self.measure_group([candidate])
        if isinstance(result, Exception):
            raise result
        return result

    def measure_group(self, candidates: Sequence[Candidate]) -> list[Value | Exception]:
        if self._predictor is not None:
            return self._predicted(self._predictor, candidates)
        (results,) = self.measure_rounds(candidates, 1)
        return results

    def measure_rounds(
        self, candidates: Sequence[Candidate], rounds: int, *, repeats: int | None = None
    ) -> list[list[Value | Exception]]:
        """Measures a group several times over, with the same sessions; shows how far a measurement repeats itself.

        Args:
            candidates: the networks.
            rounds: measurements.
            repeats: visits to each network in each measurement, with a budget to match; left out, those of the options.
        """
        failures: dict[int, Exception] = {}
        sessions: dict[int, Callable[[], Sequence[float] | None]] = {}
        for index, candidate in enumerate(candidates):
            try:
                sessions[index] = self._session(candidate)
            except Exception as error:
                failures[index] = error
        measured = []
        for _ in range(rounds):
            samples = dict(zip(sessions, self._samples(list(sessions.values()), repeats or self._repeats), strict=True))
            values: list[Value | Exception] = []
            for index, candidate in enumerate(candidates):
                times = failures.get(index) or samples[index]
                values.append(times if isinstance(times, Exception) else self._value(times, candidate, len(sessions)))
            measured.append(values)
        return measured

    def prepare(self, supernet: Supernet, task: Task, progress: Progress) -> None:
        if self._mode == "predicted":
            predictor = self.predictor(supernet, task)
            prepare_table(predictor, supernet, task, progress=progress, complete=False)
            self._predictor = predictor

    def predictor(self, supernet: Supernet, task: Task) -> LatencyPredictor:
        """Returns the predictor of a space in this measuring context, with whatever its table holds by now."""
        inputs = task.example_inputs(self._batch_size)
        context = serving_context(
            self._runtime, [*supernet.parameters(), *inputs], batch_size=self._batch_size, threads=self._threads
        )
        table = BlockTable(self._cache, space=supernet.space.digest, inputs=signature(inputs), context=context)

        def whole(candidates: Sequence[Candidate], repeats: int) -> list[float | Exception]:
            (values,) = self.measure_rounds(candidates, 1, repeats=repeats)
            return [value if isinstance(value, Exception) else value.value for value in values]

        return LatencyPredictor(
            table,
            runtime=self._runtime,
            batch_size=self._batch_size,
            threads=self._threads,
            repeats=self._repeats,
            warmup=self._warmup,
            budget=self._budget,
            measure_whole=whole,
        )

    def final(self) -> Latency:
        if self._predictor is None:
            return self
        return Latency(
            runtime=self._runtime,
            mode="measured",
            batch_size=self._batch_size,
            threads=self._threads,
            repeats=self._repeats,
            warmup=self._warmup,
            budget=self._budget,
        )

    def _predicted(self, predictor: LatencyPredictor, candidates: Sequence[Candidate]) -> list[Value | Exception]:
        results: list[Value | Exception] = []
        parts: dict[int, list[Part]] = {}
        failures: dict[int, Exception] = {}
        for index, candidate in enumerate(candidates):
            try:
                parts[index] = predictor.parts(candidate)
            except Exception as error:
                failures[index] = error
        lacking = [index for index, found in parts.items() if predictor.missing(found)]
        if lacking:
            failed = predictor.profile([candidates[index] for index in lacking])
            failures.update({lacking[position]: error for position, error in failed.items()})
        for index, candidate in enumerate(candidates):
            try:
                if index in failures:
                    raise failures[index]
                value = predictor.predict(candidate, parts[index])
                context = {**self._context(candidate), "mode": "predicted", **value.context}
                results.append(Value(value.value, value.low, value.high, context))
            except Exception as error:
                results.append(error)
        return results

    def _samples(
        self, sessions: Sequence[Callable[[], Sequence[float] | None]], repeats: int
    ) -> list[list[float] | Exception]:
        if self._runtime.elsewhere:
            return [_reported(session) for session in sessions]
        with steady_machine(self._threads):
            budget = self._budget * repeats / self._repeats
            samples = interleaved_times(sessions, repeats=repeats, warmup=self._warmup, budget=budget)
        fine = iter(level_rounds([times for times in samples if not isinstance(times, Exception)]))
        return [times if isinstance(times, Exception) else next(fine) for times in samples]

    def _session(self, candidate: Candidate) -> Callable[[], Sequence[float] | None]:
        inputs = candidate.example_inputs(self._batch_size)
        return self._runtime.prepare(candidate.model, inputs, threads=self._threads, trace=candidate.trace)

    def _value(self, times: Sequence[float], candidate: Candidate, group: int) -> Value:
        median, low, high, coverage = median_interval(times)
        context = {
            **self._context(candidate),
            "mode": "measured",
            "repeats": len(times),
            "interleaved": 1 if self._runtime.elsewhere else group,
            "coverage": round(coverage, 4),
        }
        return Value(1e3 * median, 1e3 * low, 1e3 * high, context)

    def _context(self, candidate: Candidate) -> dict[str, Any]:
        tensors = [*candidate.model.parameters(), *candidate.example_inputs(1)]
        return serving_context(self._runtime, tensors, batch_size=self._batch_size, threads=self._threads)


def _reported(session: Callable[[], Sequence[float] | None]) -> list[float] | Exception:
    try:
        return list(session() or ())
    except Exception as error:
        return error
