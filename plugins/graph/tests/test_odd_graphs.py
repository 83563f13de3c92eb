"""Graphs that are odd but right: without edges, with self loops, double edges, isolated nodes, in one direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph.hetero import HeteroNodeClassification
from automl_graph.tasks import NodeClassification

from automl.errors import ConfigError
from automl.host import Host
from automl.job.parts import resolve_parts
from automl.job_config import resolve_job
from automl.supernet import Supernet, build_supernet, family_slots, load_skeleton
from automl.tasks import Task

_SPACE = """
space: odd
input: graph
slots:
  message: {from: input, blocks: ["*"], width: [8, 12]}
output: message
"""
_NODES = 12
_EDGES = {
    "no edges": np.zeros((2, 0), dtype=np.int64),
    "one edge": np.array([[3], [7]]),
    "self loops, double edges, isolated nodes": np.array([[0, 0, 0, 1, 2, 3, 3], [1, 1, 0, 1, 3, 4, 4]]),
}


def assert_every_family_learns(supernet: Supernet, task: Task, rng: np.random.Generator) -> set[str]:
    """Takes a step with each family of the slot ``message``, whose loss and gradients must be finite; returns the families."""
    slot = family_slots(supernet.network, supernet.space)["message"]
    batch = next(iter(task.train_batches(rng, 1)))
    for family in slot.families:
        architecture = next(
            a for a in iter(lambda: supernet.space.sample(rng), None) if a["message.blocks.0.choice"] == family
        )
        supernet.activate(architecture)
        supernet.zero_grad()
        loss = task.loss(supernet(*batch.inputs), batch)
        loss.backward()
        gradients = [p.grad for p in supernet.parameters() if p.grad is not None]
        assert torch.isfinite(loss), family
        assert all(bool(torch.isfinite(g).all()) for g in gradients), family
    return set(slot.families)


@pytest.mark.parametrize("undirected", [True, False])
@pytest.mark.parametrize("edges", _EDGES.values(), ids=_EDGES)
def test_every_family_learns_on_odd_graphs(tmp_path: Path, edges: np.ndarray, undirected: bool) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "odd.npz"
    np.savez(path, x=rng.normal(size=(_NODES, 5)), edge_index=edges, y=np.arange(_NODES) % 3)
    (tmp_path / "space.yaml").write_text(_SPACE)
    host = Host.load()
    task = NodeClassification.load(str(path), seed=0, options={"undirected": undirected})
    torch.manual_seed(0)
    supernet = build_supernet(load_skeleton(str(tmp_path / "space.yaml"), host), task, host).train()
    assert_every_family_learns(supernet, task, rng)


_TYPED = {
    "no edges": (np.zeros((2, 0), dtype=np.int64), np.zeros((2, 0), dtype=np.int64)),
    "isolated nodes": (np.array([[0, 0, 3], [1, 2, 1]]), np.zeros((2, 0), dtype=np.int64)),
    "self loops, double edges": (np.array([[0, 0, 3], [1, 1, 1]]), np.array([[2, 2, 4, 4], [2, 5, 6, 6]])),
}


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("edges", _TYPED.values(), ids=_TYPED)
def test_every_typed_family_learns_on_odd_graphs(
    tmp_path: Path, edges: tuple[np.ndarray, np.ndarray], reverse: bool
) -> None:
    rng, path, host = np.random.default_rng(1), tmp_path / "odd.npz", Host.load()
    content = {"edges/paper/author": edges[0], "edges/paper/paper/cites": edges[1], "nodes/author": np.asarray(4)}
    np.savez(path, **{"x/paper": rng.normal(size=(_NODES, 5)), "y/paper": np.arange(_NODES) % 3} | content)
    task = HeteroNodeClassification.load(str(path), seed=0, options={"use_reverse": reverse})
    torch.manual_seed(0)
    supernet = build_supernet(load_skeleton("hetero-graph/node", host), task, host).train()
    assert {"graph.latte", "graph.han", "graph.hgt"} <= assert_every_family_learns(supernet, task, rng)


def test_a_path_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data: 'absent\.npz': no such file or folder"):
        resolve_parts(resolve_job(settings={"space": "graph/level", "data": "absent.npz"}), Host.load())
