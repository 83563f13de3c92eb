"""Memory of steps on batches of graphs, pairs of nodes, interactions and nodes of several types is predicted before they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph.data import GraphCollection, NodeData
from automl_graph.data.graph_collection import Sample
from automl_graph.hetero import HeteroNodeClassification, NodeType, Relation, TypedData
from automl_graph.links import LinkPrediction
from automl_graph.pyg import coalesce, to_undirected
from automl_graph.recommend import Interactions, Recommendation
from automl_graph.recommend.task import RecommendationOptions
from automl_graph.tasks import GraphClassification, GraphOptions

from automl.host import Host
from automl.job.step_memory import FamilyMemory, predict_families, step_bytes, weight_bytes
from automl.supernet import Supernet, build_supernet, family_slots, load_skeleton
from automl.tasks import Batch, Task
from automl.training import Sandwich, TrainingConfig

_HOST, _CONFIG, _STRATEGY = Host.load(), TrainingConfig(), Sandwich(random=1)

_GRAPHS = """
space: memory
input: graph
slots:
  pre: {from: input, blocks: [graph.mlp], width: [8, 24]}
  message: {from: pre, blocks: [%s], depth: [1, 2]}
output: message
"""
_FAMILIES = "graph.mlp, graph.gcn, graph.gat, graph.sage, graph.kpath, graph.lcm, graph.sheaf, graph.tangnn"


def _edges(rng: np.random.Generator, nodes: tuple[int, int], count: int) -> torch.Tensor:
    """Degrees that differ much: ends of edges are drawn by squares."""
    ends = rng.random((2, count)) ** 2 * np.array(nodes)[:, None]
    return torch.unique(torch.from_numpy(ends.astype(np.int64)), dim=1)


def _graph(rng: np.random.Generator, nodes: int, edges: int) -> Sample:
    edge_index = to_undirected(coalesce(_edges(rng, (nodes, nodes), edges // 2), num_nodes=nodes), num_nodes=nodes)
    return Sample(torch.from_numpy(rng.normal(size=(nodes, 11))).float(), edge_index)


def _collection(graphs: int, nodes: tuple[int, int], *, degree: int = 4) -> GraphClassification:
    rng = np.random.default_rng(7)
    sizes = rng.integers(*nodes, size=graphs)
    samples = tuple(_graph(rng, n, n * degree) for n in sizes.tolist())
    data = GraphCollection("random", samples, np.arange(graphs) % 3, ("a", "b", "c"))
    split = {"train": [*range(graphs - 6)], "validation": [*range(graphs - 6, graphs - 3)], "test": [*range(graphs - 3, graphs)]}
    return GraphClassification(data, split, GraphOptions(normalise="none"), 0, outputs=3)


def _unused(task: GraphClassification, count: int) -> Batch:
    whole = next(iter(task.train_batches(np.random.default_rng(0), len(task.split["train"]))))
    graphs = whole.inputs[3] + torch.bincount(whole.inputs[2][whole.inputs[1][0]], minlength=len(whole.target))
    order = graphs.argsort(descending=True)[:count]
    return task.shard_of(whole, order)
