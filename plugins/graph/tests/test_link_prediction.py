"""Link prediction: what training must not see, which pairs are asked for, metrics, the head, and the errors that users meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.blocks import GCN, LinkScores
from automl_graph.data import NodeData, karate_club
from automl_graph.links import LinkPrediction, both_directions, hits_at, sample_unlinked, score_links, unique_links
from automl_graph.links.metrics import balanced_loss
from automl_graph.links.options import LinkOptions
from automl_graph.signal import Graph
from automl_graph.tasks import NodeClassification
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.elastic import specialise
from automl.errors import AutomlError, ConfigError, DataError
from automl.host import Host
from automl.job import export_picked, load_supernet, pick, run_job
from automl.job_config import JobConfig
from automl.space import Ordinal, SearchSpace

HOST = Host.load(entry_points=False, plugins=[plugin])
PARTS = ("train", "validation", "test")


def load(data: str = "karate", seed: int = 0, **options: Any) -> LinkPrediction:
    return LinkPrediction.load(data, seed=seed, options=options)


def asked(task: LinkPrediction, part: str) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Links and unlinked pairs that a part asks for."""
    (batch,) = task.batches(part, 1)  # type: ignore[arg-type]
    pairs = batch.inputs[2]
    linked = batch.target > 0
    return as_set(pairs[:, linked]), as_set(pairs[:, ~linked])


def as_set(pairs: Tensor) -> set[tuple[int, int]]:
    return {(min(a, b), max(a, b)) for a, b in pairs.T.tolist()}


def graph_of(edge_index: Tensor, nodes: int = 9) -> NodeData:
    x = torch.randn(nodes, 4, generator=torch.Generator().manual_seed(0))
    return NodeData("made-up", x, edge_index, torch.arange(nodes) % 2, ("a", "b"))


# --- no leak -----------------------------------------------------------------------------------------------------------


@st.composite
def messy_graphs(draw: st.DrawFn) -> NodeData:
    """Undirected graphs with double edges, edges given twice in both directions, and self loops."""
    nodes = draw(st.integers(7, 12))
    node = st.integers(0, nodes - 1)
    pairs = draw(st.lists(st.tuples(node, node), min_size=8, max_size=18))
    edges = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], *pairs]).T
    return graph_of(both_directions(edges), nodes)


@settings(max_examples=20, deadline=None)
@given(data=messy_graphs(), seed=st.integers(0, 99), disjoint=st.sampled_from([0.0, 0.4]))
def test_no_held_out_link_nor_its_reverse_is_ever_in_the_graph_of_messages(
    data: NodeData, seed: int, disjoint: float
) -> None:
    task = LinkPrediction.of(data, seed=seed, options={"disjoint": disjoint, "steps_per_epoch": 3})
    held_out = asked(task, "validation")[0] | asked(task, "test")[0]
    links = asked(task, "train")[0]
    assert not links & held_out
    assert links | held_out == as_set(unique_links(data.edge_index))
    batches = [*task.train_batches(np.random.default_rng(seed), 4), *task.calibration_batches(0, 9, 4)]
    for part in PARTS:
        batches += task.batches(part, 4)  # type: ignore[arg-type]
    for batch in batches:
        assert not as_set(batch.inputs[1]) & held_out
    for edges in (task.example_inputs(3)[1],):
        assert as_set(edges) == links
        assert sorted(edges.T.tolist()) == sorted(edges.flip(0).T.tolist())  # both directions
    assert not asked(task, "validation")[1] & asked(task, "test")[1]
    everything = as_set(unique_links(data.edge_index))
    assert not (asked(task, "validation")[1] | asked(task, "test")[1]) & everything


def test_training_does_not_change_with_held_out_links() -> None:
    """Not even through the pairs that are drawn as unlinked: to avoid held-out links would give them away."""
    train = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]])
    first, second = torch.tensor([[0, 0], [2, 3]]), torch.tensor([[5, 6], [7, 8]])
    seen = []
    for held_out in (first, second):
        data = graph_of(both_directions(torch.cat([train, held_out], dim=1)))
        links = unique_links(data.edge_index).T.tolist()
        rows = {tuple(pair): number for number, pair in enumerate(links)}
        split = {
            "train": [rows[tuple(pair)] for pair in train.T.tolist()],
            "validation": [rows[tuple(held_out[:, 0].tolist())]],
            "test": [rows[tuple(held_out[:, 1].tolist())]],
        }
        task = LinkPrediction(data, split, LinkOptions(disjoint=0.3), 0)
        seen.append([*task.train_batches(np.random.default_rng(1), 4)])
    for a, b in zip(*seen, strict=True):
        assert all(map(torch.equal, (*a.inputs, a.target), (*b.inputs, b.target)))


def test_links_that_are_asked_for_are_taken_out_of_the_graph_where_they_are_to_be_disjoint() -> None:
    task = load(disjoint=0.3, steps_per_epoch=4)
    found = []
    for batch in task.train_batches(np.random.default_rng(0), 4):
        links = as_set(batch.inputs[2][:, batch.target > 0])
        messages = as_set(batch.inputs[1])
        assert not links & messages
        assert links | messages == asked(task, "train")[0]
        assert len(links) == 16
        found.append(links)
    assert found[0] != found[1]


def test_degrees_as_features_count_training_links_only(tmp_path: Path) -> None:
    path = archive(tmp_path / "graph.npz")
    task = load(str(path), features="degree")
    x, edge_index, _ = task.example_inputs(1)
    assert torch.equal(x.argmax(1), torch.bincount(edge_index[1], minlength=12))


# --- pairs -------------------------------------------------------------------------------------------------------------


def test_double_edges_and_self_loops_are_one_link_and_none() -> None:
    edges = torch.tensor([[3, 1, 1, 4, 2, 2], [1, 3, 3, 4, 0, 0]])
    assert unique_links(edges).tolist() == [[0, 1], [2, 3]]


def test_unlinked_pairs_are_different_and_follow_the_generator() -> None:
    links = unique_links(karate_club().edge_index)
    drawn = [sample_unlinked(links, 34, 70, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert len(as_set(drawn[0])) == drawn[0].shape[1] == 70
    assert bool((drawn[0][0] < drawn[0][1]).all())
    assert not as_set(drawn[0]) & as_set(links)
    every = sample_unlinked(links, 34, 10_000, np.random.default_rng(0))
    assert every.shape[1] == 34 * 33 // 2 - 78


def test_drawing_pairs_leaves_the_generator_of_python_alone() -> None:
    import random

    before = random.getstate()
    sample_unlinked(unique_links(karate_club().edge_index), 34, 9, np.random.default_rng(0))
    assert random.getstate() == before


def test_parts_have_their_shares_and_follow_the_seed() -> None:
    task = load("digits-links")
    assert {part: len(rows) for part, rows in task.split.items()} == {"train": 6949, "validation": 993, "test": 1985}
    assert load(seed=1).split == load(seed=1).split != load(seed=2).split
    again = LinkPrediction.load("karate", seed=1, split=load(seed=1).split)
    (kept,), (first,) = again.batches("test", 4), load(seed=1).batches("test", 4)
    assert torch.equal(kept.inputs[2], first.inputs[2])
    assert len(asked(load(negatives=3), "test")[1]) == 3 * 16


def test_limit_concerns_links_and_keeps_all_unlinked_pairs() -> None:
    (batch,) = load().batches("test", 4, limit=5)
    assert (int((batch.target > 0).sum()), int((batch.target == 0).sum())) == (5, 16)


# --- metrics -----------------------------------------------------------------------------------------------------------


def test_metrics_by_hand() -> None:
    logits = torch.tensor([[3.0], [-1.0], [2.0], [0.5], [-4.0]])
    target = torch.tensor([1, 1, 0, 0, 0])
    found = score_links(logits, target, 1)
    assert found["error"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["auc"] == pytest.approx(4 / 6)  # 3 above all three, -1 above one
    assert found["average-precision"] == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert found["hits"] == 0.5  # 3 > 2
    assert score_links(logits, target, 3)["hits"] == 1.0  # both above -4
    cross = (
        [math.log1p(math.exp(-3)), math.log1p(math.exp(1))],
        [
            math.log1p(math.exp(2)),
            math.log1p(math.exp(0.5)),
            math.log1p(math.exp(-4)),
        ],
    )
    assert found["loss"] == pytest.approx((sum(cross[0]) / 2 + sum(cross[1]) / 3) / 2)
    assert all(math.isnan(v) for v in score_links(logits * float("nan"), target, 1).values())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), linked=st.integers(1, 9), unlinked=st.integers(1, 9))
def test_metrics_depend_on_the_order_of_scores_only_and_hits_rise_with_n(seed: int, linked: int, unlinked: int) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.integers(-3, 4, linked + unlinked) / 2)[:, None]
    target = torch.tensor([1] * linked + [0] * unlinked)
    first, stretched = score_links(logits, target, 1), score_links(logits**3, target, 1)
    for name in ("auc", "average-precision", "hits", "error"):
        assert first[name] == pytest.approx(stretched[name])
    flipped = score_links(-logits, target, 1)
    assert first["auc"] + flipped["auc"] == pytest.approx(1)
    scores, kinds = logits[:, 0].numpy(), target.numpy() > 0
    hits = [hits_at(scores, kinds, n) for n in range(1, unlinked + 2)]
    assert hits == sorted(hits)
    assert hits[-1] == 1.0


def test_loss_does_not_depend_on_how_many_unlinked_pairs_there_are() -> None:
    logits = torch.tensor([[1.0], [-2.0]])
    once = balanced_loss(logits, torch.tensor([1, 0]))
    many = balanced_loss(logits[[0, 1, 1, 1]], torch.tensor([1, 0, 0, 0]))
    assert float(once) == pytest.approx(float(many))


def test_rank_of_hits_is_20_or_a_tenth_of_the_pairs() -> None:
    assert load("digits-links").describe()["hits_at"] == 20
    assert load().describe()["hits_at"] == 1
    assert load(hits=8).describe()["hits_at"] == 8


# --- head --------------------------------------------------------------------------------------------------------------


def embeddings(generator: torch.Generator, pairs: int = 6) -> Graph:
    x = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    edges, asked_for = torch.randint(7, (2, 9), generator=generator), torch.randint(7, (2, pairs), generator=generator)
    return Graph(x, edges, pairs=asked_for)


@pytest.mark.parametrize("scorer", ["dot", "hadamard"])
def test_score_is_the_same_in_either_order_and_by_hand(scorer: str) -> None:
    torch.manual_seed(1)
    head = LinkScores(5, 1, width=3, scorer=scorer).double()
    graph = embeddings(torch.Generator().manual_seed(2))
    found = head(graph)
    assert graph.pairs is not None
    assert torch.equal(found, head(graph._replace(pairs=graph.pairs.flip(0))))
    nodes = graph.x @ head.project.weight.T + head.project.bias
    product = nodes[graph.pairs[0]] * nodes[graph.pairs[1]]
    fixed = specialise(head).scorer
    if scorer == "dot":
        expected = product.sum(1, keepdim=True)  # scale 1 and offset 0 in the beginning
    else:
        expected = torch.relu(product @ fixed[0].weight.T + fixed[0].bias) @ fixed[2].weight.T + fixed[2].bias
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_head_scores_one_pair_none_and_edges_where_no_pairs_are_asked_for() -> None:
    head = LinkScores(5, 2, width=4).double().eval()
    generator = torch.Generator().manual_seed(3)
    assert head(embeddings(generator, pairs=1)).shape == (1, 2)
    assert head(embeddings(generator, pairs=0)).shape == (0, 2)
    graph = embeddings(generator)
    assert torch.equal(head(graph._replace(pairs=None)), head(graph._replace(pairs=graph.edge_index)))


def test_width_of_the_head_is_elastic() -> None:
    head = LinkScores(Ordinal(4, 5), 1, width=[2, 3, 6], scorer=["dot", "hadamard"]).double()
    space = SearchSpace.of(head)
    assert {d for d in space.dimensions if "width" in d or "choice" in d} == {"width", "scorer.choice"}
    head.width.value = 3  # type: ignore[union-attr]
    graph = embeddings(torch.Generator().manual_seed(4))
    plain = specialise(head)
    assert plain.project.weight.shape == (3, 5)
    torch.testing.assert_close(plain(graph), head(graph), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@pytest.mark.parametrize("scorer", ["dot", "hadamard"])
def test_traced_head_takes_any_number_of_nodes_edges_and_pairs(scorer: str) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.head = GCN(5, 4), LinkScores(4, 1, width=3, scorer=scorer)

        def forward(self, x: Tensor, edge_index: Tensor, pairs: Tensor) -> Tensor:
            logits: Tensor = self.head(self.block(Graph(x, edge_index, pairs=pairs)))
            return logits

    torch.manual_seed(0)
    model = specialise(Network()).double().eval()
    generator = torch.Generator().manual_seed(5)

    def inputs(nodes: int, edges: int, pairs: int) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.randn(nodes, 5, generator=generator, dtype=torch.float64)
        return (
            x,
            torch.randint(nodes, (2, edges), generator=generator),
            torch.randint(nodes, (2, pairs), generator=generator),
        )

    axes = ({0: torch.export.Dim("nodes")}, {1: torch.export.Dim("edges")}, {1: torch.export.Dim("pairs")})
    program = torch.export.export(model, inputs(6, 8, 3), dynamic_shapes=axes).module()
    for sizes in ((6, 8, 3), (2, 3, 1), (41, 90, 17), (9, 4, 9)):
        tensors = inputs(*sizes)
        torch.testing.assert_close(program(*tensors), model(*tensors), rtol=0, atol=1e-12)


# --- sources and mistakes ----------------------------------------------------------------------------------------------


def archive(path: Path, **changed: Any) -> Path:
    content = {
        "x": np.random.default_rng(0).normal(size=(12, 3)),
        "edge_index": np.array([[0, 1, 2, 3, 4, 5, 6, 7, 1, 3], [1, 2, 3, 4, 5, 6, 7, 8, 0, 9]]),
        "y": np.arange(12) % 3,
    } | changed
    np.savez(path, **content)
    return path


def test_every_form_of_graph_file_is_taken(tmp_path: Path) -> None:
    edges = np.array([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]])
    archive(tmp_path / "a.npz")
    torch.save({"x": torch.eye(9), "edge_index": torch.from_numpy(edges), "y": torch.arange(9) % 2}, tmp_path / "a.pt")
    graph = networkx.karate_club_graph()
    for node in graph.nodes:
        graph.nodes[node].update({"label": node % 2, "size": float(node)})
    networkx.write_graphml(graph, tmp_path / "a.graphml")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "features.csv").write_text("label,size\n" + "\n".join(f"{n % 2},{n}" for n in range(9)))
    (tmp_path / "tables" / "edges.csv").write_text("source,target\n" + "\n".join(f"{a},{b}" for a, b in edges.T))
    found = {name: load(str(tmp_path / name)).describe()["links"] for name in ("a.npz", "a.pt", "a.graphml", "tables")}
    assert found == {"a.npz": 9, "a.pt": 6, "a.graphml": 78, "tables": 6}


def test_planetoid_folder_is_taken(shared_data: Path) -> None:
    described = load(str(shared_data / "planetoid" / "cora"), normalise="row").describe()
    assert (described["nodes"], described["links"], described["message_edges"]) == (2708, 5278, 2 * 3694)


def test_description_says_what_was_left_out() -> None:
    edges = both_directions(torch.tensor([[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 6, 1]]))
    described = LinkPrediction.of(graph_of(torch.cat([edges, torch.tensor([[8], [8]])], dim=1)), seed=0).describe()
    assert (described["links"], described["merged_edges"], described["self_loops_left_out"]) == (6, 2, 1)


def test_recognises_its_own_names_and_leaves_graphs_to_node_classification() -> None:
    assert all(LinkPrediction.recognises(name) for name in ("digits-links", "karate-links"))
    assert not any(LinkPrediction.recognises(name) for name in ("karate", "digits-knn", "graph.npz"))


BAD: dict[str, tuple[Callable[[Path], Any], type[AutomlError], str]] = {
    "unknown name": (lambda _: load("karat"), DataError, "karat: no such graph; .*Did you mean 'karate'"),
    "too few edges": (
        lambda p: load(str(archive(p / "g.npz", edge_index=np.array([[0, 1, 2, 3], [1, 2, 3, 1]])))),
        DataError,
        r"g\.npz: has 4 undirected edges .* at least 5",
    ),
    "only self loops": (
        lambda p: load(str(archive(p / "g.npz", edge_index=np.array([range(12), range(12)])))),
        DataError,
        r"g\.npz: has 0 undirected edges between different nodes",
    ),
    "nothing left for training": (
        lambda p: load(
            str(archive(p / "g.npz", edge_index=np.array([range(6), range(1, 7)]))), validation=0.49, test=0.5
        ),
        DataError,
        r"g\.npz: has 6 undirected edges .*some that are left for training",
    ),
    "directed": (
        lambda p: load(str(archive(p / "g.npz")), undirected=False),
        DataError,
        r"g\.npz: has edges without their other direction; .*task_options\.undirected=false",
    ),
    "directed in Python": (
        lambda _: LinkPrediction.of(graph_of(torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]])), seed=0),
        DataError,
        "made-up: has edges without their other direction",
    ),
    "complete graph": (
        lambda p: load(str(archive(p / "g.npz", edge_index=np.array(np.triu_indices(12, 1))))),
        DataError,
        r"g\.npz: all but 0 pairs of its 12 nodes are linked",
    ),
    "N too large": (lambda _: load(hits=9), ConfigError, r"task options\.hits: 9 is more than the 8 unlinked pairs"),
    "degrees of built-in graphs": (lambda _: load(features="degree"), ConfigError, "'features' is for graphs of files"),
    "unknown option": (lambda _: load(hit=3), ConfigError, r"task options\.hit: unknown option .*Did you mean 'hits'"),
    "shares too large": (lambda _: load(validation=0.5, test=0.5), ConfigError, "leave nothing to train on"),
    "split of another graph": (
        lambda _: LinkPrediction.load("karate", seed=0, split={"train": [0], "validation": [1], "test": [78]}),
        DataError,
        "karate: split: part 'test' holds index 78",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), BAD.values(), ids=BAD)
def test_mistakes_are_named(tmp_path: Path, call: Callable[[Path], Any], kind: type[AutomlError], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(tmp_path)


# --- learning and jobs -------------------------------------------------------------------------------------------------


def test_convolution_learns_links_of_digits_above_chance() -> None:
    task = load("digits-links", disjoint=0.3, steps_per_epoch=50)
    torch.manual_seed(0)
    block, head = GCN(64, 16, dropout=0.0, residual=False), LinkScores(16, 1, width=16, scorer="dot")

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.head = block, head

        def forward(self, x: Tensor, edge_index: Tensor, pairs: Tensor) -> Tensor:
            logits: Tensor = self.head(self.block(Graph(x, edge_index, pairs=pairs)))
            return logits

    model = Network()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for batch in task.train_batches(np.random.default_rng(0), 1):
        optimiser.zero_grad()
        task.loss(model(*batch.inputs), batch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    found = task.evaluate(model, "test", 1)
    assert found["auc"] > 0.85
    assert found["error"] < 0.35


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    job = JobConfig(
        space="graph/link-prediction",
        data="karate",
        objectives=["auc-error", "ap-error", "link-hits-loss", "macs"],
        trials=4,
        training={"epochs": 1},
    )
    return run_job(job, tmp_path_factory.mktemp("runs") / "links", host=HOST)


def test_job_takes_the_task_of_its_space_and_finds_a_front(run: Any) -> None:
    front = run.read_json("front.json")
    assert front["trials"]["failed"] == 0
    for member in front["members"]:
        assert all(0 <= member["searched"][name] <= 1 for name in ("auc-error", "ap-error", "link-hits-loss"))
        assert 0 <= member["test"]["error"] <= 1
    assert run.has("report.html")


def test_export_is_proven_and_takes_other_graphs(run: Any) -> None:
    (result,) = export_picked(run, "knee", ["pt2", "safetensors"], host=HOST)
    assert result.manifest["files"]["pt2"]["max_abs_error"] < 1e-4
    supernet, _, _ = load_supernet(run, HOST)
    (member,) = pick(run, "knee")
    model = supernet.extract(supernet.space.architecture(member["architecture"]))
    program = torch.export.load(result.paths["pt2"]).module()
    generator = torch.Generator().manual_seed(0)
    for nodes, pairs in ((3, 2), (50, 1), (20, 33)):
        x = torch.randn(nodes, 34, generator=generator)
        edges, chosen = (torch.randint(nodes, (2, n), generator=generator) for n in (3 * nodes, pairs))
        with torch.no_grad():
            torch.testing.assert_close(program(x, edges, chosen), model(x, edges, chosen), rtol=1e-4, atol=1e-5)


def test_space_for_links_refuses_another_task_and_objectives_another_space(tmp_path: Path) -> None:
    job = JobConfig(space="graph/link-prediction", task="node-classification", data="karate", trials=1)
    with pytest.raises(ConfigError, match="is for the task 'link-prediction', not for 'node-classification'"):
        run_job(job, tmp_path / "a", host=HOST)
    objective = HOST.find("objective", "ap-error").load()()
    with pytest.raises(ConfigError, match="'ap-error' rates pairs of nodes"):
        objective.check(None, NodeClassification.load("karate", seed=0))


def test_unknown_task_of_a_space_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "space: own\ninput: graph\ntask: link-predicton\nslots: {a: {from: input, blocks: [graph.gcn]}}\noutput: a\n"
    )
    with pytest.raises(AutomlError, match=r"own\.yaml:3: task: .*Did you mean 'link-prediction'"):
        run_job(JobConfig(space=str(file), data="karate", trials=1), tmp_path / "run", host=HOST)
