"""Graphs from saved tensors (``.pt``) and from objects of torch-geometric."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.data.raw_graph import RawGraph, splits_of_masks

__all__ = ["from_pyg", "load_tensors"]

_MASKS: Final = ("train_mask", "val_mask", "test_mask", "train_masks", "val_masks", "test_masks")


def load_tensors(path: Path, labelled: bool = True) -> RawGraph:
    """Reads the dictionary of tensors ``x``, ``edge_index``, ``y`` and perhaps ``edge_attr`` and masks that ``torch.save`` wrote.

    Args:
        path: the file.
        labelled: whether ``y`` and masks are read; without, they may be missing.

    Raises:
        DataError: the file is missing, holds anything but plain tensors, or is unfit.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a dictionary of tensors, written by 'torch.save'.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as plain tensors: {reason} Save 'data.to_dict()' instead of an object."
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: holds {type(content).__name__}; expected a dictionary with 'x', 'edge_index' and 'y'."
        )
    return _of_tensors(content, str(path), labelled)


def from_pyg(data: Any, name: str = "graph", *, labelled: bool = True) -> RawGraph:
    """Returns the graph of a ``torch_geometric.data.Data`` or of a data set that holds exactly one.

    Args:
        data: a ``Data`` with ``edge_index``, ``y`` and perhaps ``x``, ``edge_attr`` and masks (``(nodes,)``, or ``(nodes,
            splits)`` as its data sets have them), or an ``InMemoryDataset``.
        name: what messages call it.
        labelled: whether ``y`` and masks are read; without, they may be missing.

    Raises:
        DataError: there are several graphs, or something is missing.

    Example:
        >>> from torch_geometric.data import Data
        >>> edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> graph = from_pyg(Data(x=torch.eye(4), edge_index=edges, y=torch.tensor([0, 1, 0, 1]))).finish()
        >>> graph.nodes, tuple(graph.edge_index.shape)
        (4, (2, 6))
    """
    if not hasattr(data, "to_dict"):
        if len(data) != 1:
            raise DataError(f"{name}: is a data set of {len(data)} graphs; node classification needs exactly one.")
        data = data[0]
    content = dict(data.to_dict())
    for mask in _MASKS:
        value = content.get(mask)
        if isinstance(value, Tensor) and value.dim() == 2:
            content[mask] = value.T  # torch-geometric puts splits last
    return _of_tensors(content, name, labelled)


def _of_tensors(content: Mapping[str, Any], where: str, labelled: bool) -> RawGraph:
    tensors = {
        key: value.detach().numpy()
        for key, value in content.items()
        if isinstance(value, Tensor) and not value.is_sparse
    }
    for key in ("edge_index", "y") if labelled else ("edge_index",):
        if key not in tensors:
            raise DataError(f"{where}: has no tensor {key!r}; it holds {', '.join(map(repr, content)) or 'nothing'}.")
    if not labelled:
        return RawGraph(where, tensors.get("x"), tensors["edge_index"], None, edge_attr=tensors.get("edge_attr"))
    y = tensors["y"]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    splits = splits_of_masks(tensors, len(y), where)
    return RawGraph(where, tensors.get("x"), tensors["edge_index"], y, splits, edge_attr=tensors.get("edge_attr"))
