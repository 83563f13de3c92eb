"""Planetoid's pickles: read as the loader of torch-geometric reads them, and refused where they could run code."""

from __future__ import annotations

import io
import os
import pickle
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from automl_graph.data import load_planetoid
from automl_graph.pyg import coalesce
from automl_graph.tasks import NodeClassification

from automl.errors import ConfigError, DataError


def write(folder: Path, **changed: Any) -> Path:
    """A graph of 512 nodes and 3 + 1 test nodes, one of which no file speaks about; 2 training nodes."""
    rng = np.random.default_rng(0)
    rows = sp.csr_matrix(rng.integers(0, 2, size=(512, 5)).astype(np.float32))
    labels = np.eye(3, dtype=np.int32)[rng.integers(0, 3, size=512)]
    labels[1] = np.roll(labels[0], 1)  # both training nodes are of a class of their own
    test_rows = sp.csr_matrix(np.arange(15, dtype=np.float32).reshape(3, 5))
    near = defaultdict(list, {0: [1, 1, 0], 1: [0, 515], 515: [1]})
    content: dict[str, Any] = {
        "x": rows[:2],
        "y": labels[:2],
        "allx": rows,
        "ally": labels,
        "tx": test_rows,
        "ty": np.eye(3, dtype=np.int32)[[2, 1, 2]],
        "graph": near,
    } | changed
    folder.mkdir(parents=True, exist_ok=True)
    for part, value in content.items():
        if value is not None:
            (folder / f"ind.tiny.{part}").write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, 4))
    (folder / "ind.tiny.test.index").write_text("515\n512\n514\n")
    return folder


def test_test_rows_go_where_the_index_says_and_missing_nodes_are_empty(tmp_path: Path) -> None:
    graph = load_planetoid(write(tmp_path / "tiny" / "raw").parent).finish()
    assert graph.nodes == 516
    assert graph.x[[515, 512, 514], 1].tolist() == [1, 6, 11]
    assert not graph.x[513].any()
    assert graph.y[[515, 512, 514, 513]].tolist() == [2, 1, 2, 0]
    assert sorted(graph.edge_index.T.tolist()) == [[0, 1], [1, 0], [1, 515], [515, 1]]
    assert graph.merged_edges == 1
    assert graph.split is not None
    assert graph.split["train"] == [0, 1]
    assert graph.split["validation"] == list(range(2, 502))
    assert graph.split["test"] == [515, 512, 514]


def test_geom_gcn_splits_lie_beside_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "planetoid" / "tiny" / "raw").parent
    masks = {part: np.zeros((10, 516), bool) for part in ("train", "val", "test")}
    for i in range(10):
        for offset, mask in enumerate(masks.values()):
            mask[i, 3 * i + offset] = True
    masks["train"][:, 100:110] = True  # of more than one class
    np.savez(tmp_path / "planetoid" / "geom_gcn_splits.npz", **{f"tiny_{k}_mask": v for k, v in masks.items()})
    task = NodeClassification.load(str(folder), seed=0, options={"fixed_split": 9})
    assert task.split == {"train": [27, *range(100, 110)], "validation": [28], "test": [29]}
    assert len(NodeClassification.load(str(folder), seed=0).split["validation"]) == 500
    with pytest.raises(
        ConfigError, match=r"fixed_split: 10 is asked for, but .* has 10 splits of .geom_gcn_splits\.npz"
    ):
        NodeClassification.load(str(folder), seed=0, options={"fixed_split": 10})


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("part", ["y", "graph", "ty"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickle_that_runs_code_is_refused_before_it_runs(tmp_path: Path, part: str, protocol: int) -> None:
    trace = tmp_path / "harm"
    changed = {part: pickle.dumps(Harm(trace), protocol)}
    with pytest.raises(DataError, match=r"is refused: asks for '(posix|nt)\.mkdir', which no Planetoid file needs"):
        load_planetoid(write(tmp_path, **changed))
    assert not trace.exists()
    pickle.Unpickler(io.BytesIO(pickle.dumps(Harm(trace), protocol))).load()
    assert trace.exists()  # it would have


class Nested:
    """Asks for a function that runs any text."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return eval, ("1",)


def _crooked() -> sp.csr_matrix:
    matrix = sp.csr_matrix(np.eye(3, 5, dtype=np.float32))
    matrix.indices = np.array([0, 10**6, 2], dtype=np.int32)
    return matrix


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "builtin": ({"graph": Nested()}, r"asks for '(__builtin__|builtins)\.eval'"),
    "torn": ({"tx": b"\x80\x02cnumpy"}, r"ind\.tiny\.tx: is refused"),
    "empty": ({"ally": b""}, r"ind\.tiny\.ally: is refused"),
    "text for rows": ({"allx": "hello"}, r"ind\.tiny\.allx: holds str; expected a matrix of numbers"),
    "vector": ({"ty": np.arange(3)}, r"ind\.tiny\.ty: holds ndarray; expected a matrix"),
    "positions outside": ({"tx": _crooked()}, r"ind\.tiny\.tx: holds a damaged sparse matrix"),
    "graph is a list": ({"graph": [1, 2]}, r"ind\.tiny\.graph: holds list; expected the neighbours"),
    "graph of text": ({"graph": {0: ["a"]}}, r"ind\.tiny\.graph: expected lists of node numbers"),
    "rows missing": ({"tx": np.ones((2, 5))}, r"names 3 nodes from 512, but there are 2 test rows after 512"),
    "edge outside": ({"graph": {0: [9999]}}, r"'edge_index' has 1 edges to or from nodes that do not exist"),
    "file missing": ({"ty": None}, r"ind\.tiny\.ty: no such file; a Planetoid graph has the parts x, y"),
}


@pytest.mark.parametrize(("changed", "message"), BAD.values(), ids=BAD)
def test_unfit_files_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_planetoid(write(tmp_path, **changed)).finish()


def test_index_that_is_no_number_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "ind.tiny.test.index").write_text("one\n")
    with pytest.raises(DataError, match=r"test\.index: expected one node number on each line"):
        load_planetoid(folder)


@pytest.mark.parametrize(
    ("name", "nodes", "features", "edges"), [("cora", 2708, 1433, 10556), ("citeseer", 3327, 3703, 9104)]
)
def test_real_graphs_equal_those_of_torch_geometric(
    shared_data: Path, name: str, nodes: int, features: int, edges: int
) -> None:
    folder = shared_data / "planetoid" / name
    graph = load_planetoid(folder).finish()
    assert (*graph.x.shape, graph.edge_index.shape[1]) == (nodes, features, edges)
    peer = _peer(folder / "raw", name)
    assert torch.equal(graph.x, peer.x)
    assert torch.equal(graph.y, peer.y)
    assert torch.equal(graph.edge_index, coalesce(peer.edge_index))
    assert graph.split is not None
    for part, mask in (("train", peer.train_mask), ("validation", peer.val_mask), ("test", peer.test_mask)):
        assert sorted(graph.split[part]) == mask.nonzero().flatten().tolist()


def test_real_splits(shared_data: Path) -> None:
    folder = str(shared_data / "planetoid" / "cora")
    sizes = {p: len(n) for p, n in NodeClassification.load(folder, seed=0, options={"fixed_split": 4}).split.items()}
    assert sizes == {"train": 1192, "validation": 796, "test": 497}


def _peer(folder: Path, name: str) -> Any:
    import warnings

    from torch_geometric.io import read_planetoid_data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it unpickles names that scipy and numpy have moved
        return read_planetoid_data(str(folder), name)
