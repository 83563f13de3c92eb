"""Measurements as Optuna trials and back.

A trial holds the active dimensions as parameters with their distributions, the objective values, and the violations where
Optuna looks for constraints. User attributes hold what Optuna has no field for: the id of the architecture, which
guards against damage, the details, and the traceback of a failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from optuna.distributions import json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from automl.search.measurement import Measurement
from automl.space import Architecture, Scalar, SearchSpace

__all__ = ["TrialRecords"]

_CONSTRAINTS: Final = "constraints"


class TrialRecords:
    """Converts the measurements of one space.

    Args:
        space: the search space; left out, trials can be read but not made.
    """

    def __init__(self, space: SearchSpace | None = None) -> None:
        self._distributions: Final = {} if space is None else space.distributions()
        self._decoded: Final[dict[tuple[str, str, float], Scalar]] = {}

    def trial(self, measurement: Measurement) -> FrozenTrial:
        """Returns a finished trial: complete, pruned or failed."""
        architecture = measurement.architecture
        attributes: dict[str, Any] = {"architecture": architecture.id}
        if measurement.details:
            attributes["details"] = measurement.details
        if measurement.failure is not None:
            attributes["failure"] = measurement.failure
        trial = create_trial(
            state=_state(measurement),
            values=measurement.values,
            params=dict(architecture),
            distributions={name: self._distributions[name] for name in architecture},
            user_attrs=attributes,
            system_attrs={_CONSTRAINTS: list(measurement.violations)} if measurement.violations else {},
        )
        seconds = measurement.details.get("seconds")
        if isinstance(seconds, int | float) and trial.datetime_complete is not None:
            trial.datetime_start = trial.datetime_complete - timedelta(seconds=seconds)
        return trial

    def from_operation(self, operation: Mapping[str, Any], number: int) -> Measurement:
        """Returns the measurement in a journal's operation that created a trial.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it was not written by ``trial``.
        """
        decoded, distributions = self._decoded, operation["distributions"]
        params: dict[str, Scalar] = {}
        for name, internal in operation["params"].items():
            key = (name, distributions[name], internal)
            if key not in decoded:
                decoded[key] = json_to_distribution(key[1]).to_external_repr(internal)
            params[name] = decoded[key]
        values = operation["values"] if operation["value"] is None else [operation["value"]]
        return _measurement(
            number, operation["state"], params, values, operation["user_attrs"], operation["system_attrs"]
        )

    def from_trial(self, trial: FrozenTrial) -> Measurement:
        """Returns the measurement in a trial.

        Raises:
            ValueError, KeyError: it was not written by ``trial``.
        """
        values = None if trial.state == TrialState.FAIL else trial.values
        return _measurement(trial.number, trial.state, trial.params, values, trial.user_attrs, trial.system_attrs)


def _measurement(
    number: int,
    state: int,
    params: Mapping[str, Scalar],
    values: Sequence[float] | None,
    user_attributes: Mapping[str, Any],
    system_attributes: Mapping[str, Any],
) -> Measurement:
    architecture = Architecture(params)
    if architecture.id != user_attributes["architecture"]:
        raise ValueError(f"its parameters do not belong to the architecture {user_attributes['architecture']}")
    measurement = Measurement(
        architecture=architecture,
        values=None if values is None else tuple(float(value) for value in values),
        violations=tuple(system_attributes.get(_CONSTRAINTS, ())),
        details=user_attributes.get("details", {}),
        failure=user_attributes.get("failure"),
        number=number,
    )
    if state != _state(measurement):
        raise ValueError("it is neither complete or pruned with values nor failed")
    return measurement


def _state(measurement: Measurement) -> TrialState:
    """Estimates of candidates that were stopped are pruned trials, so that Optuna keeps them out of its fronts, too."""
    if measurement.values is None:
        return TrialState.FAIL
    return TrialState.COMPLETE if measurement.complete else TrialState.PRUNED
