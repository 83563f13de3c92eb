"""Stitched networks: trained networks of one family or of several, cut into blocks and joined by linear layers.

The supernet that results is an ordinary one with an ordinary dimension, so search, export and report know nothing of it.
Loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.stitching.network import StitchedNetwork
    from automl.stitching.space import StitchedSpace
    from automl.stitching.split import split_network

__all__ = ["StitchedNetwork", "StitchedSpace", "split_network"]

__getattr__ = lazy_names(
    __name__,
    {
        "StitchedNetwork": "automl.stitching.network",
        "StitchedSpace": "automl.stitching.space",
        "split_network": "automl.stitching.split",
    },
)
