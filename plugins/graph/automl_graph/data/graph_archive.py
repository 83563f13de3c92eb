"""Collections of graphs from ``.npz`` files: arrays of all nodes and edges, with pointers to where each graph starts.

The layout of the TU collection as arrays: ``node_ptr`` and ``edge_ptr`` ``(graphs + 1,)``, ``edge_index`` ``(2, edges)`` with
nodes numbered from 0 in each graph, ``y`` ``(graphs,)``; features ``x`` or ``atom_feat`` ``(nodes, features)``, or labels
``node_label`` ``(nodes,)`` that become one-hot; features of edges ``edge_attr`` ``(edges, features)``, or labels ``edge_label``
or ``bond_type`` ``(edges,)`` that become one-hot; ``fold`` ``(graphs,)`` for ten-fold cross-validation. ``y`` may also have
several columns, ``(graphs, targets)``, named by ``tasks``, of which one is taken; graphs without a value in it are left out.
"""

from __future__ import annotations

import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.errors import ConfigError, DataError, did_you_mean
from automl_graph.data.edge_features import EDGE_KEYS, EdgeFeatures, edge_key, edge_table
from automl_graph.data.graph_collection import GraphCollection, Sample, one_hot_degrees

__all__ = ["holds_graphs", "read_graphs"]

_NEEDED: Final = ("node_ptr", "edge_ptr", "edge_index", "y")
_FEATURES: Final = ("x", "atom_feat")
_READ: Final = (*_NEEDED, *_FEATURES, *EDGE_KEYS, "node_label", "fold", "tasks")
_TARGET_KINDS: Final = {"classes": "iu", "values": "fiu"}


def holds_graphs(path: Path, targets: str) -> bool:
    """Tells whether a file holds graphs with ``"classes"`` (integers) or ``"values"`` (real numbers)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not set(_NEEDED) <= set(archive.files):
                return False
            y = archive["y"]
            return bool(y.ndim == 1 and (y.dtype.kind in "iu") == (targets == "classes"))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def read_graphs(
    path: Path, targets: str, target: int | str | None = None, edge_features: EdgeFeatures = "given"
) -> GraphCollection:
    """Reads a collection; double edges are merged.

    Args:
        path: the file; arrays of Python objects are refused.
        targets: ``"classes"`` or ``"values"``.
        target: which column of ``y``, by number or by its name in ``tasks``; None where there is one.
        edge_features: ``none`` leaves features of edges out.

    Raises:
        DataError: the file is missing, unreadable or unfit; names file and array.
        ConfigError: there is no such column.
    """
    arrays = _arrays(path)
    labelled = _choose_target(arrays, targets, target, path)
    for key in _NEEDED:
        kinds = _TARGET_KINDS[targets] if key == "y" else "iu"
        if arrays[key].dtype.kind not in kinds:
            wanted = "real numbers" if "f" in kinds else "integers"
            raise DataError(f"{path}: {key!r} holds {arrays[key].dtype}; expected {wanted}.")
    nodes = _pointers(arrays["node_ptr"], "node_ptr", path)
    edges = _pointers(arrays["edge_ptr"], "edge_ptr", path)
    if len(nodes) != len(edges):
        raise DataError(f"{path}: 'node_ptr' tells of {len(nodes) - 1} graphs, 'edge_ptr' of {len(edges) - 1}.")
    ends = arrays["edge_index"]
    if ends.ndim != 2 or ends.shape[0] != 2 or ends.shape[1] != edges[-1]:
        raise DataError(f"{path}: 'edge_index' has shape {ends.shape}; expected (2, {edges[-1]}), as 'edge_ptr' ends.")
    index = torch.from_numpy(ends.astype(np.int64))
    edge_list = [index[:, a:b].clone() for a, b in pairwise(edges.tolist())]
    counts = np.diff(nodes).tolist()
    features, degrees = _features(arrays, edge_list, counts, path)
    fold = arrays["fold"].astype(np.int64) if "fold" in arrays else None
    held = edge_key(arrays) if edge_features == "given" else None
    table = None if held is None else edge_table(arrays[held], ends.shape[1], held, str(path))
    rows = [None] * len(counts) if table is None else torch.split(torch.from_numpy(table), np.diff(edges).tolist())
    graphs = tuple(Sample(*parts) for parts in zip(features, edge_list, rows, strict=True))
    if labelled is not None:
        if len(labelled) != len(graphs) or (fold is not None and len(fold) != len(graphs)):
            raise DataError(f"{path}: {len(graphs)} graphs have {len(labelled)} rows of 'y'; expected one of each.")
        graphs = tuple(graph for graph, kept in zip(graphs, labelled, strict=True) if kept)
        arrays["y"], fold = arrays["y"][labelled], None if fold is None else fold[labelled]
    y, names = _targets(arrays["y"], targets)
    return GraphCollection(str(path), graphs, y, names, fold, degrees).without_double_edges()


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a .npz file with the arrays {', '.join(map(repr, _NEEDED))}.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [key for key in _NEEDED if key not in archive.files]
            if missing:
                held = ", ".join(map(repr, archive.files)) or "nothing"
                raise DataError(f"{path}: has no array {missing[0]!r}; it holds {held}.")
            return {key: archive[key] for key in _READ if key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .npz file of plain arrays: {error}.") from error


def _choose_target(
    arrays: dict[str, npt.NDArray[Any]], targets: str, target: int | str | None, path: Path
) -> npt.NDArray[np.bool_] | None:
    """Puts one column in the place of ``y``; returns which graphs have a value in it, None where ``y`` has one column."""
    y = arrays["y"]
    if y.ndim != 2:
        if y.ndim != 1:
            raise DataError(f"{path}: 'y' has shape {y.shape}; expected (graphs,), one target for each graph.")
        if target is not None:
            raise ConfigError(f"task options.target: {path} has one target only; leave the option out.")
        return None
    names = [str(name) for name in arrays.get("tasks", np.arange(y.shape[1])).tolist()]
    if len(names) != y.shape[1]:
        raise DataError(f"{path}: 'tasks' names {len(names)} columns of 'y', which has {y.shape[1]}.")
    if target is None:
        raise DataError(
            f"{path}: 'y' has shape {y.shape}, several targets for each graph; choose one of them with 'task_options.target': "
            f"{', '.join(names)}."
        )
    number = names.index(str(target)) if str(target) in names else target
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise ConfigError(
            f"task options.target: {path} has no column {target!r} of 'y'.{did_you_mean(str(target), names)}"
        )
    column = y[:, number]
    labelled = np.isfinite(column) if column.dtype.kind == "f" else np.ones(len(column), dtype=bool)
    if targets == "classes" and column.dtype.kind == "f" and not (column[labelled] % 1).any():
        column = np.where(labelled, column, 0).astype(np.int64)  # numbers of classes are real only for the sake of gaps
    arrays["y"] = column
    return labelled


def _pointers(array: npt.NDArray[Any], key: str, path: Path) -> npt.NDArray[np.int64]:
    pointers = array.astype(np.int64)
    if pointers.ndim != 1 or len(pointers) < 2 or pointers[0] != 0 or (np.diff(pointers) < 0).any():
        raise DataError(
            f"{path}: {key!r} must start with 0 and never fall, one entry for each graph and one for the end."
        )
    return pointers


def _features(
    arrays: dict[str, npt.NDArray[Any]], edges: list[Tensor], counts: list[int], path: Path
) -> tuple[list[Tensor], bool]:
    """Features of each graph, and whether they are degrees, which is so where nothing tells nodes apart."""
    total = sum(counts)
    for key in _FEATURES:
        if key in arrays:
            table = arrays[key]
            if table.dtype.kind not in "fiub" or table.ndim != 2 or len(table) != total:
                raise DataError(
                    f"{path}: {key!r} is {table.dtype} {table.shape}; expected real numbers ({total}, features)."
                )
            return list(torch.split(torch.from_numpy(table.astype(np.float32)), counts)), False
    if "node_label" in arrays:
        labels = arrays["node_label"]
        if labels.shape != (total,):
            raise DataError(f"{path}: 'node_label' has shape {labels.shape}; expected ({total},), as 'node_ptr' ends.")
        known, numbers = np.unique(labels, return_inverse=True)
        if len(known) > 1:
            table = np.eye(len(known), dtype=np.float32)[numbers]
            return list(torch.split(torch.from_numpy(table), counts)), False
    for number, (ends, nodes) in enumerate(zip(edges, counts, strict=True)):
        if ends.numel() and (int(ends.min()) < 0 or int(ends.max()) >= nodes):
            raise DataError(
                f"{path}: graph {number}: an edge ends at no node; nodes are numbered from 0 in each graph."
            )
    return one_hot_degrees(edges, counts), True


def _targets(
    y: npt.NDArray[Any], targets: str
) -> tuple[npt.NDArray[np.int64] | npt.NDArray[np.float64], tuple[str, ...]]:
    if targets == "values":
        return y.astype(np.float64), ()
    known, numbers = np.unique(y, return_inverse=True)
    return numbers.astype(np.int64), tuple(map(str, known))
