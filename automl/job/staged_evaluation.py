"""Measuring candidates in rungs of growing validation samples: most of a weak candidate's samples are saved.

Every group of candidates sees the samples in an order of its own, drawn from the seed and the number of candidates told
before. So the order is independent of what led to these candidates, which the error rate of racing relies on, and a search
that was interrupted draws the same again. After each rung the searcher says who goes on (``Searcher.promote``); where it has
no opinion, racing stops those that a member of the front dominates with confidence, and those that break a constraint on
a quantity that does not depend on samples. What is decided about a candidate depends on nothing but itself and what was told
before its group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn

from automl.job.evaluation import Evaluator
from automl.job_config import EvaluationConfig
from automl.objectives.candidate import Candidate
from automl.objectives.value import Value
from automl.search.measurement import Measurement, Outcome
from automl.search.pareto import IntVector, pareto_front
from automl.search.racing import Race, Scores, Standing, rung_sizes
from automl.search.searcher import Searcher
from automl.space import Architecture
from automl.tasks.task import Batch, Task

__all__ = ["StagedEvaluator", "search_evaluation"]

Promote: TypeAlias = Callable[[Sequence[Measurement]], Sequence[bool] | None]
_TOLERANCE: Final = 1e-6
_WORTH_IT: Final = 1000
"""Validation samples from which on racing is the default: fewer rarely tell candidates apart before the last rung."""


@dataclass
class _Runner:
    """One candidate on its way through the rungs."""

    architecture: Architecture
    model: nn.Module
    details: dict[str, Any]
    answers: list[tuple[Tensor, Batch]] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)


@final
class StagedEvaluator:
    """Measures groups of architectures for a search, stopping those that need not be measured in full.

    Args:
        evaluator: measures candidates; its task must give scores of samples for racing to stop anything.
        promote: the searcher's method.
        confidence: see ``Race``; None never stops a candidate by racing.
        seed: decides the order of the samples.
    """

    def __init__(self, evaluator: Evaluator, *, promote: Promote, confidence: float | None, seed: int) -> None:
        self._evaluator: Final = evaluator
        self._promote: Final = promote
        self._seed: Final = seed
        self._samples: Final = evaluator.validation.samples
        self._sizes: Final = rung_sizes(self._samples)
        self._race: Final = (
            None
            if confidence is None
            else Race(samples=self._samples, rungs=max(1, len(self._sizes) - 1), confidence=confidence)
        )
        self._sampled: set[str] = set()
        self._told = 0
        self._front: list[Measurement] = []
        self._scores: Final[dict[Architecture, dict[str, Scores]]] = {}

    def hear(self, measurement: Measurement) -> None:
        """Hears of every measurement of the search, those of earlier starts included, in their order."""
        self._told += 1
        if not measurement.feasible or "order" not in measurement.details:
            self._scores.pop(measurement.architecture, None)
            return
        rivals = [*self._front, measurement]
        self._front = [rivals[i] for i in pareto_front([r.values for r in rivals if r.values is not None])]
        for rival in rivals:
            if rival not in self._front:
                self._scores.pop(rival.architecture, None)

    def __call__(self, architectures: Sequence[Architecture]) -> list[Outcome]:
        """Measures a group; a candidate that raises is a failure of its own and touches no other."""
        evaluator = self._evaluator
        runners: dict[int, _Runner] = {}
        failures: dict[int, Exception] = {}
        for i, prepared in enumerate(evaluator.prepare(architectures)):
            if isinstance(prepared, Exception):
                failures[i] = prepared
            else:
                details = {"calibration": prepared.calibration.to_dict(), "order": self._told, "rungs": []}
                runners[i] = _Runner(architectures[i], prepared.model, details)
        left = dict(runners)
        order = self._order(self._told)
        for rung, size in enumerate(self._sizes):
            sampled = self._advance(left, failures, order, rung)
            left = {i: runner for i, runner in left.items() if i not in failures}
            if not sampled:
                break
            if size < self._samples:
                left = self._survivors(left, sampled, order[:size])
        for i, runner in left.items():
            runner.details["fidelity"] = 1.0
            self._scores[architectures[i]] = _in_place(self._sample_scores(runner), order)
        return [
            evaluator.outcome(
                runners[i].values if i in runners else {}, failures.get(i), runners[i].details if i in runners else {}
            )
            for i in range(len(architectures))
        ]

    def _order(self, told: int) -> IntVector:
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(4, told)))
        return rng.permutation(self._samples)

    def _advance(
        self, runners: Mapping[int, _Runner], failures: dict[int, Exception], order: IntVector, rung: int
    ) -> set[str]:
        """Measures what depends on the samples of a rung, at the first one everything; returns what depends on them."""
        shown = _Rung(self._evaluator, runners, order, self._sizes[rung - 1] if rung else 0, self._sizes[rung])
        sampled: set[str] = set()
        for quantity in self._evaluator.quantities:
            if rung and quantity.name not in self._sampled:
                continue
            shown.asked = False
            candidates = {i: shown.candidate(i) for i in runners if i not in failures}
            for i, values in self._evaluator.measured(candidates, failures, [quantity]).items():
                runners[i].values.update(values)
            if shown.asked:
                sampled.add(quantity.name)
        self._sampled = sampled
        for i, runner in runners.items():
            if i not in failures:
                runner.details["fidelity"] = self._sizes[rung] / self._samples
                row = [runner.values[objective.name].value for objective in self._evaluator.objectives]
                runner.details["rungs"].append([self._sizes[rung], *row])
        return sampled

    def _survivors(self, runners: dict[int, _Runner], sampled: set[str], order: IntVector) -> dict[int, _Runner]:
        """Returns those that go on."""
        partial = []
        for runner in runners.values():
            outcome = self._evaluator.outcome(runner.values, None, {})
            assert outcome.values is not None
            details = {name: runner.details[name] for name in ("fidelity", "rungs")}
            partial.append(Measurement.of(runner.architecture, outcome, details))
        promoted = self._promote(partial) if partial else None
        if promoted is not None:
            for runner, goes_on in zip(runners.values(), promoted, strict=True):
                if not goes_on:
                    runner.details["stopped"] = "not promoted by the searcher"
        elif self._race is not None:
            self._stop_hopeless(runners, sampled, order, self._race)
        return {i: runner for i, runner in runners.items() if "stopped" not in runner.details}

    def _stop_hopeless(self, runners: Mapping[int, _Runner], sampled: set[str], order: IntVector, race: Race) -> None:
        members = self._rivals(sampled, order)
        for runner in runners.values():
            for constraint in self._evaluator.constraints:
                value = runner.values[constraint.objective].value
                if constraint.objective not in sampled and not constraint.met(value):
                    runner.details["stopped"] = f"breaks {constraint}"
            standing = self._standing(runner.values, self._sample_scores(runner), sampled)
            if standing is None or "stopped" in runner.details:
                continue
            winner = race.dominator(standing, [member for _, member in members])
            if winner is not None:
                runner.details["stopped"] = f"dominated by {members[winner][0].id}"

    def _rivals(self, sampled: set[str], order: IntVector) -> list[tuple[Architecture, Standing]]:
        """The front before this group, each member with its scores on these samples."""
        missing = [member for member in self._front if member.architecture not in self._scores]
        for member, prepared in zip(
            missing, self._evaluator.prepare([member.architecture for member in missing]), strict=True
        ):
            if not isinstance(prepared, Exception):
                self._measure_again(member, prepared.model)
        rivals = []
        for member in self._front:
            scores = self._scores.get(member.architecture)
            values = {n: Value(v["value"], v["low"], v["high"]) for n, v in member.details["measured"].items()}
            seen = {name: s[order] for name, s in (scores or {}).items()}
            standing = None if scores is None else self._standing(values, seen, sampled, whole=scores)
            if standing is not None:
                rivals.append((member.architecture, standing))
        return rivals

    def _measure_again(self, member: Measurement, model: nn.Module) -> None:
        """Gets the scores of a member of an earlier start: the same samples in the same batches give the same bits."""
        validation = self._evaluator.validation
        order = self._order(int(member.details["order"]))
        runner = _Runner(member.architecture, model, {})
        for start, end in zip([0, *self._sizes], self._sizes, strict=False):
            answers = validation.answers({0: model}, validation.chosen(order[start:end]))[0]
            if isinstance(answers, Exception):
                return
            runner.answers += answers
        self._scores[member.architecture] = _in_place(self._sample_scores(runner), order)

    def _sample_scores(self, runner: _Runner) -> dict[str, Scores]:
        """Scores in the order in which the samples were shown."""
        found: dict[str, list[Scores]] = {}
        for outputs, batch in runner.answers:
            for name, scores in self._evaluator.task.sample_scores(outputs, batch).items():
                array = scores.cpu().numpy()
                found.setdefault(name, []).append(array if array.dtype == np.bool_ else array.astype(np.float64))
        return {name: np.concatenate(arrays) for name, arrays in found.items()}

    def _standing(
        self,
        values: Mapping[str, Value],
        scores: Mapping[str, Scores],
        sampled: set[str],
        whole: Mapping[str, Scores] | None = None,
    ) -> Standing | None:
        """What racing compares; None where the scores of an objective are not known or do not make up its value."""
        low, high, chosen = [], [], []
        for objective in self._evaluator.objectives:
            value = values[objective.name]
            if objective.name in sampled:
                all_scores = (whole or scores).get(objective.name)
                if all_scores is None or abs(float(all_scores.mean()) - value.value) > _TOLERANCE:
                    return None
                chosen.append(scores[objective.name])
            else:
                exact = objective.repeatable or value.low is None or value.high is None
                low.append(value.value if exact else value.low)
                high.append(value.value if exact else value.high)
        return Standing(np.array(low, dtype=np.float64), np.array(high, dtype=np.float64), tuple(chosen))


class _Rung:
    """The new samples of one rung, shown to all candidates as soon as a quantity asks for the quality of one.

    Args:
        evaluator: measures candidates.
        runners: the candidates by number.
        order: order of all samples.
        start: number of samples seen before.
        end: number of samples seen after this rung.
    """

    def __init__(
        self, evaluator: Evaluator, runners: Mapping[int, _Runner], order: IntVector, start: int, end: int
    ) -> None:
        self.asked = False
        self._evaluator: Final = evaluator
        self._runners: Final = dict(runners)
        self._order: Final = order
        self._start: Final = start
        self._end: Final = end

    def candidate(self, number: int) -> Candidate:
        """Returns a candidate whose validation quality is that on the samples seen so far."""
        runner = self._runners[number]

        def quality(part: str) -> tuple[dict[str, float], int] | None:
            if part != "validation":
                return None
            self.asked = True
            failure = self._failures.get(number)
            if failure is not None:
                raise failure
            metrics = self._evaluator.task.score(self._answers(runner))
            return None if metrics is None else (metrics, self._end)

        return self._evaluator.wrap(runner.architecture, runner.model, quality)

    @cached_property
    def _failures(self) -> dict[int, Exception]:
        validation = self._evaluator.validation
        networks = {number: runner.model for number, runner in self._runners.items()}
        failures = {}
        shown = validation.answers(networks, validation.chosen(self._order[self._start : self._end]))
        for number, answers in shown.items():
            if isinstance(answers, Exception):
                failures[number] = answers
            else:
                self._runners[number].answers += answers
        return failures

    def _answers(self, runner: _Runner) -> list[tuple[Tensor, Batch]]:
        """All samples in their usual batches, so that sums are those of a measurement without rungs; else as shown."""
        validation = self._evaluator.validation
        if self._end < validation.samples:
            return runner.answers
        outputs = torch.cat([outputs for outputs, _ in runner.answers])
        usual = torch.empty_like(outputs)
        usual[torch.from_numpy(self._order).to(outputs.device)] = outputs
        parts = torch.split(usual, [len(batch.target) for batch in validation.batches])
        return list(zip(parts, validation.batches, strict=True))


def _in_place(scores: Mapping[str, Scores], order: IntVector) -> dict[str, Scores]:
    """Scores that were gathered in an order, in the order of the samples themselves."""
    placed = {}
    for name, array in scores.items():
        placed[name] = np.empty_like(array)
        placed[name][order] = array
    return placed


def search_evaluation(
    evaluator: Evaluator, searcher: Searcher, config: EvaluationConfig, seed: int
) -> Evaluator | StagedEvaluator:
    """Returns how a search measures its candidates: in rungs where that is wanted, possible and worth it, else in full.

    Args:
        evaluator: measures in full.
        searcher: the searcher; one that promotes candidates itself is not raced.
        config: says whether racing is wanted.
        seed: decides the order of the samples.
    """
    promotes = type(searcher).promote is not Searcher.promote
    possible = type(evaluator.task).score is not Task.score and evaluator.validation.divisible
    samples = evaluator.validation.samples
    races = not promotes and (samples >= _WORTH_IT if config.racing is None else config.racing)
    if not possible or not (races or promotes):
        return evaluator
    confidence = config.confidence if races else None
    return StagedEvaluator(evaluator, promote=searcher.promote, confidence=confidence, seed=seed)
