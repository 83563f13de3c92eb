"""Graphs of public collections, tables, GraphML and saved tensors; splits that come with them; unfit ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from automl_graph.data import NodeData, from_networkx, from_pyg, load_graph
from automl_graph.links import LinkPrediction
from automl_graph.tasks import NodeClassification

from automl.errors import AutomlError, ConfigError, DataError

NODES = 7
X = np.arange(NODES * 3, dtype=np.float32).reshape(NODES, 3) * (np.arange(3) > 0)
Y = np.array([0, 1, 0, 1, 0, 1, 1])
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 3], [0, 1], [4, 5]])  # one self loop, one double edge, node 6 isolated
BOTH = [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [3, 3], [4, 5], [5, 4]]


def masks(count: int = 10) -> dict[str, Any]:
    found = {f"{part}_masks": np.zeros((count, NODES), bool) for part in ("train", "val", "test")}
    for i in range(count):
        found["train_masks"][i, [i % NODES, (i + 1) % NODES]] = True
        found["val_masks"][i, (i + 2) % NODES] = True
        found["test_masks"][i, [(i + 3) % NODES, (i + 4) % NODES]] = True
    return found


def heterophilous(path: Path, **changed: Any) -> Path:
    content = {"node_features": X, "node_labels": Y, "edges": EDGES, **masks()} | changed
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def compressed(path: Path, prefix: str = "attr", **changed: Any) -> Path:
    x = sp.csr_matrix(X)
    adjacency = sp.csr_matrix((np.ones(len(EDGES)), EDGES.T), shape=(NODES, NODES))
    content = {
        f"{prefix}_data": x.data,
        f"{prefix}_indices": x.indices,
        f"{prefix}_indptr": x.indptr,
        f"{prefix}_shape": np.array(X.shape),
        "adj_data": adjacency.data,
        "adj_indices": adjacency.indices,
        "adj_indptr": adjacency.indptr,
        "labels": Y,
    } | changed
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def tables(folder: Path, features: str | None = None, edges: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [f"n{i},{'ab'[Y[i]]},{X[i, 0]},{X[i, 1]},{X[i, 2]}" for i in range(NODES)]
    (folder / "features.csv").write_text(features or "\n".join(["node,label,p,q,r", *rows]) + "\n")
    (folder / "edges.csv").write_text(
        edges or "\n".join(["source,target,weight", *(f"n{a},n{b},1" for a, b in EDGES)]) + "\n"
    )
    return folder


def graphml(path: Path) -> Path:
    graph: Any = networkx.MultiGraph()
    for i in range(NODES):
        graph.add_node(
            f"n{i}", label="ab"[Y[i]], p=float(X[i, 0]), q=float(X[i, 1]), r=float(X[i, 2]), name=f"node {i}"
        )
    graph.add_edges_from((f"n{a}", f"n{b}") for a, b in EDGES)
    networkx.write_graphml(graph, path)
    return path


def tensors(path: Path, **changed: Any) -> Path:
    content = {
        "x": torch.from_numpy(X),
        "edge_index": torch.from_numpy(EDGES.T.copy()),
        "y": torch.from_numpy(Y)[:, None],
    } | changed
    torch.save(content, path)
    return path


FORMS: dict[str, Callable[[Path], Path]] = {
    "heterophilous": lambda p: heterophilous(p / "g.npz"),
    "compressed": lambda p: compressed(p / "g.npz"),
    "compressed, other prefix": lambda p: compressed(p / "g.npz", "x"),
    "tables": lambda p: tables(p / "g"),
    "GraphML": lambda p: graphml(p / "g.graphml"),
    "tensors": lambda p: tensors(p / "g.pt"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_graph(tmp_path: Path, form: str) -> None:
    path = FORMS[form](tmp_path)
    raw = load_graph(path)
    assert raw is not None
    graph = raw.finish()
    assert NodeClassification.recognises(str(path))
    assert torch.equal(graph.x, torch.from_numpy(X))
    assert graph.y.tolist() == Y.tolist()
    assert sorted(graph.edge_index.T.tolist()) == BOTH
    assert graph.merged_edges == (0 if form.startswith("compressed") else 1)  # a matrix has merged it before
    directed = raw.finish(undirected=False)
    assert sorted(directed.edge_index.T.tolist()) == sorted(
        {tuple(pair): list(pair) for pair in EDGES.tolist()}.values()
    )
    assert (graph.directed, directed.directed) == (False, True)


@pytest.fixture
def more_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough links to divide; node 6 stays alone."""
    monkeypatch.setitem(globals(), "EDGES", np.concatenate([EDGES, [[1, 3], [2, 4], [0, 4]]]))


UNLABELLED: dict[str, Callable[[Path], Path]] = {
    "heterophilous": lambda p: heterophilous(p / "g.npz", node_labels=None, **dict.fromkeys(masks())),
    "compressed": lambda p: compressed(p / "g.npz", labels=None),
    "tables": lambda p: tables(
        p / "g", "\n".join(["node,p,q,r", *(f"n{i},{X[i, 0]},{X[i, 1]},{X[i, 2]}" for i in range(NODES))]) + "\n"
    ),
    "GraphML": lambda p: _without_labels(graphml(p / "g.graphml")),
    "tensors": lambda p: _without_labels(tensors(p / "g.pt")),
}


def _without_labels(path: Path) -> Path:
    if path.suffix == ".pt":
        content = torch.load(path, weights_only=True)
        del content["y"]
        torch.save(content, path)
        return path
    graph: Any = networkx.read_graphml(path)
    for attributes in dict(graph.nodes(data=True)).values():
        del attributes["label"]
    networkx.write_graphml(graph, path)
    return path


@pytest.mark.usefixtures("more_edges")
@pytest.mark.parametrize("form", UNLABELLED)
def test_links_are_predicted_without_classes(tmp_path: Path, form: str) -> None:
    path = str(UNLABELLED[form](tmp_path))
    options = {"validation": 0.2, "test": 0.2, "hits": 1}
    task = LinkPrediction.load(path, seed=0, options=options)
    described = task.describe()
    assert (described["nodes"], described["links"], described["features"]) == (NODES, 7, 3)
    assert torch.equal(task.example_inputs(1)[0], torch.from_numpy(X))
    with pytest.raises(DataError, match=r"'y'|'label'"):
        NodeClassification.load(path, seed=0)
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    same = LinkPrediction.load(str(FORMS[form](labelled)), seed=0, options=options)
    assert same.fingerprint == task.fingerprint  # classes that are there count for nothing


@pytest.mark.usefixtures("more_edges")
@pytest.mark.parametrize("form", ["tables", "compressed"])
def test_isolated_nodes_without_features_or_classes_are_counted(tmp_path: Path, form: str) -> None:
    path = (
        compressed(tmp_path / "g.npz", labels=None, attr_indptr=None)
        if form == "compressed"
        else tables(tmp_path / "g", "\n".join(["node", *(f"n{i}" for i in range(NODES))]) + "\n")
    )
    options = {"validation": 0.2, "test": 0.2, "hits": 1}
    task = LinkPrediction.load(str(path), seed=0, options=options | {"features": "degree"})
    assert task.describe()["nodes"] == NODES
    with pytest.raises(DataError, match=r"has no features\..*task_options\.features=degree"):
        LinkPrediction.load(str(path), seed=0, options=options)


@pytest.mark.usefixtures("more_edges")
def test_nodes_of_an_object_need_classes_for_classification_only() -> None:
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.data import Data

    data = Data(x=torch.from_numpy(X), edge_index=torch.from_numpy(EDGES.T.copy()))
    with pytest.raises(DataError, match="mine: has no tensor 'y'"):
        from_pyg(data, "mine")
    graph = from_pyg(data, "mine", labelled=False).finish()
    options = {"validation": 0.2, "test": 0.2, "hits": 1}
    assert LinkPrediction.of(graph, seed=0, options=options).describe()["links"] == 7
    with pytest.raises(DataError, match="mine: its nodes have no classes"):
        NodeClassification.of(graph, seed=0)


def test_description_states_what_a_graph_is_like(tmp_path: Path) -> None:
    described = NodeClassification.load(str(heterophilous(tmp_path / "g.npz")), seed=0).describe()
    expected = {"edges": 9, "directed": False, "self_loops": 1, "merged_edges": 1, "isolated_nodes": 1}
    assert {key: described[key] for key in expected} == expected
    options = {"undirected": False}
    described = NodeClassification.load(str(tmp_path / "g.npz"), seed=0, options=options).describe()
    assert (described["edges"], described["directed"]) == (5, True)


def test_masks_are_the_split_and_one_of_several_can_be_chosen(tmp_path: Path) -> None:
    path = str(heterophilous(tmp_path / "g.npz"))
    assert NodeClassification.load(path, seed=5).split == {"train": [0, 1], "validation": [2], "test": [3, 4]}
    chosen = NodeClassification.load(path, seed=5, options={"fixed_split": 9})
    assert chosen.split == {"train": [2, 3], "validation": [4], "test": [5, 6]}
    drawn = NodeClassification.load(path, seed=5, options={"labels_per_class": 1})
    assert len(drawn.split["train"]) == 2
    assert sum(map(len, drawn.split.values())) == NODES
    single = {k.removesuffix("s"): v[0] for k, v in masks().items()}
    path = str(heterophilous(tmp_path / "one.npz", **dict.fromkeys(masks()), **single))
    assert NodeClassification.load(path, seed=5).split == {"train": [0, 1], "validation": [2], "test": [3, 4]}


def test_column_of_parts_is_the_split(tmp_path: Path) -> None:
    parts = ["train", "train", "val", "test", "", "validation", "test"]
    text = "label,split,p\n" + "".join(f"{Y[i]},{parts[i]},{i}\n" for i in range(NODES))
    path = tables(tmp_path / "g", features=text, edges="a,b\n0,1\n5,6\n")
    task = NodeClassification.load(str(path), seed=0)
    assert task.split == {"train": [0, 1], "validation": [2, 5], "test": [3, 6]}


def test_degrees_stand_for_missing_features(tmp_path: Path) -> None:
    path = str(heterophilous(tmp_path / "g.npz", node_features=None))
    with pytest.raises(DataError, match=r"g\.npz: has no features.*task_options\.features=degree"):
        NodeClassification.load(path, seed=0)
    task = NodeClassification.load(path, seed=0, options={"features": "degree"})
    x, _ = task.example_inputs(1)
    assert x.argmax(1).tolist() == [1, 2, 2, 2, 1, 1, 0]
    assert torch.equal(x.sum(1), torch.ones(NODES))


def test_objects_of_torch_geometric() -> None:
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.data import Data

    data = Data(x=torch.from_numpy(X), edge_index=torch.from_numpy(EDGES.T.copy()), y=torch.from_numpy(Y))
    for name, mask in masks(2).items():
        data[name.removesuffix("s")] = torch.from_numpy(mask.T.copy())
    graph = from_pyg(data, "mine").finish(fixed_split=1)
    assert isinstance(graph, NodeData)
    assert graph.split == {"train": [1, 2], "validation": [3], "test": [4, 5]}
    assert sorted(graph.edge_index.T.tolist()) == BOTH
    with pytest.raises(DataError, match="mine: is a data set of 2 graphs"):
        from_pyg([data, data], "mine")
    task = NodeClassification.of(graph, seed=0)
    assert task.split["test"] == [4, 5]


def test_objects_of_networkx() -> None:
    graph: Any = networkx.DiGraph()
    for i in range(NODES):
        graph.add_node(i, label="ab"[Y[i]], p=float(X[i, 0]), q=float(X[i, 1]), r=float(X[i, 2]), name=f"node {i}")
    graph.add_edges_from(EDGES)
    raw = from_networkx(graph, "mine")
    assert sorted(raw.finish().edge_index.T.tolist()) == BOTH
    assert sorted(raw.finish(undirected=False).edge_index.T.tolist()) == sorted(
        map(list, {*map(tuple, EDGES.tolist())})
    )
    assert torch.equal(raw.finish().x, torch.from_numpy(X))
    task = NodeClassification.of(raw.finish(), seed=0)
    assert task.describe()["classes"] == ["a", "b"]
    with pytest.raises(DataError, match="mine: has no nodes"):
        from_networkx(networkx.Graph(), "mine")
    del graph.nodes[3]["label"]
    with pytest.raises(DataError, match="mine: node 3 has no label"):
        from_networkx(graph, "mine")


def _edit(array: Any, position: Any, value: Any) -> Any:
    array = array.copy()
    array[position] = value
    return array


def _load(path: Path, **options: Any) -> Any:
    return NodeClassification.load(str(path), seed=0, options=options)


BAD: dict[str, tuple[Callable[[Path], Any], type[AutomlError], str]] = {
    "split beyond the last": (
        lambda p: _load(heterophilous(p / "g.npz"), fixed_split=10),
        ConfigError,
        r"fixed_split: 10 is asked for, but .*g\.npz has 10 fixed splits; expected 0 to 9",
    ),
    "negative split": (lambda p: _load(heterophilous(p / "g.npz"), fixed_split=-1), ConfigError, "fixed_split: -1"),
    "no splits": (
        lambda p: _load(compressed(p / "g.npz"), fixed_split=0),
        ConfigError,
        r"fixed_split: 0 is asked for, but .*g\.npz comes without fixed splits",
    ),
    "two ways to split": (
        lambda p: _load(heterophilous(p / "g.npz"), fixed_split=0, labels_per_class=2),
        ConfigError,
        "fixed_split and labels_per_class are two ways to split",
    ),
    "split of a built-in graph": (
        lambda _: NodeClassification.load("karate", seed=0, options={"fixed_split": 1}),
        ConfigError,
        "'fixed_split' and 'features' are for graphs of files, 'karate' is built in",
    ),
    "mask without nodes": (
        lambda p: _load(heterophilous(p / "g.npz", val_masks=np.zeros((10, NODES), bool))),
        DataError,
        r"g\.npz: split: part 'validation' is empty",
    ),
    "training nodes of one class": (
        lambda p: _load(
            heterophilous(
                p / "g.npz",
                train_masks=np.tile(np.arange(NODES) % 4 == 0, (10, 1)),
                val_masks=np.tile(np.arange(NODES) == 1, (10, 1)),
                test_masks=np.tile(np.arange(NODES) == 3, (10, 1)),
            )
        ),
        DataError,
        r"g\.npz: split: all 2 samples of part 'train' are of class '0'; expected at least two classes",
    ),
    "masks that overlap": (
        lambda p: _load(heterophilous(p / "g.npz", val_masks=masks()["test_masks"])),
        DataError,
        r"g\.npz: split: sample 3 is in 'validation' and in 'test'",
    ),
    "a mask missing": (
        lambda p: _load(heterophilous(p / "g.npz", val_masks=None)),
        DataError,
        r"g\.npz: has masks, but none called 'val_mask'",
    ),
    "mask of another graph": (
        lambda p: _load(heterophilous(p / "g.npz", val_masks=np.zeros((10, 4), bool))),
        DataError,
        r"g\.npz: 'val_masks' has shape \(10, 4\) and dtype bool; expected true or false for each of 7 nodes",
    ),
    "mask of indices": (
        lambda p: _load(heterophilous(p / "g.npz", val_masks=np.full((10, NODES), 3))),
        DataError,
        r"'val_masks' has shape \(10, 7\) and dtype int64; expected true or false",
    ),
    "masks of unequal number": (
        lambda p: _load(heterophilous(p / "g.npz", val_masks=masks(4)["val_masks"])),
        DataError,
        r"masks hold \[4, 10\] splits",
    ),
    "edge outside": (
        lambda p: _load(heterophilous(p / "g.npz", edges=_edit(EDGES, (2, 1), 7))),
        DataError,
        r"g\.npz: 'edge_index' has 1 edges .* at position 2: 2 -> 7; expected 0 to 6",
    ),
    "edges transposed": (
        lambda p: _load(heterophilous(p / "g.npz", edges=EDGES.T)),
        DataError,
        r"'edges' has shape \(2, 6\); expected \(edges, 2\)\. Transpose it",
    ),
    "NaN": (
        lambda p: _load(heterophilous(p / "g.npz", node_features=_edit(X, (4, 1), np.nan))),
        DataError,
        "1 values that are not finite, the first at node 4, feature 1",
    ),
    "label that is not a number": (
        lambda p: _load(heterophilous(p / "g.npz", node_labels=_edit(Y.astype(float), 4, np.nan))),
        DataError,
        r"'y' holds float64; expected integers\. The first that is not a number is at position 4\.",
    ),
    "one class": (
        lambda p: _load(heterophilous(p / "g.npz", node_labels=np.zeros(NODES, int))),
        DataError,
        "'y' holds one class only",
    ),
    "positions outside": (
        lambda p: _load(compressed(p / "g.npz", adj_indices=np.array([1, 2, 3, 99, 5]))),
        DataError,
        "'adj_indices' and 'adj_indptr' are no compressed sparse rows",
    ),
    "no shape": (lambda p: _load(compressed(p / "g.npz", attr_shape=None)), DataError, "no 'attr_shape'"),
    "no values": (lambda p: _load(compressed(p / "g.npz", attr_data=None)), DataError, "has no array 'attr_data'"),
    "folder without a graph": (lambda p: _load(p), DataError, r"holds no graph; expected an \.npz"),
    "no label column": (
        lambda p: _load(tables(p / "g", features="node,lable\nn0,1\n")),
        DataError,
        r"features\.csv:1: has no column 'label'\. Did you mean 'lable'",
    ),
    "feature as text": (
        lambda p: _load(tables(p / "g", features="node,label,p\nn0,1,2\nn1,0,much\n", edges="a,b\nn0,n1\n")),
        DataError,
        r"features\.csv:3: column 'p' holds 'much'; expected a number",
    ),
    "unknown node": (
        lambda p: _load(tables(p / "g", edges="a,b\nn0,n1\nn0,n9\n")),
        DataError,
        r"edges\.csv:3: node 'n9' is not in 'features\.csv'",
    ),
    "node twice": (
        lambda p: _load(tables(p / "g", features="node,label\nn0,1\nn0,0\n")),
        DataError,
        r"features\.csv:3: node 'n0' is there twice",
    ),
    "row too short": (
        lambda p: _load(tables(p / "g", features="node,label,p\nn0,1\n")),
        DataError,
        r"features\.csv:2: has 2 columns; expected 3",
    ),
    "unknown part": (
        lambda p: _load(tables(p / "g", features="label,split\n1,trian\n0,test\n", edges="a,b\n0,1\n")),
        DataError,
        r"features\.csv:2: split 'trian' is no part\. Did you mean 'train'",
    ),
    "table of headings": (lambda p: _load(tables(p / "g", edges="a,b\n")), DataError, r"edges\.csv: has 1 lines"),
    "edges of one column": (lambda p: _load(tables(p / "g", edges="a\nn0\n")), DataError, "expected source and target"),
    "no GraphML": (lambda p: _load(_text(p / "g.graphml", "<graphml")), DataError, "cannot be read as GraphML"),
    "GraphML without labels": (
        lambda p: _load(_unlabelled(p / "g.graphml")),
        DataError,
        r"node 'n0' has no label; expected the attribute 'y', 'label', 'class'",
    ),
    "object instead of tensors": (
        lambda p: _load(_saved(p / "g.pt", Path("x"))),
        DataError,
        r"g\.pt: cannot be read as plain tensors",
    ),
    "list instead of dictionary": (lambda p: _load(_saved(p / "g.pt", [1])), DataError, r"g\.pt: holds list"),
    "no edges": (lambda p: _load(_saved(p / "g.pt", {"x": torch.ones(2, 2)})), DataError, "has no tensor 'edge_index'"),
    "no such tensors": (lambda p: _load(p / "no.pt"), DataError, r"no\.pt: no such file"),
    "no such GraphML": (lambda p: _load(p / "no.graphml"), DataError, r"no\.graphml: no such file"),
}


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _unlabelled(path: Path) -> Path:
    graph: Any = networkx.Graph([("n0", "n1")])
    networkx.write_graphml(graph, path)
    return path


def _saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(("call", "kind", "message"), BAD.values(), ids=BAD)
def test_mistakes_are_named(tmp_path: Path, call: Callable[[Path], Any], kind: type[AutomlError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        call(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "nodes", "edges"), [("texas", 183, 558), ("chameleon_filtered", 890, 17708), ("minesweeper", 10000, 78804)]
)
def test_real_graphs_and_all_of_their_splits(shared_data: Path, name: str, nodes: int, edges: int) -> None:
    path = str(shared_data / "heterophilous" / f"{name}.npz")
    splits = [NodeClassification.load(path, seed=0, options={"fixed_split": i}).split for i in range(10)]
    assert len({tuple(split["test"]) for split in splits}) == 10
    described = NodeClassification.load(path, seed=0).describe()
    assert (described["nodes"], described["edges"]) == (nodes, edges)
    assert described["samples"] == {part: len(nodes) for part, nodes in splits[0].items()}
