"""Graphs from ``.npz`` files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from automl.errors import DataError
from automl_graph.data.node_data import NodeData
from automl_graph.pyg import to_undirected

__all__ = ["read_archive"]

_ARRAYS: Final = {
    "x": "features, (nodes, features)",
    "edge_index": "source and target of each edge, (2, edges), integers",
    "y": "class of each node, (nodes,), integers from 0",
}


def read_archive(path: Path, *, undirected: bool) -> NodeData:
    """Reads a graph from the arrays ``x``, ``edge_index`` and ``y`` of a ``.npz`` file.

    Args:
        path: the file; arrays of Python objects are refused.
        undirected: add the missing direction of every edge and merge double edges.

    Raises:
        DataError: the file is missing, unreadable or unfit; names file and array.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a .npz file with the arrays {', '.join(map(repr, _ARRAYS))}.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [key for key in _ARRAYS if key not in archive.files]
            if missing:
                raise DataError(
                    f"{path}: has no array {missing[0]!r} ({_ARRAYS[missing[0]]}); it holds "
                    f"{', '.join(map(repr, archive.files)) or 'nothing'}."
                )
            arrays = {key: archive[key] for key in _ARRAYS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .npz file of plain arrays: {error}.") from error
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is reported as such
        x = torch.from_numpy(_numbers(arrays["x"], "x", path).astype(np.float32))
    edge_index = torch.from_numpy(_integers(arrays["edge_index"], "edge_index", path))
    y = torch.from_numpy(_integers(arrays["y"], "y", path))
    classes = int(y.max()) + 1 if y.numel() else 0
    data = NodeData(str(path), x, edge_index, y, tuple(str(label) for label in range(classes)))
    if not undirected:
        return data
    return NodeData(data.name, x, to_undirected(edge_index, num_nodes=data.nodes), y, data.class_names)


def _numbers(array: npt.NDArray[Any], key: str, path: Path) -> npt.NDArray[Any]:
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: {key!r} holds {array.dtype}; expected real numbers.")
    return array


def _integers(array: npt.NDArray[Any], key: str, path: Path) -> npt.NDArray[np.int64]:
    if array.dtype.kind not in "iu":
        raise DataError(f"{path}: {key!r} holds {array.dtype}; expected integers.")
    return array.astype(np.int64)
