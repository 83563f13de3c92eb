"""Block-wise self-supervised training: stages of a supernet learn one after another, without labels.

Loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.blockwise.center_distance import CenterDistance
    from automl.blockwise.strategy import Blockwise

__all__ = ["Blockwise", "CenterDistance"]

__getattr__ = lazy_names(
    __name__,
    {"Blockwise": "automl.blockwise.strategy", "CenterDistance": "automl.blockwise.center_distance"},
)
