"""Features of edges as files hold them: a table of numbers, or a label for each edge that becomes one-hot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.errors import DataError

__all__ = ["EDGE_KEYS", "EdgeFeatures", "check_edge_attr", "edge_key", "edge_table"]

EdgeFeatures = Literal["given", "none"]
EDGE_KEYS: Final = ("edge_attr", "edge_label", "bond_type")
"""Names of the arrays, of which the first that is there counts."""

_MOST_LABELS: Final = 256


def edge_key(arrays: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """Returns which of some arrays holds the features of edges; None if there are none."""
    return next((key for key in EDGE_KEYS if key in arrays), None)


def edge_table(array: npt.NDArray[Any], edges: int, key: str, where: str) -> npt.NDArray[np.float32] | None:
    """Returns the features of edges; None for labels that are all equal, which tell no edges apart.

    Args:
        array: real numbers ``(edges, features)`` or ``(edges,)``, or labels, integers ``(edges,)``, which become one-hot.
        edges: number of edges.
        key: what messages call it.
        where: the file, for messages.

    Returns:
        ``(edges, width)``.

    Raises:
        DataError: it does not fit; names file and array.
    """
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or len(array) != edges or 0 in array.shape[1:]:
        raise DataError(
            f"{where}: {key!r} is {array.dtype} {array.shape}; expected real numbers ({edges}, features), or integers "
            f"({edges},), a label for each edge. 'edge_features: none' leaves them out."
        )
    if array.ndim == 1 and array.dtype.kind != "f":
        known, numbers = np.unique(array, return_inverse=True)
        if len(known) > _MOST_LABELS:
            raise DataError(
                f"{where}: {key!r} holds {len(known)} different integers, which would be as many features of each edge; at most "
                f"{_MOST_LABELS} labels become one-hot. Store numbers as floating point."
            )
        return np.eye(len(known), dtype=np.float32)[numbers] if len(known) > 1 else None
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is reported as such
        table: npt.NDArray[np.float32] = array.astype(np.float32).reshape(edges, -1)
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        raise DataError(
            f"{where}: {key!r} has {len(bad)} values that are not finite, the first at edge {bad[0][0]}; expected finite "
            "numbers. Replace them, or leave them out with 'edge_features: none'."
        )
    return table


def check_edge_attr(edge_attr: Tensor | None, edges: int, where: str, *, width: int | None = None) -> None:
    """Refuses features of edges that are no row of finite numbers for each edge.

    Args:
        edge_attr: the features; None if there are none.
        edges: number of edges.
        where: the data, for messages.
        width: features that an edge must have, 0 for none; None for any.

    Raises:
        DataError: they are unfit.
    """
    if edge_attr is None and not width:
        return
    shape = None if edge_attr is None else tuple(edge_attr.shape)
    expected = width if edge_attr is None or width is not None else edge_attr.shape[-1]
    if edge_attr is None or shape != (edges, expected) or not expected:
        raise DataError(
            f"{where}: 'edge_attr' has shape {shape}; expected ({edges}, {width or 'features'}), a row for each edge."
        )
    if not bool(torch.isfinite(edge_attr).all()):
        raise DataError(f"{where}: 'edge_attr' is not finite; expected finite numbers. Replace or drop them.")
