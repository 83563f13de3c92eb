"""Heterogeneous graphs from files and objects, the task on them, and what users are told of mistakes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph.hetero import (
    HeteroFormat,
    HeteroMLP,
    HeteroNodeClassification,
    LATTEHead,
    Relation,
    Schema,
    TypeWidths,
    from_hetero_data,
    load_typed_archive,
    planted_papers,
)
from automl_graph.hetero.archive import holds_typed_graph
from automl_graph.hetero.movies import load_movies
from torch import nn

from automl.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


def arrays(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "x/paper": RNG.random((12, 3)),
        "y/paper": np.arange(12) % 2,
        "nodes/author": np.asarray(5),
        "edges/paper/author": np.stack([np.arange(12), np.arange(12) % 5]),
    }
    content |= {key.replace("__", "/"): value for key, value in changes.items()}
    return {key: value for key, value in content.items() if value is not None}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "graph.npz"
    np.savez(path, **arrays(**changes))
    return path


def test_archive_gives_types_relations_and_splits(tmp_path: Path) -> None:
    split = {"train": np.arange(4), "val": np.arange(4, 8), "test": np.arange(8, 12)}
    path = written(tmp_path, edges__paper__paper__cites=np.array([[0, 1], [2, 3]]), **split)
    data = load_typed_archive(path)
    assert list(data.types) == ["paper", "author"]
    assert data.relations == (Relation("paper_author", "paper", "author"), Relation("cites", "paper", "paper"))
    assert data.splits[""]["validation"] == [4, 5, 6, 7]
    assert data.with_reverse().relations[-1] == Relation("rev_paper_author", "author", "paper")
    assert holds_typed_graph(path)
    task = HeteroNodeClassification.load(str(path), seed=0)
    assert task.input_names == ("paper", "author", "paper_author", "cites", "rev_paper_author")
    assert task.example_inputs(1)[1].tolist() == [0, 1, 2, 3, 4]  # learned features: nodes by their numbers


def test_double_edges_of_a_relation_are_merged(tmp_path: Path) -> None:
    edges = np.array([[3, 0, 3, 11, 3], [1, 4, 1, 0, 2]])
    loops = np.array([[2, 5, 2], [2, 6, 2]])  # a self loop stays, once
    path = written(tmp_path, edges__paper__author=edges, edges__paper__paper__cites=loops)
    data = load_typed_archive(path)
    assert [sorted(map(tuple, index.T.tolist())) for index in data.edges] == [
        [(0, 4), (3, 1), (3, 2), (11, 0)],
        [(2, 2), (5, 6)],
    ]
    described = HeteroNodeClassification.load(str(path), seed=0).describe()
    assert described["merged_edges"] == 2
    assert described["relations"]["rev_paper_author"]["edges"] == 4
    plain = load_typed_archive(written(tmp_path, edges__paper__author=edges[:, [0, 1, 3, 4]]))
    assert plain.edges[0].tolist() == edges[:, [0, 1, 3, 4]].tolist()  # in their order
    assert plain.merged_edges == 0


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"edges__paper__autor": np.array([[0], [0]])}, "unknown type 'autor'.*Did you mean 'author'"),
    (
        {"edges__paper__author": np.array([[0, 1], [2, 5]])},
        "tails of type 'author': 1 edges end at nodes that do not exist.*5",
    ),
    ({"edges__paper__author": np.array([[-1], [2]])}, "heads of type 'paper'.*-1; expected 0 to 11"),
    ({"edges__paper__author": np.zeros((7, 2), int)}, r"shape \(7, 2\).*Transpose it"),
    ({"edges__paper__author": np.zeros((2, 7))}, "float64; expected integers"),
    ({"edges__paper__author": None}, "nothing to look along"),
    ({"edges__paper": np.zeros((2, 1), int)}, "should be called 'edges/HEAD/TAIL'"),
    ({"y__paper": None}, "0 arrays 'y/TYPE'"),
    ({"y__paper": np.zeros(12, int)}, "one class only"),
    ({"y__paper": np.arange(11) % 2}, r"expected \(12,\)"),
    ({"nodes__author": np.asarray(0)}, "'author' has no nodes"),
    ({"nodes__author": np.asarray(2.5)}, "one whole number"),
    ({"x__paper": np.full((12, 2), np.nan)}, "24 features are not finite"),
    ({"train": np.arange(3), "val": np.arange(3, 5)}, "no array 'test'"),
    ({"train": np.arange(3), "val": np.arange(0), "test": np.arange(5, 8)}, "'val' is empty"),
    ({"train": np.arange(3), "val": np.arange(3, 5), "test": np.array([12])}, "'test' holds 12"),
    ({"train": np.arange(3), "val": np.arange(2, 5), "test": np.arange(5, 8)}, "split"),
    (
        {"train": np.array([0, 2, 4]), "val": np.arange(5, 7), "test": np.arange(7, 9)},
        "split: all 3 samples of part 'train' are of class '0'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes_in_a_file_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(DataError, match=message) as caught:
        HeteroNodeClassification.load(str(path), seed=0)
    assert str(path) in str(caught.value)


def test_mistakes_in_options_are_named(tmp_path: Path) -> None:
    path = str(written(tmp_path, train_20=np.arange(3), val_20=np.arange(3, 6), test_20=np.arange(6, 9)))
    for unknown in ("40", 40):
        with pytest.raises(ConfigError, match="no split '40', only '20'"):
            HeteroNodeClassification.load(path, seed=0, options={"split": unknown})
    assert HeteroNodeClassification.load(path, seed=0, options={"split": 20}).split["train"] == [0, 1, 2]
    with pytest.raises(ConfigError, match=r"split: '40' is asked for, but .* comes without splits"):
        HeteroNodeClassification.load(str(written(tmp_path)), seed=0, options={"split": 40})
    no_features = {"x__paper": None, "nodes__paper": np.asarray(12)}
    with pytest.raises(ConfigError, match="missing_features: degree"):
        HeteroNodeClassification.load(str(written(tmp_path, **no_features)), seed=0, options={"inductive": True})


@pytest.mark.parametrize(("choice", "norm"), [("row", 1), ("length", 2)])
def test_features_of_each_node_are_scaled_alike(choice: str, norm: int, tmp_path: Path) -> None:
    task = HeteroNodeClassification.load(str(written(tmp_path)), seed=0, options={"normalise": choice})
    x = task.example_inputs(1)[0]
    assert x.shape[1] == 3
    size = x.abs().sum(1) if norm == 1 else x.square().sum(1)
    assert torch.allclose(size[x.abs().sum(1) > 0], torch.ones(()))


@pytest.mark.parametrize(("choice", "widths"), [("learned", (3, 5)), ("degree", (3, 2)), ("one-hot", (3, 5))])
def test_types_without_features_get_some(choice: str, widths: tuple[int, int], tmp_path: Path) -> None:
    task = HeteroNodeClassification.load(str(written(tmp_path)), seed=0, options={"missing_features": choice})
    width = task.input_width
    assert isinstance(width, TypeWidths)
    assert width.widths == widths
    block = HeteroMLP(width, 4, schema=task.schema)
    format_of = HeteroFormat.for_task(task)
    graph = block(format_of.pack(*task.example_inputs(2)))
    assert [x.shape for x in graph.x] == [(24, 4), (10, 4)]
    features = format_of.features(format_of.pack(*task.example_inputs(1)))
    assert features.shape == (17, max(widths))


def test_a_learned_row_for_each_node_is_a_layer_on_one_hot_features() -> None:
    schema = Schema(("a",), ())
    learned = HeteroMLP(TypeWidths([6], [True]), 4, schema=schema).eval()
    layer = HeteroMLP(6, 4, schema=schema).eval()
    with torch.no_grad():
        layer.linear.layers[0].weight.copy_(learned.linear.layers[0].weight.T)
        layer.linear.layers[0].bias.zero_()
    format_of = HeteroFormat(schema)
    numbers = torch.tensor([3, 0, 5])
    expected = layer(format_of.pack(torch.eye(6)[numbers])).x[0]
    torch.testing.assert_close(learned(format_of.pack(numbers)).x[0], expected)


def test_objects_of_torch_geometric_keep_the_direction_of_messages() -> None:
    from torch_geometric.data import HeteroData

    data = HeteroData()
    data["paper"].x, data["paper"].y = torch.rand(6, 2), torch.arange(6) % 2
    data["author"].num_nodes = 4
    data["author", "to", "paper"].edge_index = torch.tensor([[3, 1], [5, 0]])
    data["paper", "to", "author"].edge_index = torch.tensor([[2], [3]])
    graph = from_hetero_data(data, "paper")
    assert {(r.head, r.tail) for r in graph.relations} == {("paper", "author"), ("author", "paper")}
    assert graph.edges[0].tolist() == [[5, 0], [3, 1]]
    with pytest.raises(DataError, match="has no type 'book'"):
        from_hetero_data(data, "book")


HEADINGS = "genres,plot_keywords,director_name,actor_1_name,actor_2_name,actor_3_name,title"
MOVIES = [
    "Crime|Drama|Action,sea|ship at sea,Ann,Bo,Cy,,one",
    "Action,sea|ship,Ann,Bo,Bo,Di,two",
    "Horror,sea,Ann,Bo,Cy,Di,of no class",
    "Comedy,joke,,Bo,Cy,Di,without a director",
    "Comedy,joke,Ann,,Cy,Di,without an actor",
    "Comedy,joke|sea,Ed,Cy,,,three",
    'Drama,"",Ed,Di,Bo,,four',
]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_table_of_movies_becomes_a_typed_graph(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"movies{ending}"
    content = "\n".join([HEADINGS, *MOVIES]).encode()
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert HeteroNodeClassification.recognises(str(path))
    data = load_movies(path)
    assert data.y.tolist() == [2, 0, 1, 2]
    assert data.class_names == ("action", "comedy", "drama")
    assert {name: kind.nodes for name, kind in data.types.items()} == {"movie": 4, "director": 2, "actor": 3}
    movie = data.types["movie"].x
    assert movie is not None
    assert movie.tolist() == [[2, 1], [1, 1], [1, 0], [0, 0]]  # sea, ship; one movie alone has "joke" and "at"
    assert data.edges[0].tolist() == [[0, 1, 2, 3], [0, 0, 1, 1]]
    assert sorted(map(tuple, data.edges[1].T.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (3, 0), (3, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'genres'"),
        (HEADINGS.replace("plot_keywords", "words") + "\n" + MOVIES[0], "has no column 'plot_keywords'"),
        ("\n".join([HEADINGS, *MOVIES[2:5]]), "no movie has a director, an actor and one of the genres"),
        ("\n".join([HEADINGS, MOVIES[0], MOVIES[-1]]), "no word of 'plot_keywords' occurs in 2 movies"),
    ],
)
def test_mistakes_in_a_table_of_movies_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "movies.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"movies\.csv: {message}"):
        HeteroNodeClassification.load(str(path), seed=0)
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        HeteroNodeClassification.load(str(tmp_path / "absent.csv"), seed=0)


def test_movies_of_imdb(shared_data: Path) -> None:
    """The numbers of nodes, classes and words that MAGNN has."""
    data = load_movies(shared_data / "hetero_graphs" / "imdb_movie_metadata.csv.gz")
    assert {name: kind.nodes for name, kind in data.types.items()} == {"movie": 4278, "director": 2081, "actor": 5257}
    movie = data.types["movie"].x
    assert movie is not None
    assert movie.shape == (4278, 3066)
    assert data.y.bincount().tolist() == [1135, 1584, 1559]
    assert [index.shape[1] for index in data.edges] == [4278, 12828]


class _Whole(nn.Module):
    def __init__(self, task: HeteroNodeClassification) -> None:
        super().__init__()
        self.head = LATTEHead(
            task.input_width, task.outputs, schema=task.schema, orders=2, head_width=5, dropout=0, attention_dropout=0
        )
        self.format = HeteroFormat.for_task(task)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.format.pack(*tensors))
        return logits


@pytest.mark.parametrize("degrees", [False, True], ids=["features", "degrees for features"])
def test_inductive_training_does_not_see_nodes_of_other_parts(degrees: bool) -> None:
    data = planted_papers()
    if degrees:
        plain = {"author": data.types["author"]._replace(x=None)}
        data = type(data)(data.name, data.types | plain, data.relations, data.edges, data.y, data.class_names)
    task = HeteroNodeClassification.of(data, seed=0, options={"inductive": True, "missing_features": "degree"})
    split = task.split
    hidden = torch.tensor(split["test"] + split["validation"])
    kind = data.types["paper"]
    assert kind.x is not None
    changed_x = kind.x.index_fill(0, hidden, 9.0)
    edges = []
    for relation, index in zip(data.relations, data.edges, strict=True):
        if "paper" not in (relation.head, relation.tail):
            edges.append(index)
            continue
        row = 0 if relation.head == "paper" else 1
        touched = torch.isin(index[row], hidden)
        moved = index.clone()
        moved[1 - row, touched] = 0
        edges.append(moved)
    changed = type(data)(
        data.name,
        data.types | {"paper": kind._replace(x=changed_x)},
        data.relations,
        tuple(edges),
        data.y,
        data.class_names,
    )
    other = HeteroNodeClassification(changed, split, task._options)
    gradients = []
    for each in (task, other):
        torch.manual_seed(0)
        network = _Whole(each)
        batch = next(each.train_batches(np.random.default_rng(0), 1))
        assert len(batch.inputs[0]) == len(split["train"])
        each.loss(network(*batch.inputs), batch).backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    assert all(map(torch.equal, *gradients))
    assert any(bool(gradient.any()) for gradient in gradients[0])
    seen = [next(each.batches(part, 1)).inputs for each in (task, other) for part in ("train", "test")]
    assert all(map(torch.equal, seen[0], seen[2]))
    assert not all(map(torch.equal, seen[1][1:], seen[3][1:]))  # the test does see what was changed
    assert len(next(task.batches("validation", 1)).inputs[0]) == len(split["train"]) + len(split["validation"])
    assert torch.equal(next(task.batches("test", 1)).target, data.y[torch.tensor(split["test"])])


@pytest.mark.parametrize(
    ("name", "labelled", "types", "classes"),
    [("acm", "paper", 3, 3), ("dblp", "author", 4, 4), ("freebase", "movie", 4, 3)],
)
def test_public_archives_are_read(name: str, labelled: str, types: int, classes: int, shared_data: Path) -> None:
    path = shared_data / "hetero_graphs" / f"{name}.npz"
    data = load_typed_archive(path)
    assert (data.labelled, len(data.types), len(data.class_names)) == (labelled, types, classes)
    assert list(data.splits) == ["20", "40", "60"]
    assert len(data.with_reverse().relations) == 2 * len(data.relations)
