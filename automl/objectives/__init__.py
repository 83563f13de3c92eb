"""Objectives: quality, cost and hardware measurements, and constraints on them. Parts that need torch load on first use."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.objectives.build import build_objective
    from automl.objectives.candidate import Candidate
    from automl.objectives.constraints import Constraint, parse_constraints
    from automl.objectives.error import Error
    from automl.objectives.feasibility import ConstraintRange, constraint_ranges
    from automl.objectives.latency import Latency
    from automl.objectives.loss import Loss
    from automl.objectives.macs import Macs, count_macs
    from automl.objectives.objective import Objective
    from automl.objectives.params import Params, count_params
    from automl.objectives.peak_memory import LiveStorages, PeakMemory, peak_bytes
    from automl.objectives.size import Size, state_bytes
    from automl.objectives.trace import Trace
    from automl.objectives.units import BUILT_IN_UNITS, format_value
    from automl.objectives.value import Value

__all__ = [
    "BUILT_IN_UNITS",
    "Candidate",
    "Constraint",
    "ConstraintRange",
    "Error",
    "Latency",
    "LiveStorages",
    "Loss",
    "Macs",
    "Objective",
    "Params",
    "PeakMemory",
    "Size",
    "Trace",
    "Value",
    "build_objective",
    "constraint_ranges",
    "count_macs",
    "count_params",
    "format_value",
    "parse_constraints",
    "peak_bytes",
    "state_bytes",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BUILT_IN_UNITS": "automl.objectives.units",
        "Candidate": "automl.objectives.candidate",
        "Constraint": "automl.objectives.constraints",
        "ConstraintRange": "automl.objectives.feasibility",
        "Error": "automl.objectives.error",
        "Latency": "automl.objectives.latency",
        "LiveStorages": "automl.objectives.peak_memory",
        "Loss": "automl.objectives.loss",
        "Macs": "automl.objectives.macs",
        "Objective": "automl.objectives.objective",
        "Params": "automl.objectives.params",
        "PeakMemory": "automl.objectives.peak_memory",
        "Size": "automl.objectives.size",
        "Trace": "automl.objectives.trace",
        "Value": "automl.objectives.value",
        "build_objective": "automl.objectives.build",
        "constraint_ranges": "automl.objectives.feasibility",
        "count_macs": "automl.objectives.macs",
        "count_params": "automl.objectives.params",
        "format_value": "automl.objectives.units",
        "parse_constraints": "automl.objectives.constraints",
        "peak_bytes": "automl.objectives.peak_memory",
        "state_bytes": "automl.objectives.size",
    },
)
