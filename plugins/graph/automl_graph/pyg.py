"""The parts of torch-geometric that this package uses, imported in one place.

Importing torch-geometric compiles a few of its classes with ``torch.jit.script``, which torch has deprecated. That warning
is about torch-geometric's own code, so it is kept from users and from test runs that treat warnings as errors.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.utils import (
        add_remaining_self_loops,
        coalesce,
        homophily,
        negative_sampling,
        scatter,
        softmax,
        to_undirected,
    )

__all__ = [
    "add_remaining_self_loops",
    "coalesce",
    "homophily",
    "negative_sampling",
    "scatter",
    "softmax",
    "to_undirected",
]
