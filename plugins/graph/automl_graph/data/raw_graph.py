"""What readers of graph files give, and how it becomes a checked graph: edges merged, features found, a split chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from automl.errors import ConfigError, DataError
from automl.tasks.splits import PARTS, check_split
from automl_graph.data.edge_features import EdgeFeatures, edge_table
from automl_graph.data.node_data import NodeData
from automl_graph.pyg import coalesce, to_undirected
from automl_graph.signal import select_edges

__all__ = ["Features", "RawGraph", "named_classes", "splits_of_masks"]

Features = Literal["given", "degree"]
_LARGEST_DEGREE = 63
_MASKS = {"train": "train_mask", "validation": "val_mask", "test": "test_mask"}


@dataclass(frozen=True)
class RawGraph:
    """A graph as a file holds it.

    Args:
        name: the file, for messages.
        x: features, ``(nodes, width)``; None if there are none.
        edge_index: source and target of each edge, ``(2, edges)``.
        y: class of each node, ``(nodes,)`` from 0; None if classes are not asked for.
        splits: the splits that come with the graph, one of which a task uses.
        class_names: names of the classes; None to call them by their numbers.
        keep_self_loops: whether edges of a node to itself belong to the graph.
        usual_split: what a task uses that asks for no particular split; None for the first of ``splits``.
        asked_splits: what ``splits`` are called in messages.
        count: number of nodes, where neither ``x`` nor ``y`` tells it.
        edge_attr: features of the edges, ``(edges, width)``, or a label for each, ``(edges,)``; None if there are none.
        edge_key: what messages call these.
    """

    name: str
    x: npt.NDArray[Any] | None
    edge_index: npt.NDArray[Any]
    y: npt.NDArray[Any] | None
    splits: Sequence[Mapping[str, list[int]]] = ()
    class_names: tuple[str, ...] | None = None
    keep_self_loops: bool = True
    usual_split: Mapping[str, list[int]] | None = None
    asked_splits: str = "fixed splits"
    count: int | None = None
    edge_attr: npt.NDArray[Any] | None = None
    edge_key: str = "edge_attr"

    def finish(
        self,
        *,
        undirected: bool = True,
        features: Features = "given",
        fixed_split: int | None = None,
        edge_features: EdgeFeatures = "given",
    ) -> NodeData:
        """Returns the checked graph. Features of edges that become one are averaged.

        Args:
            undirected: add the missing direction of every edge; features of the two directions are then averaged.
            features: ``given``, or ``degree`` for one-hot degrees, where a graph has none or others are not wanted.
            fixed_split: number of the split to use; None for the usual one.
            edge_features: ``none`` leaves features of edges out.

        Raises:
            DataError: the graph is unfit; names file and array.
            ConfigError: there is no such split.
        """
        edges = torch.from_numpy(_integers(self.edge_index, "edge_index", self.name))
        y, names = self._labels(edges)
        x = self._features(features, len(y))
        checked = NodeData(self.name, x, edges, y, names)
        table = self._edge_table(edges.shape[1]) if edge_features == "given" else None
        merged, attributes = coalesce(edges, table, num_nodes=checked.nodes, reduce="mean")
        double = edges.shape[1] - merged.shape[1]
        if not self.keep_self_loops:
            merged, attributes = select_edges(merged, attributes, merged[0] != merged[1])
        if undirected:
            merged, attributes = to_undirected(merged, attributes, num_nodes=checked.nodes, reduce="mean")
        if features == "degree":
            x = _one_hot_degrees(merged, checked.nodes)
        return replace(
            checked,
            x=x,
            edge_index=merged,
            split=self._split(fixed_split, checked.nodes),
            merged_edges=double,
            edge_attr=attributes,
        )

    def _edge_table(self, edges: int) -> Tensor | None:
        if self.edge_attr is None:
            return None
        table = edge_table(self.edge_attr, edges, self.edge_key, self.name)
        return None if table is None else torch.from_numpy(table)

    def _labels(self, edges: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        if self.y is None:
            known = self.count if self.x is None else len(self.x)
            nodes = known if known is not None else int(edges.max()) + 1 if edges.numel() else 0
            return torch.zeros(nodes, dtype=torch.int64), ()
        y = torch.from_numpy(_integers(self.y, "y", self.name))
        return y, self.class_names or tuple(str(label) for label in range(int(y.max()) + 1 if y.numel() else 0))

    def _features(self, features: Features, nodes: int) -> Tensor:
        if features == "degree":
            return torch.ones(nodes, 1)
        if self.x is None:
            raise DataError(
                f"{self.name}: has no features. Add them as 'x' ({_SHAPE}), or set 'task_options.features=degree' to "
                "take the degree of each node as its feature."
            )
        if self.x.dtype.kind not in "fiub":
            raise DataError(f"{self.name}: 'x' holds {self.x.dtype}; expected real numbers.")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is reported as such
            return torch.from_numpy(self.x.astype(np.float32))

    def _split(self, number: int | None, nodes: int) -> dict[str, list[int]] | None:
        if number is None:
            usual = self.usual_split or (self.splits[0] if self.splits else None)
            return None if usual is None else check_split(usual, nodes, where=f"{self.name}: split")
        if not self.splits:
            raise ConfigError(
                f"task options.fixed_split: {number} is asked for, but {self.name} comes without {self.asked_splits}. "
                "Leave the option out, or add masks to the data."
            )
        if number >= len(self.splits):
            raise ConfigError(
                f"task options.fixed_split: {number} is asked for, but {self.name} has {len(self.splits)} "
                f"{self.asked_splits}; expected 0 to {len(self.splits) - 1}."
            )
        return check_split(self.splits[number], nodes, where=f"{self.name}: fixed split {number}")


_SHAPE = "(nodes, features), real numbers"


def splits_of_masks(arrays: Mapping[str, npt.NDArray[Any]], nodes: int, where: str) -> list[dict[str, list[int]]]:
    """Returns the splits that masks describe.

    Args:
        arrays: may hold ``train_mask``, ``val_mask`` and ``test_mask``, each ``(nodes,)`` or ``(splits, nodes)``; an ``s`` at
            the end of a name is fine.
        nodes: number of nodes.
        where: the file, for messages.

    Returns:
        One split for each row of the masks; none if there are no masks.

    Raises:
        DataError: some masks are missing or do not fit; names file and mask.
    """
    found = {part: next((m for m in (name, f"{name}s") if m in arrays), None) for part, name in _MASKS.items()}
    if not any(found.values()):
        return []
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    for part, name in found.items():
        if name is None:
            raise DataError(f"{where}: has masks, but none called {_MASKS[part]!r}; expected one for each part.")
        mask = np.atleast_2d(arrays[name])
        if mask.ndim != 2 or mask.shape[1] != nodes or not np.isin(mask, (0, 1)).all():
            raise DataError(
                f"{where}: {name!r} has shape {arrays[name].shape} and dtype {arrays[name].dtype}; expected true or false for "
                f"each of {nodes} nodes, ({nodes},) or (splits, {nodes})."
            )
        masks[part] = mask.astype(bool)
    lengths = {len(mask) for mask in masks.values()}
    if len(lengths) > 1:
        raise DataError(f"{where}: masks hold {sorted(lengths)} splits; expected the same number in each.")
    return [{part: np.flatnonzero(masks[part][i]).tolist() for part in PARTS} for i in range(lengths.pop())]


def named_classes(labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Returns the number of each label among the sorted names, and the names; whole numbers are sorted as such."""
    try:
        names = sorted(set(labels), key=int)
    except ValueError:
        names = sorted(set(labels))
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[label] for label in labels], dtype=np.int64), tuple(names)


def _one_hot_degrees(edge_index: Tensor, nodes: int) -> Tensor:
    degree = torch.bincount(edge_index[1], minlength=nodes).clamp(max=_LARGEST_DEGREE)
    return F.one_hot(degree, int(degree.max()) + 1).float()


def _integers(array: npt.NDArray[Any], key: str, where: str) -> npt.NDArray[np.int64]:
    if array.dtype.kind not in "iu":
        missing = np.argwhere(~np.isfinite(array)).tolist() if array.dtype.kind == "f" else []
        hint = f" The first that is not a number is at position {missing[0][-1]}." if missing else ""
        raise DataError(f"{where}: {key!r} holds {array.dtype}; expected integers.{hint}")
    return array.astype(np.int64)
