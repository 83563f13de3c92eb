"""What classification and regression of whole graphs have in common: mini-batches of graphs, parts, inputs of exports."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from automl.errors import ConfigError, DataError, did_you_mean
from automl.space import SizeLike
from automl.tasks import Batch, StepScale, Task, check_split
from automl.tasks.splits import PARTS, Part
from automl_graph.blocks.graph_readout import GraphReadout
from automl_graph.data.graph_archive import read_graphs
from automl_graph.data.graph_collection import GraphCollection, Sample, join_graphs, one_hot_degrees
from automl_graph.data.statistics import graph_statistics
from automl_graph.signal import select_edges
from automl_graph.tasks.batch_scale import batch_scale
from automl_graph.tasks.graph_options import GraphOptions
from automl_graph.tasks.scenarios import move_edges

__all__ = ["GraphLevelTask", "load_collection"]


class GraphLevelTask(Task):
    """One target for each graph; a batch is several graphs side by side.

    Networks take four inputs: ``x`` and ``edge_index`` of all nodes, ``batch`` (graph of each node) and ``sizes`` (number of
    nodes of each graph); where edges have features a fifth, ``edge_attr``.

    Args:
        data: the graphs.
        split: numbers of the graphs of each part.
        options: features and noise.
        seed: decides the noise.
        outputs: width of the output.
    """

    options_model: ClassVar[type[BaseModel]] = GraphOptions
    signal: ClassVar[str] = "graph"

    def __init__(
        self,
        data: GraphCollection,
        split: Mapping[str, list[int]],
        options: GraphOptions,
        seed: int,
        *,
        outputs: int,
    ) -> None:
        if options.edge_features == "none":
            data = data.without_edge_features()
        self.split = check_split(split, len(data.graphs), where=f"{data.name}: split")
        self.input_width = data.width
        self.outputs = outputs
        self.sample_shape = (data.width,)
        self.fingerprint = data.fingerprint
        self._data: Final = data
        self._options: Final = options
        self._graphs = _prepared(data, self.split, options, seed)
        self._device: torch.device = torch.device("cpu")
        self._kept: dict[tuple[str, int, int | None], list[Batch]] = {}

    @abstractmethod
    def _targets(self, rows: Sequence[int]) -> Tensor:
        """Returns the targets of graphs, as the loss takes them."""

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._device = torch.device(device)
        self._graphs = {
            row: Sample(
                graph.x.to(device, dtype),
                graph.edge_index.to(device),
                None if graph.edge_attr is None else graph.edge_attr.to(device, dtype),
            )
            for row, graph in self._graphs.items()
        }
        self._kept.clear()

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        order = rng.permutation(self.split["train"]).tolist()
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            if len(rows) == 1 < min(batch_size, len(order)):
                continue
            yield self._batch(rows)

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        key = (part, batch_size, limit)
        if key not in self._kept:
            # Kept, so that what blocks remember about these edges serves all candidates of a search.
            self._kept[key] = [*self._in_order(self.split[part][:limit], batch_size)]
        yield from self._kept[key]

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        chosen = np.random.default_rng(seed).permutation(self.split["train"])[:samples].tolist()
        yield from self._in_order(chosen, batch_size)

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        rows = self.split["validation"]
        return self._batch([rows[i % len(rows)] for i in range(batch_size)]).inputs

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("x", "edge_index", "batch", "sizes", *(("edge_attr",) if self._data.edge_width else ()))

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        axes = ({0: "nodes"}, {1: "edges"}, {0: "nodes"}, {0: "graphs"}, {0: "edges"})
        return axes[: len(self.input_names)]

    def head(self, width: SizeLike) -> nn.Module:
        return GraphReadout(width, self.outputs)

    def steps_per_epoch(self, batch_size: int) -> int:
        samples = len(self.split["train"])
        whole, rest = divmod(samples, batch_size)
        return whole + (rest > 1 or samples == rest == 1)

    def step_scale(self, batch_size: int) -> StepScale:
        rows = self.split["train"]
        return batch_scale([self._graphs[row] for row in rows], self._targets(rows), batch_size)

    def shard(self, batch: Batch, rank: int, world_size: int) -> Batch:
        graphs = len(batch.target)
        if world_size == 1 or graphs < world_size:
            return batch
        x, edge_index, graph, sizes, *rest = batch.inputs
        edge_attr = rest[0] if rest else None
        ends = sizes.cumsum(0).tolist()
        own = torch.arange(rank, graphs - graphs % world_size, world_size, device=x.device)
        samples = []
        for number in own.tolist():
            start, end = ends[number] - int(sizes[number]), ends[number]
            inside, attributes = select_edges(edge_index, edge_attr, graph[edge_index[0]] == number)
            samples.append(Sample(x[start:end], inside - start, attributes))
        return Batch(join_graphs(samples), batch.target[own])

    def describe(self) -> dict[str, Any]:
        sizes = [len(graph.x) for graph in self._data.graphs]
        edges = [graph.edge_index for graph in self._data.graphs]
        joined = sum(int(torch.bincount(ends.flatten()).count_nonzero()) for ends in edges)
        return {
            "data": self._data.name,
            "fingerprint": self.fingerprint,
            "graphs": len(sizes),
            "nodes": {"mean": float(np.mean(sizes)), "largest": max(sizes)},
            "edges": sum(ends.shape[1] for ends in edges),
            "self_loops": sum(int((ends[0] == ends[1]).sum()) for ends in edges),
            "merged_edges": self._data.merged_edges,
            "isolated_nodes": sum(sizes) - joined,
            "features": self.input_width,
            "edge_features": self._data.edge_width,
            "samples": {part: len(rows) for part, rows in self.split.items()},
            "scenario": self._options.model_dump(include={"noise", "noise_on_test", "imbalance", "few_shot", "fold"}),
        }

    def statistics(self) -> dict[str, Any]:
        found = [graph_statistics(graph.edge_index, len(graph.x)) for graph in self._data.graphs]
        shown: dict[str, Any] = {"graphs": len(found)}
        for name in found[0]:
            values = [facts[name] for facts in found]
            shown[name] = {"mean": float(np.mean(values)), "largest": max(values)}
        return {**shown, "features": self.input_width, **super().statistics()}

    def _in_order(self, rows: Sequence[int], batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(rows), batch_size):
            yield self._batch(rows[start : start + batch_size])

    def _batch(self, rows: Sequence[int]) -> Batch:
        return Batch(join_graphs([self._graphs[row] for row in rows]), self._targets(rows).to(self._device))


def load_collection(
    data: str, built_in: Mapping[str, Callable[[], GraphCollection]], targets: str, options: GraphOptions
) -> GraphCollection:
    """Returns a built-in collection or that of a file.

    Args:
        data: name or path.
        built_in: the collections that need no file.
        targets: ``"classes"`` or ``"values"``.
        options: which column of the targets of a file is read, and whether features of edges are.

    Raises:
        DataError: there is no such name or file, or the file is unfit.
        ConfigError: there is no such column.
    """
    if data in built_in:
        if options.target is not None:
            raise ConfigError(f"task options.target: is for graphs of files, {data!r} is built in.")
        return built_in[data]()
    if data.lower().endswith(".npz"):
        return read_graphs(Path(data), targets, options.target, options.edge_features)
    raise DataError(
        f"{data}: no such graphs; expected a .npz file with 'node_ptr', 'edge_ptr', 'edge_index' and 'y', or built-in ones."
        f"{did_you_mean(data, built_in)}"
    )


def _prepared(
    data: GraphCollection, split: Mapping[str, list[int]], options: GraphOptions, seed: int
) -> dict[int, Sample]:
    """The graphs of all parts after noise and normalisation."""
    graphs = {row: data.graphs[row] for part in PARTS for row in split[part]}
    if options.noise:
        noisy = [row for part in PARTS if part == "train" or options.noise_on_test for row in split[part]]
        for row in noisy:
            graph = graphs[row]
            # Every graph has a seed of its own, so its noise does not depend on which others are in the part.
            moved = move_edges(graph, options.noise, seed * len(data.graphs) + row)
            x = one_hot_degrees([moved.edge_index], [len(graph.x)], data.width)[0] if data.degrees else graph.x
            graphs[row] = replace(moved, x=x)
    binary = all(bool(((graph.x == 0) | (graph.x == 1)).all()) for graph in data.graphs)
    if options.normalise == "none" or (options.normalise == "auto" and binary):
        return graphs
    deviation, mean = torch.std_mean(torch.cat([graphs[row].x for row in split["train"]]).double(), dim=0, correction=0)
    deviation[deviation == 0] = 1  # a constant feature stays zero instead of becoming infinite
    return {row: replace(g, x=((g.x - mean) / deviation).float()) for row, g in graphs.items()}
