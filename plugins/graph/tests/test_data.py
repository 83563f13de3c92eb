"""The built-in graphs have the published sizes; unfit files are refused by name and array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch
from automl_graph.data import NodeData, digits_neighbours, karate_club, read_archive
from automl_graph.pyg import homophily

from automl.errors import DataError


def undirected(data: NodeData) -> networkx.Graph[Any]:
    graph: networkx.Graph[Any] = networkx.Graph()
    graph.add_nodes_from(range(data.nodes))
    graph.add_edges_from(data.edge_index.T.tolist())
    return graph


def test_karate_club() -> None:
    data = karate_club()
    graph = undirected(data)
    assert (graph.number_of_nodes(), graph.number_of_edges(), data.edge_index.shape[1]) == (34, 78, 156)
    assert set(graph.edges) == set(networkx.karate_club_graph().edges)
    assert torch.bincount(data.y).tolist() == [17, 17]


def test_digits_graph() -> None:
    data = digits_neighbours()
    graph = undirected(data)
    assert (graph.number_of_nodes(), graph.number_of_edges(), data.edge_index.shape[1]) == (1797, 9927, 2 * 9927)
    assert networkx.is_connected(graph)
    assert min(degree for _, degree in graph.degree()) >= 8
    assert homophily(data.edge_index, data.y, method="edge") == pytest.approx(0.961, abs=5e-4)
    assert (float(data.x.min()), float(data.x.max())) == (0, 1)


def test_fingerprint_follows_the_content() -> None:
    data = karate_club()
    again = NodeData("elsewhere", data.x.clone(), data.edge_index.clone(), data.y.clone(), data.class_names)
    assert again.fingerprint == data.fingerprint
    flipped = data.y.clone()
    flipped[33] = 1 - flipped[33]
    assert NodeData("karate", data.x, data.edge_index, flipped, data.class_names).fingerprint != data.fingerprint


def arrays() -> dict[str, Any]:
    return {
        "x": np.random.default_rng(0).normal(size=(6, 3)),
        "edge_index": np.array([[0, 1, 2, 3, 0], [1, 0, 3, 4, 1]]),
        "y": np.array([0, 1, 0, 1, 0, 1]),
    }


def test_archive_round_trip(tmp_path: Path) -> None:
    content = arrays()
    np.savez(tmp_path / "graph.npz", **content)
    given = read_archive(tmp_path / "graph.npz", undirected=False)
    assert sorted(given.edge_index.T.tolist()) == [[0, 1], [1, 0], [2, 3], [3, 4]]  # the double edge is merged
    assert given.merged_edges == 1
    torch.testing.assert_close(given.x.double(), torch.tensor(content["x"]), rtol=1e-6, atol=1e-6)
    both = read_archive(tmp_path / "graph.npz", undirected=True)
    assert sorted(both.edge_index.T.tolist()) == [[0, 1], [1, 0], [2, 3], [3, 2], [3, 4], [4, 3]]


def change(key: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda content: content | {key: value(content[key])}


def set_at(position: Any, value: Any) -> Callable[[Any], Any]:
    def edit(array: Any) -> Any:
        array = array.copy()
        array[position] = value
        return array

    return edit


BAD = {
    "edge beyond the nodes": (
        change("edge_index", set_at((1, 2), 6)),
        "'edge_index' has 1 edges .* at position 2: 2 -> 6; expected 0 to 5",
    ),
    "negative edge": (change("edge_index", set_at((0, 4), -1)), "'edge_index' has 1 edges .* at position 4: -1 -> 1"),
    "edges transposed": (change("edge_index", np.transpose), r"'edge_index' has shape \(5, 2\).*Transpose it"),
    "edges as floats": (
        change("edge_index", lambda e: e.astype(float)),
        "'edge_index' holds float64; expected integers",
    ),
    "NaN": (
        change("x", set_at((4, 1), np.nan)),
        "'x' has 1 values that are not finite, the first at node 4, feature 1",
    ),
    "too large for float32": (change("x", set_at((2, 0), 1e300)), "'x' has 1 values .* at node 2, feature 0"),
    "no features": (change("x", lambda x: x[:, :0]), r"'x' has shape \(6, 0\).*degree"),
    "features as text": (change("x", lambda x: x.astype(str)), "'x' holds <U.*; expected real numbers"),
    "one class": (change("y", np.zeros_like), "'y' holds one class only"),
    "negative label": (change("y", set_at(3, -2)), "'y' has label -2 at node 3; expected 0 to 1"),
    "labels too short": (change("y", lambda y: y[:4]), r"'y' has shape \(4,\); expected \(6,\)"),
    "labels as floats": (change("y", lambda y: y + 0.5), "'y' holds float64; expected integers"),
    "no labels": (
        lambda content: {k: v for k, v in content.items() if k != "y"},
        "has no array 'y' .*'x', 'edge_index'",
    ),
    "objects": (change("y", lambda y: np.array([{}] * 6)), "cannot be read as a .npz file of plain arrays"),
}


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD)
def test_unfit_archive_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    path = tmp_path / "graph.npz"
    np.savez(path, **edit(arrays()))
    with pytest.raises(DataError, match=message) as caught:
        read_archive(path, undirected=True)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive at all"])
def test_unreadable_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "graph.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as a \.npz file"):
        read_archive(path, undirected=True)


def test_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz: no such file; expected .*'edge_index'"):
        read_archive(tmp_path / "absent.npz", undirected=True)
