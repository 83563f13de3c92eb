"""Memory of steps on batches of graphs, pairs of nodes, interactions and nodes of several types is predicted before they run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph.data import GraphCollection, NodeData
from automl_graph.data.graph_collection import Sample, join_graphs
from automl_graph.hetero import HeteroNodeClassification, NodeType, Relation, TypedData
from automl_graph.links import LinkPrediction
from automl_graph.pyg import coalesce, to_undirected
from automl_graph.recommend import Interactions, Recommendation
from automl_graph.recommend.task import RecommendationOptions
from automl_graph.signal import Graph
from automl_graph.tasks import GraphClassification, GraphOptions
from automl_graph.tasks.batch_scale import batch_scale
from automl_graph.tasks.graph_scale import link_scale
from automl_graph.tasks.random_edges import relation_with_degrees
from torch import nn

from automl.errors import ConfigError
from automl.host import Family, Host, hookimpl
from automl.job import run_job
from automl.job.step_memory import FamilyMemory, predict_families, step_bytes, weight_bytes
from automl.job_config import resolve_job
from automl.space import SizeLike
from automl.supernet import Supernet, build_supernet, family_slots, load_skeleton
from automl.tasks import Batch, StepScale, Task
from automl.training import Sandwich, TrainingConfig

_STRATEGY, _CONFIG = Sandwich(random=1), TrainingConfig()


class AllPairs(nn.Module):
    """Every node looks at all nodes of its batch."""

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, graph: Graph) -> Graph:
        return graph._replace(x=(self.scale * graph.x @ graph.x.T).softmax(1) @ graph.x)


class _Plugin:
    @hookimpl
    def automl_families(self) -> list[Family]:
        target = f"{__name__}:AllPairs"
        return [Family(name="test.all_pairs", summary="all", target=target, accepts="graph", produces="graph")]


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load(plugins=[_Plugin()])


def _ends(rng: np.random.Generator, nodes: tuple[int, int], count: int) -> torch.Tensor:
    """Edges whose degrees differ much: their ends are drawn by squares."""
    ends = rng.random((2, count)) ** 2 * np.array(nodes)[:, None]
    return torch.unique(torch.from_numpy(ends.astype(np.int64)), dim=1)


def _graph(rng: np.random.Generator, nodes: int, edges: int) -> Sample:
    edge_index = to_undirected(coalesce(_ends(rng, (nodes, nodes), edges // 2), num_nodes=nodes), num_nodes=nodes)
    return Sample(torch.from_numpy(rng.normal(size=(nodes, 11))).float(), edge_index)


def _collection(graphs: int, smallest: int, largest: int) -> GraphCollection:
    rng = np.random.default_rng(7)
    samples = tuple(_graph(rng, nodes, 4 * nodes) for nodes in rng.integers(smallest, largest, size=graphs).tolist())
    return GraphCollection("random", samples, np.arange(graphs) % 3, ("a", "b", "c"))


def _level(graphs: int, smallest: int, largest: int) -> tuple[GraphClassification, list[Sample]]:
    """A task, and its training graphs with the largest first."""
    data = _collection(graphs, smallest, largest)
    split = {"train": [*range(graphs - 2)], "validation": [graphs - 2], "test": [graphs - 1]}
    task = GraphClassification(data, split, GraphOptions(normalise="none"), 0, outputs=3)
    return task, sorted(data.graphs[:-2], key=lambda graph: -len(graph.x) - graph.edge_index.shape[1])


def _links(nodes: int, edges: int) -> LinkPrediction:
    graph = _graph(np.random.default_rng(5), nodes, edges)
    data = NodeData("random", graph.x, graph.edge_index, torch.arange(nodes) % 3, ("a", "b", "c"))
    return LinkPrediction.of(data, seed=0, options={"disjoint": 0.3, "negatives": 3})


def _recommendation(users: int, items: int, interactions: int) -> Recommendation:
    pairs = _ends(np.random.default_rng(5), (users, items), interactions).numpy()
    known = np.stack([np.arange(max(users, items)) % users, np.arange(max(users, items)) % items])
    pairs = np.concatenate([pairs, known, pairs[:, :2]], axis=1)
    count = pairs.shape[1]
    split = {"train": [*range(count - 2)], "validation": [count - 2], "test": [count - 1]}
    return Recommendation(Interactions("random", *pairs), split, RecommendationOptions(negatives=3))


def _typed(papers: int, authors: int, subjects: int) -> HeteroNodeClassification:
    rng = np.random.default_rng(5)
    types = {
        "paper": NodeType(papers, torch.from_numpy(rng.normal(size=(papers, 11))).float()),
        "author": NodeType(authors),
        "subject": NodeType(subjects, torch.from_numpy(rng.normal(size=(subjects, 3))).float()),
    }
    relations = (
        Relation("by", "paper", "author"),
        Relation("about", "paper", "subject"),
        Relation("cites", "paper", "paper"),
    )
    edges = (
        _ends(rng, (papers, authors), 3 * papers),
        _ends(rng, (papers, subjects), papers),
        _ends(rng, (papers, papers), 2 * papers),
    )
    data = TypedData("random", types, relations, edges, torch.arange(papers) % 3, ("a", "b", "c"))
    return HeteroNodeClassification.of(data, seed=0)


def _predicted(task: Task, space: str, scale: StepScale, host: Host) -> dict[str, FamilyMemory]:
    skeleton = load_skeleton(space, host)

    def build(of: Task) -> Supernet:
        return build_supernet(skeleton, of, host)

    return predict_families(build(task), task, _CONFIG, strategy=_STRATEGY, scale=scale, seed=0, build=build)


def _compare(task: Task, space: str, batch: Batch, batch_size: int, host: Host) -> dict[str, float]:
    """Predicted over measured bytes of the real step, by family."""
    scale = task.step_scale(batch_size)
    assert scale is not None
    assert max(sum(sample.size) for sample in scale.samples) < sum(scale.whole) / 2
    supernet = build_supernet(load_skeleton(space, host), task, host)
    ratios = {}
    for family, memory in _predicted(task, space, scale, host).items():
        assert memory.predicted is not None, memory
        only = {
            dimension: [family if family in slot.weights else slot.lightest]
            for slot in family_slots(supernet.network, supernet.space).values()
            for dimension in slot.dimensions
        }
        alone = Supernet(supernet.network, only=only)
        real = step_bytes(alone, task, batch, strategy=_STRATEGY, seed=0)
        ratios[family] = memory.predicted / (real + weight_bytes(supernet, _CONFIG))
    return ratios


def _first(task: Task, batch_size: int = 64) -> Batch:
    return next(iter(task.train_batches(np.random.default_rng(0), batch_size)))


@pytest.mark.parametrize(
    ("graphs", "smallest", "largest", "families"),
    [
        (130, 10, 40, "graph.mlp, graph.gcn, graph.gat, graph.kpath, graph.lcm, graph.tangnn, test.all_pairs"),
        (14, 300, 700, "graph.mlp, graph.gcn, graph.gat, test.all_pairs"),
    ],
    ids=["fewer graphs", "smaller graphs"],
)
def test_the_largest_batch_of_graphs_is_predicted(
    space_of: Callable[[str], str], graphs: int, smallest: int, largest: int, families: str, host: Host
) -> None:
    task, ordered = _level(graphs, smallest, largest)
    size = len(ordered) // 2
    batch = Batch(join_graphs(ordered[:size]), torch.arange(size) % 3)
    ratios = _compare(task, space_of(families), batch, size, host)
    assert list(ratios) == families.split(", ")
    assert all(0.7 < ratio < 1.4 for ratio in ratios.values()), ratios


def test_pairs_of_nodes_are_predicted(space_of: Callable[[str], str], host: Host) -> None:
    task = _links(2500, 20_000)
    ratios = _compare(task, space_of("graph.mlp, graph.gcn, graph.gat, test.all_pairs"), _first(task), 64, host)
    assert all(0.8 < ratio < 1.25 for ratio in ratios.values()), ratios


@pytest.mark.parametrize("shape", [(900, 700, 12_000), (300, 200, 12_000)], ids=["sparse", "dense"])
def test_interactions_are_predicted_with_the_table_of_users_and_items(shape: tuple[int, int, int], host: Host) -> None:
    task = _recommendation(*shape)
    ratios = _compare(task, "bipartite/recommend", _first(task), 64, host)
    assert set(ratios) >= {"graph.factorisation", "graph.lightgcn", "graph.sheaf4rec"}
    assert all(0.8 < ratio < 1.25 for ratio in ratios.values()), ratios


def test_nodes_of_several_types_are_predicted_with_the_rows_that_are_learned_for_them(host: Host) -> None:
    task = _typed(4000, 3000, 60)
    ratios = _compare(task, "hetero-graph/node", _first(task), 64, host)
    assert set(ratios) == {"graph.hetero_mlp", "graph.han", "graph.hgt", "graph.latte"}
    assert all(0.7 < ratio < 1.4 for ratio in ratios.values()), ratios


def test_the_largest_batch_has_as_many_nodes_and_edges_as_any_can_have() -> None:
    task, _ = _level(60, 10, 50)
    scale = task.step_scale(16)
    for seed in range(20):
        for batch in task.train_batches(np.random.default_rng(seed), 16):
            assert len(batch.inputs[0]) <= scale.whole[0]
            assert batch.inputs[1].shape[1] <= scale.whole[1]


def test_a_small_step_is_measured_whole() -> None:
    task = _recommendation(30, 20, 90)
    (sample,) = task.step_scale(7).samples
    assert sample.size == (30, 20, len(task.split["train"]))
    assert sample.task is None


def test_fewer_nodes_of_two_kinds_keep_their_degrees() -> None:
    edges = _ends(np.random.default_rng(2), (800, 500), 6000)
    small = relation_with_degrees(edges, (800, 500), (160, 100), seed=3)
    assert small[0].max() < 160
    assert small[1].max() < 100
    for row, (few, many) in enumerate([(160, 800), (100, 500)]):
        degrees = torch.bincount(small[row], minlength=few).double()
        whole = torch.bincount(edges[row], minlength=many).double()
        assert degrees.quantile(0.8) == pytest.approx(whole.quantile(0.8).item(), rel=0.25)


def _million_of_graphs() -> StepScale:
    rng = np.random.default_rng(1)
    graphs = [Sample(torch.ones(4000, 3), torch.from_numpy(rng.integers(4000, size=(2, 16_000)))) for _ in range(64)]
    return batch_scale(graphs, torch.arange(64) % 2, 64)


def _million_of_links() -> StepScale:
    rng = np.random.default_rng(1)
    edges, pairs = (torch.from_numpy(rng.integers(100_000, size=(2, 1_000_000))) for _ in range(2))
    return link_scale(Batch((torch.ones(100_000, 3), edges, pairs), torch.arange(1_000_000) % 2))


def _million_of_interactions() -> StepScale:
    return _recommendation(9000, 4000, 600_000).step_scale(64)


def _million_of_typed_edges() -> StepScale:
    return _typed(100_000, 50_000, 500).step_scale(64)


@pytest.mark.slow
@pytest.mark.parametrize(
    "scale", [_million_of_graphs, _million_of_links, _million_of_interactions, _million_of_typed_edges]
)
def test_of_a_million_edges_a_few_thousand_are_measured(scale) -> None:  # type: ignore[no-untyped-def]
    found = scale()
    assert sum(found.whole) > 500_000
    for sample in found.samples:
        assert sum(tensor.numel() for tensor in sample.batch.inputs) < 100_000
        assert sum(sample.size) <= 16_000


def _job(space: str, data: str, limit: str) -> dict[str, object]:
    return {
        "space": space,
        "data": data,
        "objectives": ["error", "params"],
        "trials": 2,
        "memory_limit": limit,
        "training": {"epochs": 1},
    }


@pytest.mark.parametrize(
    ("space", "data", "size"),
    [
        ("", "cycles-or-trees", r"[\d,]+ nodes and [\d,]+ edges"),
        ("", "karate-links", "34 nodes and 108 edges"),
        ("bipartite/recommend", "user-item-blocks", r"[\d,]+ users, [\d,]+ items and [\d,]+ interactions"),
        ("hetero-graph/node", "planted-papers", "530 nodes and 2,400 edges"),
    ],
)
def test_a_job_that_fits_nowhere_is_refused_before_anything_is_written(
    tmp_path: Path, space_of: Callable[[str], str], space: str, data: str, size: str, host: Host
) -> None:
    job = _job(space or space_of("graph.mlp, graph.gcn"), data, "9kB")
    with pytest.raises(ConfigError, match=rf"{data}: no block of the slot 'message' .* {size} .* limit is 9 kB"):
        run_job(resolve_job(settings=job), tmp_path / "run", host=host)
    assert not (tmp_path / "run").exists()


def test_a_family_that_looks_at_all_pairs_is_left_out_and_the_others_are_searched(
    tmp_path: Path, space_of: Callable[[str], str], host: Host
) -> None:
    rng = np.random.default_rng(3)
    graphs = [_graph(rng, nodes, 3 * nodes) for nodes in rng.integers(20, 60, size=90).tolist()]
    np.savez(
        tmp_path / "graphs.npz",
        node_ptr=np.cumsum([0, *(len(graph.x) for graph in graphs)]),
        edge_ptr=np.cumsum([0, *(graph.edge_index.shape[1] for graph in graphs)]),
        edge_index=np.concatenate([graph.edge_index for graph in graphs], axis=1),
        x=np.concatenate([graph.x for graph in graphs]),
        y=np.arange(90) % 2,
    )
    job = _job(space_of("graph.mlp, graph.gcn, test.all_pairs"), str(tmp_path / "graphs.npz"), "40MB")
    memory = run_job(resolve_job(settings=job), tmp_path / "run", host=host).read_json("memory.json")
    assert memory["left_out"] == ["test.all_pairs"]
    assert memory["families"]["graph.gcn"] < 20e6 < 60e6 < memory["families"]["test.all_pairs"]
