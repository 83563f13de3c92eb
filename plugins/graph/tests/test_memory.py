"""Memory of steps on graphs is predicted, and families that would not fit are left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph.data import NodeData
from automl_graph.pyg import coalesce, to_undirected
from automl_graph.sparse_features import SparseFeatures
from automl_graph.tasks import NodeClassification
from automl_graph.tasks.random_edges import graph_with_degrees

from automl.errors import ConfigError
from automl.host import Host
from automl.job import run_job
from automl.job.step_memory import predict_families, step_bytes, weight_bytes
from automl.job_config import resolve_job
from automl.report import read_run
from automl.supernet import Supernet, build_supernet, load_skeleton
from automl.training import Sandwich, TrainingConfig

_FAMILIES = "graph.mlp, graph.gcn, graph.gat, graph.sage, graph.transformer, graph.sheaf, graph.tangnn"


def _graph(nodes: int, edges: int, *, words: int = 0) -> NodeData:
    """Degrees that differ much: ends of edges are drawn by squares. With ``words``, most of so many features are zeros."""
    rng = np.random.default_rng(5)
    ends = torch.from_numpy((rng.random((2, edges // 2)) ** 2 * nodes).astype(np.int64))
    edge_index = to_undirected(coalesce(ends, num_nodes=nodes), num_nodes=nodes)
    x = torch.from_numpy(rng.normal(size=(nodes, words or 11))).float()
    if words:
        x *= torch.from_numpy(rng.random(x.shape) < 0.02)
    return NodeData("random", x, edge_index, torch.arange(nodes) % 3, ("a", "b", "c"))


@pytest.mark.parametrize("words", [0, 300])
def test_predictions_are_within_a_factor_of_two_of_what_the_whole_graph_takes(
    space_of: Callable[[str], str], words: int
) -> None:
    host, config = Host.load(), TrainingConfig()
    task = NodeClassification.of(_graph(5000, 30_000, words=words), seed=0)
    skeleton = load_skeleton(space_of(_FAMILIES), host)
    found = predict_families(
        build_supernet(skeleton, task, host),
        task,
        config,
        strategy=Sandwich(random=1),
        scale=task.step_scale(64),
        seed=0,
        build=lambda of: build_supernet(skeleton, of, host),
    )
    assert list(found) == _FAMILIES.split(", ")
    batch = next(iter(task.train_batches(np.random.default_rng(0), 64)))
    assert isinstance(batch.inputs[0], SparseFeatures) == (words > 0)
    supernet = build_supernet(skeleton, task, host)
    for family, memory in found.items():
        only = {f"message.blocks.{i}.choice": [family] for i in range(2)}
        alone = Supernet(supernet.network, only=only)
        real = step_bytes(alone, task, batch, strategy=Sandwich(random=1), seed=0) + weight_bytes(alone, config)
        assert memory.predicted is not None
        assert 0.5 < memory.predicted / real < 2, (family, memory, real)


def test_a_smaller_graph_keeps_the_degrees_and_the_symmetry_of_the_larger_one() -> None:
    data = _graph(4000, 24_000)
    small = graph_with_degrees(data.edge_index, 4000, 500, seed=1)
    mean = data.edge_index.shape[1] / 4000
    assert small.max() < 500
    assert small.shape[1] / 500 == pytest.approx(mean, rel=0.1)
    assert torch.equal(small, coalesce(small.flip(0)))
    degrees, whole = (torch.bincount(e[1]).double() for e in (small, data.edge_index))
    assert degrees.quantile(0.9) == pytest.approx(whole.quantile(0.9).item(), rel=0.2)


def test_a_directed_graph_stays_directed() -> None:
    edges = torch.stack([torch.arange(600) % 100, torch.arange(600) // 6])
    small = graph_with_degrees(edges, 100, 40, seed=1)
    assert not torch.equal(small, coalesce(small.flip(0)))


def _job(
    space_of: Callable[[str], str], limit: str, families: str = "graph.mlp, graph.gcn, graph.tangnn"
) -> dict[str, object]:
    return {
        "space": space_of(families),
        "data": "karate",
        "objectives": ["error", "params"],
        "trials": 4,
        "memory_limit": limit,
        "training": {"epochs": 1},
        "task_options": {"steps_per_epoch": 2},
    }


def test_a_family_alone_that_does_not_fit_does_not_end_a_job(tmp_path: Path, space_of: Callable[[str], str]) -> None:
    folder, host = tmp_path / "run", Host.load()
    job = resolve_job(settings=_job(space_of, "2MB"))
    run = run_job(job, folder, host=host)
    memory = run.read_json("memory.json")
    assert memory["left_out"] == ["graph.tangnn"]
    assert memory["limit"] == 2_000_000
    assert memory["families"]["graph.gcn"] < 2_000_000 < memory["families"]["graph.tangnn"]
    chosen = {v for m in read_run(folder).members for k, v in m.architecture.items() if k.endswith("choice")}
    assert chosen <= {"graph.mlp", "graph.gcn"}
    (folder / "front.json").unlink()
    (folder / "ledger.log").unlink()
    again = run_job(job, folder, host=host)  # goes on with the same families
    assert again.read_json("front.json")["trials"]["complete"] == 4


def test_a_job_without_any_family_that_fits_is_refused_before_anything_is_written(
    tmp_path: Path, space_of: Callable[[str], str]
) -> None:
    with pytest.raises(
        ConfigError, match=r"karate: no block of the slot 'message' .* 34 nodes and 156 edges .* limit is 9 kB"
    ):
        run_job(resolve_job(settings=_job(space_of, "9kB")), tmp_path / "run", host=Host.load())
    assert not (tmp_path / "run").exists()


def test_a_network_without_choices_is_refused_whole(tmp_path: Path, space_of: Callable[[str], str]) -> None:
    with pytest.raises(ConfigError, match=r"karate: no network .* fits into memory"):
        run_job(resolve_job(settings=_job(space_of, "9kB", "graph.gcn")), tmp_path / "run", host=Host.load())


@pytest.mark.parametrize("text", ["2 ms", "plenty", "0", "-3MB"])
def test_a_limit_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="memory_limit"):
        resolve_job(settings={"memory_limit": text})


def test_small_data_are_not_predicted_unless_a_limit_is_written(tmp_path: Path, space_of: Callable[[str], str]) -> None:
    settings = {k: v for k, v in _job(space_of, "").items() if k != "memory_limit"}
    run = run_job(resolve_job(settings=settings), tmp_path / "run", host=Host.load())
    assert not run.has("memory.json")
