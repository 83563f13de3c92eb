"""Graphs from ``.npz`` files, under the names that public collections use for their arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from automl.errors import DataError
from automl_graph.data.edge_features import edge_key
from automl_graph.data.node_data import NodeData
from automl_graph.data.raw_graph import RawGraph, splits_of_masks

__all__ = ["archive_holds_graph", "load_archive", "read_archive"]

_FEATURES: Final = ("x", "node_features")
_SPARSE_FEATURES: Final = ("x", "attr")
_LABELS: Final = ("y", "node_labels", "labels")
_NEEDED: Final = {
    "edge_index": "source and target of each edge, (2, edges), integers",
    "y": "class of each node, (nodes,), integers from 0",
}


def read_archive(path: Path, *, undirected: bool) -> NodeData:
    """Returns the graph of a ``.npz`` file with its usual split; see ``load_archive``."""
    return load_archive(path).finish(undirected=undirected)


def load_archive(path: Path, labelled: bool = True) -> RawGraph:
    """Reads a graph from the arrays of a ``.npz`` file.

    Features are ``x`` or ``node_features``, ``(nodes, width)``, or compressed sparse rows ``x_data``, ``x_indices``,
    ``x_indptr``, ``x_shape`` (also with ``attr`` for ``x``). Edges are ``edge_index``, ``(2, edges)``, or ``edges``,
    ``(edges, 2)``, or compressed sparse rows ``adj_indices``, ``adj_indptr``. Features of edges are
    ``edge_attr``, ``(edges, width)``, or labels ``edge_label`` or ``bond_type``, ``(edges,)`` integers, which become one-hot;
    or ``adj_data`` of compressed rows, unless all are equal. Labels are ``y``, ``node_labels`` or ``labels``. Masks
    ``train_mask``, ``val_mask`` and ``test_mask``, ``(nodes,)`` or ``(splits, nodes)``, are splits.

    Args:
        path: the file; arrays of Python objects are refused.
        labelled: whether labels and masks are read; without, they may be missing.

    Raises:
        DataError: the file is missing, unreadable or unfit; names file and array.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a .npz file with the arrays 'x', 'edge_index', 'y'.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .npz file of plain arrays: {error}.") from error
    edges = _edges(arrays, path)
    label = next((key for key in _LABELS if key in arrays), None)
    if edges is None or (labelled and label is None):
        missing = "edge_index" if edges is None else "y"
        raise DataError(
            f"{path}: has no array {missing!r} ({_NEEDED[missing]}); it holds {', '.join(map(repr, arrays)) or 'nothing'}."
        )
    key, edge_attr = _edge_features(arrays)
    if label is None or not labelled:
        nodes = len(arrays["adj_indptr"]) - 1 if {"adj_indices", "adj_indptr"} <= set(arrays) else None
        return RawGraph(str(path), _features(arrays, path), edges, None, count=nodes, edge_attr=edge_attr, edge_key=key)
    y = arrays[label]
    splits = splits_of_masks(arrays, len(y) if y.ndim else 0, str(path))
    return RawGraph(str(path), _features(arrays, path), edges, y, splits, edge_attr=edge_attr, edge_key=key)


def archive_holds_graph(path: Path) -> bool:
    """Tells one graph from other ``.npz`` files, and from collections of graphs, by its table of contents."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = set(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False
    if "node_ptr" in found:
        return False
    return "edge_index" in found or {"edges", "node_labels"} <= found or {"adj_indices", "adj_indptr"} <= found


def _features(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> npt.NDArray[Any] | None:
    for key in _FEATURES:
        if key in arrays:
            return arrays[key]
    for key in _SPARSE_FEATURES:
        if f"{key}_indptr" in arrays:
            shape = arrays.get(f"{key}_shape")
            if shape is None or shape.shape != (2,):
                raise DataError(f"{path}: has {key}_indptr, but no '{key}_shape' of two integers.")
            matrix = _compressed_rows(arrays, key, (int(shape[0]), int(shape[1])), path)
            dense: npt.NDArray[Any] = matrix.toarray()
            return dense
    return None


def _edges(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> npt.NDArray[Any] | None:
    if "edge_index" in arrays:
        return arrays["edge_index"]
    if "edges" in arrays:
        pairs = arrays["edges"]
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            hint = " Transpose it." if pairs.ndim == 2 and pairs.shape[0] == 2 else ""
            raise DataError(f"{path}: 'edges' has shape {pairs.shape}; expected (edges, 2).{hint}")
        return np.ascontiguousarray(pairs.T)
    if {"adj_indices", "adj_indptr"} <= set(arrays):
        nodes = len(arrays["adj_indptr"]) - 1
        matrix = _compressed_rows(arrays, "adj", (nodes, nodes), path).tocoo()
        return np.stack([matrix.row, matrix.col]).astype(np.int64)
    return None


def _edge_features(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[str, npt.NDArray[Any] | None]:
    """The array that holds features of edges, by name; None if there is none."""
    key = edge_key(arrays)
    if key is not None:
        return key, arrays[key]
    weights = None if {"edge_index", "edges"} & set(arrays) else arrays.get("adj_data")
    if weights is None or weights.ndim != 1 or (weights == weights[:1]).all():
        return "adj_data", None  # most files have ones there, which tell no edges apart
    return "adj_data", weights.astype(np.float64) if weights.dtype.kind in "iub" else weights


def _compressed_rows(
    arrays: Mapping[str, npt.NDArray[Any]], key: str, shape: tuple[int, int], path: Path
) -> sp.csr_matrix:
    try:
        indices, starts = arrays[f"{key}_indices"], arrays[f"{key}_indptr"]
        values = np.ones(len(indices)) if key == "adj" else arrays[f"{key}_data"]
        matrix = sp.csr_matrix((values, indices, starts), shape=shape)
        matrix.check_format(full_check=True)  # wrong positions would be read as addresses
    except KeyError as error:
        raise DataError(f"{path}: has no array {error}; compressed rows need it beside '{key}_indptr'.") from error
    except (ValueError, TypeError, IndexError) as error:
        raise DataError(
            f"{path}: '{key}_indices' and '{key}_indptr' are no compressed sparse rows: {error}."
        ) from error
    return matrix
