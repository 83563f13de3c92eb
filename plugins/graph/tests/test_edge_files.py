"""Features of edges in files and objects: read, checked, and merged with double edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.data import (
    NodeData,
    RawGraph,
    collection_from_pyg,
    from_pyg,
    load_graph,
    read_graphs,
)
from automl_graph.data.edge_features import edge_table
from torch import Tensor

from automl.errors import DataError
from automl.host import Host

HOST = Host.load(entry_points=False, plugins=[plugin])


def write(path: Path, **arrays: Any) -> Path:
    """Two graphs: 0 - 1 - 2 with the edge 0 -> 1 twice, and 0 - 1 with a self loop at 1 and a node 2 alone."""
    content = {
        "node_ptr": np.array([0, 3, 6]),
        "edge_ptr": np.array([0, 5, 8]),
        "edge_index": np.array([[0, 2, 1, 1, 0, 0, 1, 1], [1, 1, 0, 2, 1, 1, 0, 1]]),
        "y": np.array([0, 1]),
        "x": np.arange(6.0)[:, None],
    }
    np.savez(path, **{key: value for key, value in (content | arrays).items() if value is not None})
    return path


def test_labels_of_edges_become_one_hot_and_double_edges_their_mean(tmp_path: Path) -> None:
    labels = np.array([7, 3, 3, 3, 3, 9, 7, 3])
    found = read_graphs(write(tmp_path / "g.npz", bond_type=labels), "classes")
    first, second = found.graphs
    assert first.edge_attr is not None
    assert second.edge_attr is not None
    assert found.edge_width == 3
    assert found.merged_edges == 1
    assert first.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert first.edge_attr.tolist() == [[0.5, 0.5, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert second.edge_index.tolist() == [[0, 1, 1], [1, 0, 1]]  # nothing to merge: as in the file
    assert second.edge_attr.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_numbers_come_before_labels_and_equal_labels_tell_nothing(tmp_path: Path) -> None:
    numbers = np.arange(16.0).reshape(8, 2)
    found = read_graphs(write(tmp_path / "g.npz", bond_type=np.arange(8), edge_attr=numbers), "classes")
    assert found.graphs[0].edge_attr is not None
    assert found.graphs[0].edge_attr.tolist() == [[4, 5], [4, 5], [6, 7], [2, 3]]
    assert read_graphs(write(tmp_path / "g.npz", edge_label=np.ones(8, dtype=int)), "classes").edge_width == 0
    column = read_graphs(write(tmp_path / "g.npz", edge_attr=np.arange(8.0)), "classes")
    assert column.edge_width == 1


def test_degrees_count_double_edges_once(tmp_path: Path) -> None:
    found = read_graphs(write(tmp_path / "g.npz", x=None), "classes")
    assert found.graphs[0].x.argmax(1).tolist() == [1, 2, 1]
    assert found.width == 3


def _with(row: int, value: float) -> Any:
    table = np.ones((8, 2))
    table[row, 1] = value
    return table


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "rows": ({"edge_attr": np.ones((7, 2))}, r"'edge_attr' is float64 \(7, 2\); expected real numbers \(8, features\)"),
    "axes": ({"edge_attr": np.ones((8, 2, 2))}, r"'edge_attr' is float64 \(8, 2, 2\)"),
    "none": ({"edge_attr": np.ones((8, 0))}, r"'edge_attr' is float64 \(8, 0\)"),
    "words": ({"edge_label": np.array(["a"] * 8)}, "'edge_label' is <U1"),
    "labels": ({"bond_type": np.arange(9)}, r"'bond_type' is int64 \(9,\)"),
    "gap": ({"edge_attr": _with(3, np.nan)}, "'edge_attr' has 1 values that are not finite, the first at edge 3"),
    "range": ({"edge_attr": _with(6, 1e300)}, "'edge_attr' has 1 values that are not finite, the first at edge 6"),
}


def test_integers_that_are_no_labels_are_refused() -> None:
    table = edge_table(np.arange(512) // 2, 512, "edge_label", "file")
    assert table is not None
    assert table.shape == (512, 256)
    with pytest.raises(DataError, match="file: 'edge_label' holds 257 different integers"):
        edge_table(np.arange(257), 257, "edge_label", "file")


@pytest.mark.parametrize(("arrays", "message"), UNFIT.values(), ids=UNFIT)
def test_unfit_features_name_file_and_array_and_can_be_left_out(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "g.npz", **arrays)
    with pytest.raises(DataError, match=rf"g\.npz: {message}"):
        read_graphs(path, "classes")
    assert read_graphs(path, "classes", edge_features="none").edge_width == 0


def test_objects_of_torch_geometric_share_their_labels_of_edges() -> None:
    from torch_geometric.data import Data

    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])

    def made(number: int, edge_attr: Tensor | None) -> Data:
        return Data(x=torch.ones(3, 1), edge_index=ring, y=torch.tensor([number]), edge_attr=edge_attr)

    found = collection_from_pyg([made(0, torch.tensor([5, 5, 2])), made(1, torch.tensor([8, 8, 8]))])
    tables = [graph.edge_attr for graph in found.graphs]
    assert tables[0] is not None
    assert tables[1] is not None
    assert [table.argmax(1).tolist() for table in tables if table is not None] == [[1, 1, 0], [2, 2, 2]]
    twice = torch.cat([ring, ring[:, :1]], dim=1)
    doubled = Data(x=torch.ones(3, 1), edge_index=twice, y=torch.tensor([1]), edge_attr=torch.arange(8.0).view(4, 2))
    merged = collection_from_pyg([made(0, torch.zeros(3, 2)), doubled])
    assert merged.graphs[1].edge_attr is not None
    assert merged.graphs[1].edge_attr.tolist() == [[3, 4], [2, 3], [4, 5]]
    assert merged.merged_edges == 1
    with pytest.raises(DataError, match="graph 1 has no features 'edge_attr', though others have"):
        collection_from_pyg([made(0, torch.ones(3, 1)), made(1, None)])
    with pytest.raises(DataError, match=r"graph 1: 'edge_attr' has shape \(2, 1\); expected \(3, 1\)"):
        collection_from_pyg([made(0, torch.ones(3, 1)), made(1, torch.ones(2, 1))])


RAW = np.array([[0, 0, 1, 2, 2, 3], [1, 1, 0, 2, 3, 2]])


def test_merged_and_added_directions_have_means() -> None:
    table = np.array([1.0, 3.0, 6.0, 7.0, 8.0, 8.0])
    raw = RawGraph("raw", np.eye(5), RAW, np.arange(5) % 2, edge_attr=table)
    directed, both = raw.finish(undirected=False), raw.finish()
    assert directed.merged_edges == both.merged_edges == 1
    assert directed.edge_index.tolist() == [[0, 1, 2, 2, 3], [1, 0, 2, 3, 2]]
    for found, expected in ((directed, [2, 6, 7, 8, 8]), (both, [4, 4, 7, 8, 8])):
        assert found.edge_attr is not None
        assert found.edge_attr.flatten().tolist() == expected
    loopless = RawGraph("raw", np.eye(5), RAW, np.arange(5) % 2, keep_self_loops=False, edge_attr=table).finish()
    assert loopless.edge_attr is not None
    assert loopless.edge_attr.flatten().tolist() == [4, 4, 8, 8]
    none = raw.finish(edge_features="none")
    assert none.edge_attr is None
    assert none.fingerprint != both.fingerprint
    with pytest.raises(DataError, match=r"raw: 'edge_attr' is float64 \(5,\); expected real numbers \(6, features\)"):
        RawGraph("raw", np.eye(5), RAW, np.arange(5) % 2, edge_attr=table[:5]).finish()


def _npz(path: Path, **arrays: Any) -> NodeData:
    np.savez(path / "g.npz", x=np.eye(5), y=np.arange(5) % 2, **arrays)
    graph = load_graph(path / "g.npz")
    assert graph is not None
    return graph.finish(undirected=False)


def _pt(path: Path, edge_attr: Tensor) -> NodeData:
    content = {"x": torch.eye(5), "y": torch.arange(5) % 2, "edge_index": torch.from_numpy(RAW), "edge_attr": edge_attr}
    torch.save(content, path / "g.pt")
    graph = load_graph(path / "g.pt")
    assert graph is not None
    return graph.finish(undirected=False)


def _pyg(path: Path, edge_attr: Tensor) -> NodeData:
    from torch_geometric.data import Data

    data = Data(x=torch.eye(5), y=torch.arange(5) % 2, edge_index=torch.from_numpy(RAW), edge_attr=edge_attr)
    return from_pyg(data).finish(undirected=False)


ROWS = [[0.5, 1], [0, 1], [0, 1], [1, 0], [1, 0]]
SOURCES: dict[str, Callable[[Path], NodeData]] = {
    "npz": lambda path: _npz(
        path, edge_index=RAW, edge_attr=np.array([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0.0]])
    ),
    "pairs": lambda path: _npz(path, edges=RAW.T, edge_attr=np.array([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0]])),
    "pt": lambda path: _pt(path, torch.tensor([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0.0]])),
    "pyg": lambda path: _pyg(path, torch.tensor([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0]])),
}


@pytest.mark.parametrize("source", SOURCES)
def test_files_and_objects_give_features_of_edges(source: str, tmp_path: Path) -> None:
    found = SOURCES[source](tmp_path)
    assert found.edge_attr is not None
    assert found.edge_attr.tolist() == ROWS


def test_labels_and_weights_of_npz_files(tmp_path: Path) -> None:
    labels = _npz(tmp_path, edge_index=RAW, bond_type=np.array([4, 4, 4, 9, 9, 9]))
    assert labels.edge_attr is not None
    assert labels.edge_attr.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]
    rows: dict[str, Any] = {"adj_indptr": np.array([0, 2, 3, 3, 4, 4]), "adj_indices": np.array([3, 1, 0, 2])}
    weighted = _npz(tmp_path, **rows, adj_data=np.array([2, 5, 7, 1]))
    assert weighted.edge_index.tolist() == [[0, 0, 1, 3], [1, 3, 0, 2]]
    assert weighted.edge_attr is not None
    assert weighted.edge_attr.flatten().tolist() == [5, 2, 7, 1]
    for data in ({"adj_data": np.ones(4)}, {}):
        assert _npz(tmp_path, **rows, **data).edge_attr is None
