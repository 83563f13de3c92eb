"""Assembling: networks of a run for any classes and budget, generated instead of searched. Imports torch on first use."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.assembling.assembler import Assembler
    from automl.assembling.customise import Assembled, assemble, export_assembled

__all__ = ["Assembled", "Assembler", "assemble", "export_assembled"]

__getattr__ = lazy_names(
    __name__,
    {
        "Assembled": "automl.assembling.customise",
        "Assembler": "automl.assembling.assembler",
        "assemble": "automl.assembling.customise",
        "export_assembled": "automl.assembling.customise",
    },
)
