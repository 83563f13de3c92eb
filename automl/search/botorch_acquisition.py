"""The part of Bayesian optimisation that needs torch: a Gaussian process and an acquisition function from BoTorch.

Imported by ``automl.search.bayes`` when it first has something to fit, never before: searching must not need torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei as fused
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from automl.search.pareto import FloatMatrix, FloatVector, pareto_front

__all__ = ["BotorchAcquisition"]

_MOST_BOX_OBJECTIVES: Final = 3
_SAMPLES: Final = 32
_FIT_STEPS: Final = 50
_FAR_OUT: Final = 3.0
_HOLDS: Final = -0.15


class BotorchAcquisition:
    """A fitted Gaussian process and how much a further measurement is expected to gain.

    One objective: noisy expected improvement. Two or three: noisy expected hypervolume improvement. More, where the box
    decompositions of the hypervolume would be too many: noisy expected improvement of a random Chebyshev scalarisation
    (ParEGO). All in the form of logarithms, which do not vanish far from the front, and all weighted by the chance that
    every constraint holds.

    Args:
        features: ``(n, features)`` of the measured architectures.
        values: ``(n, objectives)``, minimised, finite; n ≥ 2.
        violations: ``(n, constraints)`` ≥ 0, 0 where a constraint holds.
        pending: ``(m, features)`` of architectures that are being measured.
        seed: seed of the samples.

    Source:
        Daulton, Balandat, Bakshy 2021, arXiv:2105.08195 (noisy expected hypervolume improvement); Ament et al. 2023,
        arXiv:2310.20708 (logarithms); Knowles 2006, "ParEGO". Deviations: values far above the rest (beyond three
        interquartile ranges) count as just that far; a constraint is modelled as the root of its violation in units of the
        mean one, and as −0.15 where it holds, since violations say nothing about how safely one holds.
    """

    def __init__(
        self, features: FloatMatrix, values: FloatMatrix, violations: FloatMatrix, pending: FloatMatrix, *, seed: int
    ) -> None:
        feasible = ~(violations > 0).any(axis=1)
        outcomes = -_standardised(values)
        margins = _margins(violations)
        self._x: Final = torch.from_numpy(features)
        y = torch.from_numpy(np.hstack([outcomes, margins]))
        self._pending: Tensor = torch.from_numpy(pending)
        with _quiet_and_seeded(seed):
            model = SingleTaskGP(self._x, y, outcome_transform=None)
            try:
                fit_gpytorch_mll(
                    ExactMarginalLogLikelihood(model.likelihood, model),
                    optimizer_kwargs={"options": {"maxiter": _FIT_STEPS}},
                )
            except ModelFittingError:
                model.eval()  # with the hyper-parameters of the priors, which are sensible for features in [0, 1]
            objectives = values.shape[1]
            considered = outcomes[feasible] if feasible.any() else outcomes
            self._function: Any = _acquisition(model, self._x, objectives, margins.shape[1], considered, seed)
            self._set_pending()

    def __call__(self, features: FloatMatrix) -> FloatVector:
        """Returns ``(n,)`` expected gains of ``(n, features)`` candidates, each alone, in logarithms."""
        with _quiet_and_seeded(0), torch.no_grad():
            gains: FloatVector = self._function(torch.from_numpy(features)[:, None, :]).numpy()
        return np.nan_to_num(gains, nan=-np.inf)

    def add_pending(self, features: FloatMatrix) -> None:
        """Takes ``(m, features)`` candidates as chosen: what they will tell is no gain of others."""
        self._pending = torch.cat([self._pending, torch.from_numpy(features)])
        with _quiet_and_seeded(0):
            self._set_pending()

    def _set_pending(self) -> None:
        if len(self._pending):
            self._function.set_X_pending(self._pending)


def _acquisition(
    model: SingleTaskGP, x: Tensor, objectives: int, constraints: int, considered: FloatMatrix, seed: int
) -> Any:
    common: dict[str, Any] = {
        "model": model,
        "X_baseline": x,
        "sampler": SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed),
        "constraints": [partial(_outcome, column=objectives + c) for c in range(constraints)] or None,
        "prune_baseline": True,
    }
    if objectives == 1:
        first: Callable[..., Tensor] = partial(_outcome, column=0)
        return qLogNoisyExpectedImprovement(objective=GenericMCObjective(first), **common)
    chosen = IdentityMCMultiOutputObjective(outcomes=list(range(objectives)), num_outcomes=objectives + constraints)
    if objectives > _MOST_BOX_OBJECTIVES:
        weights = torch.distributions.Dirichlet(torch.ones(objectives, dtype=torch.float64)).sample()
        return qLogNParEGO(scalarization_weights=weights, objective=chosen, **common)
    front = considered[pareto_front(-considered)]
    reference = considered.min(axis=0)
    if len(np.unique(front, axis=0)) > 1:
        reference = infer_reference_point(torch.from_numpy(front)).numpy()
    return qLogNoisyExpectedHypervolumeImprovement(ref_point=reference.tolist(), objective=chosen, **common)


def _outcome(samples: Tensor, X: Tensor | None = None, *, column: int) -> Tensor:
    """One column of the outcomes; BoTorch also hands over where they were sampled."""
    return samples[..., column]


def _standardised(values: FloatMatrix) -> FloatMatrix:
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    bounded = np.minimum(values, high + _FAR_OUT * np.maximum(high - low, 1e-12))
    spread = bounded.std(axis=0)
    scaled: FloatMatrix = (bounded - bounded.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _margins(violations: FloatMatrix) -> FloatMatrix:
    """Columns below 0 where a constraint holds; those that always hold are left out."""
    broken = violations[:, (violations > 0).any(axis=0)]
    counts = np.maximum((broken > 0).sum(axis=0), 1)
    typical = broken.sum(axis=0) / counts
    # The root keeps large violations from hiding where the limit lies.
    margins: FloatMatrix = np.where(broken > 0, np.sqrt(broken / np.where(typical > 0, typical, 1.0)), _HOLDS)
    return margins


@contextmanager
def _quiet_and_seeded(seed: int) -> Iterator[None]:
    """Holds back warnings about numerics, and draws of torch that a seed decides; its global generator is left alone.

    Newer versions of BoTorch would compile a faster kernel on first use: minutes of work that nobody asked for, and last
    digits that depend on whether the machine has a compiler. Inside the block they take the plain one.
    """
    kernel = {name: getattr(fused, name, None) for name in ("_C", "_load_attempted")}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        vars(fused).update(_C=None, _load_attempted=True)
        try:
            yield
        finally:
            vars(fused).update(kernel)
