"""The inner search of predictor-assisted searchers: thousands of predicted architectures for a handful of measured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from automl.search.expected_improvement import ExpectedImprovement
from automl.search.hypervolume import hypervolume
from automl.search.measurement import Measurement
from automl.search.pareto import FloatMatrix, FloatVector, IntVector, nondominated_sort
from automl.search.predictors import (
    KINDS,
    Committee,
    Costs,
    Feasibility,
    Features,
    GaussianProcess,
    Predictor,
    Scale,
    Score,
    choose,
    rank_correlation,
)
from automl.search.survival import survivors, violation_matrix
from automl.search.unseen import IndexMatrix, Unseen
from automl.search.variation import Variation
from automl.space import SearchSpace

__all__ = ["LEAST", "PredictedSearch"]

LEAST: Final = 6
"""Measured candidates without which nothing is predicted."""
_MOST_ROWS: Final = 400
_POOL: Final = 400
_GENERATIONS: Final = 4
_PARENTS: Final = 40
_RANDOM_SHARE: Final = 0.15
_GROWTH: Final = 1.5
_FEW_STEPS: Final = 15
_REFERENCE: Final = 1.25
"""Reference point in the scaled objectives: somewhat beyond the worst, so that the ends of the front are worth finding."""
_MEMORY: Final = 200
_RECENT: Final = 60
_ENOUGH: Final = 12
_TRUSTED: Final = 0.4
"""Rank correlation of promised and realised values from which on a predictor is trusted."""
_NEAR: Final = 0.5
_EXACT: Final = 3
"""Objectives up to which a realised gain is computed; with more, a new member of the front counts as promised."""


class _Promise(NamedTuple):
    """What a proposed candidate was expected to be: its values, its gain, and the scale in which the gain was meant."""

    values: list[float]
    gain: float
    low: list[float]
    span: list[float]


class _Outcome(NamedTuple):
    """What became of a promise: its realised gain, and the realised values if there are any."""

    promise: _Promise
    gain: float
    values: list[float] | None


class PredictedSearch:
    """Learns from measurements and proposes architectures that are predicted to widen the front.

    Every objective has its own predictors, chosen by cross-validated rank correlation whenever the measurements have grown
    by half and refitted for each proposal. An evolutionary search then maximises the expected gain in hypervolume over
    architectures that nobody has measured; the batch is taken greedily, each member as if the earlier ones had already
    been measured, so its members complement each other. Chances of failing and of missing a constraint are predicted as well.

    Args:
        space: the search space.
        objectives: number of objectives.
        exploration: least share of the predictors' standard deviation that counts; 0 trusts the means. The share of an
            objective grows to 1 as the values of its latest proposals lose all correlation with what was promised.
        costs: analytic costs that become features.
    """

    def __init__(self, space: SearchSpace, *, objectives: int, exploration: float, costs: Costs | None = None) -> None:
        self._space: Final = space
        self._objectives: Final = objectives
        self._exploration: Final = exploration
        self._features: Final = Features(space, costs)
        self._variation: Final = Variation(space)
        self._rows: list[IndexMatrix] = []
        self._measured: list[Measurement] = []
        self._promises: dict[bytes, _Promise] = {}
        self._kept: list[_Outcome] = []
        self._weights: dict[str, list[float]] = {}
        self._scores: dict[str, Score] = {}
        self._scored_at = 0

    def __len__(self) -> int:
        """Number of candidates with values."""
        return sum(measurement.values is not None for measurement in self._measured)

    @property
    def scores(self) -> Sequence[Score]:
        """How well each objective is predicted, as of the last choice of predictors."""
        return [self._scores[str(j)] for j in range(self._objectives) if str(j) in self._scores]

    def learn(self, results: Sequence[Measurement]) -> None:
        """Takes measurements in."""
        rows = self._space.to_indices([result.architecture for result in results])
        for row, result in zip(rows, results, strict=True):
            promise = self._promises.pop(row.tobytes(), None)
            if promise is not None:
                values = None if result.values is None else list(result.values)
                outcome = _Outcome(promise, self._realised(promise, result), values)
                self._kept = [*self._kept[1 - _MEMORY :], outcome]
            self._rows.append(row)
            self._measured.append(result)

    def state(self) -> dict[str, Any]:
        """Returns what later proposals depend on besides the measurements."""
        return {
            "weights": self._weights,
            "scores": {name: score.to_json() for name, score in self._scores.items()},
            "scored_at": self._scored_at,
            "promises": [[np.frombuffer(key, dtype=np.int64).tolist(), p] for key, p in self._promises.items()],
            "kept": self._kept,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes back what ``state`` returned."""
        self._weights = {str(name): [float(w) for w in weights] for name, weights in state["weights"].items()}
        self._scores = {
            name: Score(tuple(score["chosen"]), float(score["correlation"]), dict(score["each"]))
            for name, score in state["scores"].items()
        }
        self._scored_at = int(state["scored_at"])
        self._promises = {np.array(row, dtype=np.int64).tobytes(): _Promise(*p) for row, p in state["promises"]}
        self._kept = [_Outcome(_Promise(*promise), float(gain), values) for promise, gain, values in state["kept"]]

    def propose(self, n: int, unseen: Unseen, rng: np.random.Generator) -> IndexMatrix:
        """Returns up to ``n`` distinct unseen rows, most promising first; fewer only if no more were found.

        Args:
            n: number wanted.
            unseen: what may be proposed.
            rng: source of all draws.
        """
        kept = self._training_rows()
        rows = np.array(self._rows)[kept]
        values, feasible = self._targets(kept)
        low, span = values.min(axis=0), np.ptp(values, axis=0)
        span = np.where(span > 0, span, 1.0)
        scaled = (values - low) / span
        scales = [Scale(column) for column in scaled.T]
        targets = [scale.target(column) for scale, column in zip(scales, scaled.T, strict=True)]
        models = self._models(rows, targets)
        chance = self._chance().chance
        reliable = self._reliability(scales, low, span)
        measured = scaled[feasible] if feasible.any() else scaled
        reference = np.full(values.shape[1], _REFERENCE)
        shares = self._explorations(values.shape[1])

        def improvement(candidates: IndexMatrix) -> tuple[ExpectedImprovement, FloatVector]:
            predicted = [model.predict(candidates) for model in models]
            return ExpectedImprovement(
                measured,
                reference,
                [mean for mean, _ in predicted],
                [share * deviation for share, (_, deviation) in zip(shares, predicted, strict=True)],
                scales,
            ), chance(candidates) * reliable(np.stack([mean for mean, _ in predicted], axis=1))

        ranks = nondominated_sort(measured)
        parents = rows[feasible][ranks == 0] if feasible.any() else rows[ranks == 0]
        pool = self._evolved(parents, improvement, unseen, rng)
        if not len(pool):
            return unseen.draw(rng, n)
        gain, likely = improvement(pool)
        expected = gain.expected * span + low
        chosen: list[int] = []
        for _ in range(min(n, len(pool))):
            raw = gain.gains()
            gains = raw * likely
            gains[chosen] = -1.0
            if gains.max() <= 0:
                # Nothing is expected to widen the front: the least dominated are the best guess.
                gains = -gain.expected.sum(axis=1)
                gains[chosen] = -np.inf
            best = int(np.argmax(gains))
            chosen.append(best)
            promised = max(float(raw[best]), 0.0)
            self._promises[pool[best].tobytes()] = _Promise(
                expected[best].tolist(), promised, low.tolist(), span.tolist()
            )
            gain.believe(best)
        return pool[chosen]

    def _realised(self, promise: _Promise, result: Measurement) -> float:
        """Returns the gain in hypervolume that a result brought, in the scale of its promise."""
        if not result.feasible or result.values is None or len(promise.low) != len(result.values):
            return 0.0
        low, span = np.array(promise.low), np.array(promise.span)
        values = np.array([m.values for m in self._measured if m.feasible]).reshape(-1, len(low))
        if (values <= np.array(result.values)).all(axis=1).any():
            return 0.0
        if len(low) > _EXACT:
            return promise.gain
        before = (values - low) / span
        after = np.vstack([before, (np.array(result.values) - low) / span])
        reference = np.full(len(low), _REFERENCE)
        return hypervolume(after, reference) - hypervolume(before, reference)

    def _explorations(self, objectives: int) -> list[float]:
        """Returns for each objective which share of the predicted standard deviation counts.

        Greed pays while predictors order their own proposals rightly. Where they do not, means say little, and the
        improvement that is expected lies in what is uncertain.
        """
        pairs = [
            (outcome.promise.values, outcome.values)
            for outcome in self._kept[-_RECENT:]
            if outcome.values is not None and len(outcome.values) == len(outcome.promise.values) == objectives
        ]
        if len(pairs) < _ENOUGH:
            return [self._exploration] * objectives
        promised, realised = (np.array(column) for column in zip(*pairs, strict=True))
        least = min(self._exploration, 1.0)
        doubts = [1 - max(rank_correlation(promised[:, j], realised[:, j]), 0.0) / _TRUSTED for j in range(objectives)]
        return [max(self._exploration, least + (1 - least) * doubt) for doubt in doubts]

    def _reliability(self, scales: Sequence[Scale], low: FloatVector, span: FloatVector) -> Any:
        """Returns a function: which share of gains that were promised at about these targets came true.

        Predictors are wrong in places, such as at a cliff between networks that work and such that do not, and there they
        promise much again and again. What was promised in vain makes further promises of similar targets weigh less.
        """
        # While nothing was feasible, violations were promised, not objectives.
        alike = [outcome for outcome in self._kept if len(outcome.promise.low) == len(scales)]
        if not alike:
            return lambda targets: np.ones(len(targets))
        expected = (np.array([outcome.promise.values for outcome in alike]) - low) / span
        places = np.stack([scale.target(column) for scale, column in zip(scales, expected.T, strict=True)], axis=1)
        promised = np.array([outcome.promise.gain for outcome in alike])
        realised = np.array([outcome.gain for outcome in alike])
        usual = max(float(np.median(promised)), 1e-9)

        def share(targets: FloatMatrix) -> FloatVector:
            squared = ((targets[:, None, :] - places[None]) ** 2).sum(axis=2)
            near = np.exp(-0.5 * squared / _NEAR**2)
            result: FloatVector = np.minimum((usual + near @ realised) / (usual + near @ promised), 1.0)
            return result

        return share

    def _evolved(self, parents: IndexMatrix, improvement: Any, unseen: Unseen, rng: np.random.Generator) -> IndexMatrix:
        """Evolves unseen rows towards large expected gains; returns the best of all generations."""
        pool = np.zeros((0, len(self._space.names)), dtype=np.int64)
        breeders = parents
        for generation in range(_GENERATIONS):
            count = _POOL if generation else 2 * _POOL
            draws = int(_RANDOM_SHARE * count) if generation == 0 else 0
            pairs = rng.integers(len(breeders), size=(2, count - draws))
            children = np.where(
                rng.random((count - draws, 1)) < 0.4,
                self._variation.cross(breeders[pairs[0]], breeders[pairs[1]], rng),
                breeders[pairs[0]],
            )
            # Half of the children are near their parents, the others go farther.
            parts = [
                pool,
                self._variation.mutate(children[::2], rng, 0.7),
                self._variation.mutate(children[1::2], rng, 2.0),
            ]
            if draws:
                parts.append(unseen.draw(rng, draws))
            rows = np.unique(np.concatenate(parts), axis=0)
            rows = rows[unseen.new(rows)]
            if not len(rows):
                break
            gain, likely = improvement(rows)
            pool = rows[np.argsort(-gain.gains() * likely, kind="stable")[:_POOL]]
            breeders = np.concatenate([pool[:_PARENTS], parents])
        return pool

    def _training_rows(self) -> IntVector:
        """Positions of the measured candidates to learn from: the best and an even choice of the rest, at most 400."""
        usable = np.array([i for i, m in enumerate(self._measured) if m.values is not None])
        if len(usable) <= _MOST_ROWS:
            return usable
        values = np.array([self._measured[i].values for i in usable])
        best = usable[survivors(values, self._violations(usable), _MOST_ROWS // 2)]
        rest = np.setdiff1d(usable, best)
        spread = rest[np.linspace(0, len(rest) - 1, _MOST_ROWS - len(best)).astype(int)]
        return np.sort(np.concatenate([best, spread]))

    def _targets(self, kept: IntVector) -> tuple[FloatMatrix, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Values to model, and who is feasible; while nobody is, the only value is the sum of violations."""
        feasible = np.array([self._measured[i].feasible for i in kept])
        if feasible.any():
            return np.array([self._measured[i].values for i in kept]), feasible
        violations = self._violations(kept)
        worst = violations.max(axis=0, initial=0.0)
        return (violations / np.where(worst > 0, worst, 1.0)).sum(axis=1)[:, None], feasible

    def _violations(self, positions: IntVector) -> FloatMatrix:
        return violation_matrix([self._measured[i].violations for i in positions])

    def _models(self, rows: IndexMatrix, targets: Sequence[FloatVector]) -> list[Committee]:
        renewed = len(self._measured) >= _GROWTH * self._scored_at or len(self._scores) != len(targets)
        models: list[Committee] = []
        for j, target in enumerate(targets):
            name = str(j)
            if renewed:
                committee, self._scores[name] = choose(self._features, rows, target)
            else:
                committee = self._refitted(name, rows, target)
            models.append(committee)
            for member in committee.members:
                if isinstance(member, GaussianProcess) and member.weights is not None:
                    self._weights[name] = [float(weight) for weight in member.weights]
        if renewed:
            self._scores = {str(j): self._scores[str(j)] for j in range(len(targets))}
            self._scored_at = len(self._measured)
        return models

    def _refitted(self, name: str, rows: IndexMatrix, target: FloatVector) -> Committee:
        members: list[Predictor] = []
        for kind in self._scores[name].chosen:
            if kind == GaussianProcess.name and name in self._weights:
                start = np.array(self._weights[name])
                members.append(GaussianProcess(self._features, start=start, iterations=_FEW_STEPS))
            else:
                members.append(KINDS[kind](self._features))
            members[-1].fit(rows, target)
        return Committee(members)

    def _chance(self) -> Feasibility:
        """What was learnt about failures and constraints from the latest measurements; unless nobody is feasible."""
        recent = np.arange(max(0, len(self._measured) - _MOST_ROWS), len(self._measured))
        failed = np.array([self._measured[i].values is None for i in recent], dtype=np.bool_)
        violations = self._violations(recent)
        if not any(measurement.feasible for measurement in self._measured):
            violations = violations[:, :0]  # then the violations are what is minimised
        return Feasibility(self._features, np.array(self._rows)[recent], failed, violations)
