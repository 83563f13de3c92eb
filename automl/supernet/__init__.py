"""Supernets: skeletons of slots, signals, the supernet itself and batch-norm calibration. Imports torch on first use."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.supernet.auxiliary_loss import add_auxiliary_loss, auxiliary_losses, collects_auxiliary_losses
    from automl.supernet.build import build_supernet, load_skeleton
    from automl.supernet.calibration import CalibrationReport, calibrate, has_batch_norm
    from automl.supernet.definition import SpaceDefinition
    from automl.supernet.families import FamilySlot, family_slots, head_slot
    from automl.supernet.schema import Skeleton, Slot, read_skeleton
    from automl.supernet.signals import SIGNAL_KINDS, ImageFormat, PayloadFormat, Signal
    from automl.supernet.stages import Stage, Staged
    from automl.supernet.supernet import Supernet

__all__ = [
    "SIGNAL_KINDS",
    "CalibrationReport",
    "FamilySlot",
    "ImageFormat",
    "PayloadFormat",
    "Signal",
    "Skeleton",
    "Slot",
    "SpaceDefinition",
    "Stage",
    "Staged",
    "Supernet",
    "add_auxiliary_loss",
    "auxiliary_losses",
    "build_supernet",
    "calibrate",
    "collects_auxiliary_losses",
    "family_slots",
    "has_batch_norm",
    "head_slot",
    "load_skeleton",
    "read_skeleton",
]

__getattr__ = lazy_names(
    __name__,
    {
        "SIGNAL_KINDS": "automl.supernet.signals",
        "CalibrationReport": "automl.supernet.calibration",
        "FamilySlot": "automl.supernet.families",
        "ImageFormat": "automl.supernet.signals",
        "PayloadFormat": "automl.supernet.signals",
        "Signal": "automl.supernet.signals",
        "Skeleton": "automl.supernet.schema",
        "Slot": "automl.supernet.schema",
        "SpaceDefinition": "automl.supernet.definition",
        "Stage": "automl.supernet.stages",
        "Staged": "automl.supernet.stages",
        "Supernet": "automl.supernet.supernet",
        "add_auxiliary_loss": "automl.supernet.auxiliary_loss",
        "auxiliary_losses": "automl.supernet.auxiliary_loss",
        "build_supernet": "automl.supernet.build",
        "calibrate": "automl.supernet.calibration",
        "collects_auxiliary_losses": "automl.supernet.auxiliary_loss",
        "family_slots": "automl.supernet.families",
        "has_batch_norm": "automl.supernet.calibration",
        "head_slot": "automl.supernet.families",
        "load_skeleton": "automl.supernet.build",
        "read_skeleton": "automl.supernet.schema",
    },
)
