"""Citation graphs in the original files of Planetoid: ``ind.<name>.x`` and its seven siblings.

Yang, Cohen and Salakhutdinov 2016, "Revisiting semi-supervised learning with graph embeddings", arXiv:1603.08861. The files
are pickles, which can run any code when they are read; the reader here knows the few types that they need and refuses all
others before anything is made of them.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from numpy._core.multiarray import _reconstruct  # what every pickled array names as its constructor

from automl.errors import DataError
from automl_graph.data.raw_graph import RawGraph, splits_of_masks

__all__ = ["load_planetoid", "planetoid_files"]

_PARTS: Final = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
_VALIDATION_NODES: Final = 500
_SPLITS: Final = "geom_gcn_splits.npz"
_ALLOWED: Final = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("scipy.sparse.csr", "csr_matrix"): sp.csr_matrix,
    ("scipy.sparse._csr", "csr_matrix"): sp.csr_matrix,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
}


def planetoid_files(folder: Path) -> Path | None:
    """Returns ``ind.<name>.x`` in a folder or in its subfolder ``raw``, or None."""
    return next((file for place in (folder, folder / "raw") for file in sorted(place.glob("ind.*.x"))), None)


def load_planetoid(folder: Path) -> RawGraph:
    """Reads a citation graph from its folder.

    The usual split is the public one: the nodes of ``y`` for training, the next 500 for validation, those of ``test.index``
    for the test. Ten further splits are read from ``geom_gcn_splits.npz`` in the folder or beside it, where it is there.
    Nodes that ``test.index`` leaves out, as CiteSeer has 15, get features of zero and the first class; edges of a node to
    itself are dropped. So does the loader of torch-geometric.

    Raises:
        DataError: a file is missing, unreadable, or asks for a type that such files do not need.
    """
    first = planetoid_files(folder)
    if first is None:
        raise DataError(f"{folder}: holds no 'ind.<name>.x'; expected the original files of a Planetoid graph.")
    prefix = first.name.removesuffix(".x")
    for part in _PARTS:
        if not (path := first.with_name(f"{prefix}.{part}")).is_file():
            raise DataError(f"{path}: no such file; a Planetoid graph has the parts {', '.join(_PARTS)}.")
    files = {part: first.with_name(f"{prefix}.{part}") for part in _PARTS}
    try:
        test = np.loadtxt(files["test.index"], dtype=np.int64, ndmin=1)
    except ValueError as error:
        raise DataError(f"{files['test.index']}: expected one node number on each line: {error}.") from error
    tx, ty, allx, ally = (_matrix(files[part]) for part in ("tx", "ty", "allx", "ally"))
    ordered = np.sort(test)
    if (
        not len(test)
        or len(test) != len(tx)
        or len(test) != len(ty)
        or ordered[0] != len(allx)
        or len(allx) != len(ally)
    ):
        raise DataError(
            f"{files['test.index']}: names {len(test)} nodes from {ordered[0] if len(test) else '?'}, but there are {len(tx)} "
            f"test rows after {len(allx)} others; the files do not belong together."
        )
    nodes = int(ordered[-1]) + 1
    x, y = np.zeros((nodes, allx.shape[1]), np.float32), np.zeros((nodes, ally.shape[1]), np.float32)
    x[: len(allx)], y[: len(ally)] = allx, ally
    x[test], y[test] = tx, ty  # row i of the test files belongs to the i-th entry of test.index
    train = len(_matrix(files["y"]))
    public = {
        "train": list(range(train)),
        "validation": list(range(train, train + _VALIDATION_NODES)),
        "test": test.tolist(),
    }
    return RawGraph(
        name=str(folder),
        x=x,
        edge_index=_edges(files["graph"]),
        y=y.argmax(axis=1),
        splits=_random_splits(folder, first, prefix.removeprefix("ind."), nodes),
        keep_self_loops=False,
        usual_split=public,
        asked_splits=f"splits of '{_SPLITS}'",
    )


@final
class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"asks for '{module}.{name}', which no Planetoid file needs; it may be harmful"
            ) from None


def _unpickle(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return _Restricted(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises anything
        raise DataError(f"{path}: is refused: {error}.") from error


def _matrix(path: Path) -> npt.NDArray[np.float32]:
    matrix = _unpickle(path)
    try:
        if isinstance(matrix, sp.csr_matrix):
            matrix.check_format(full_check=True)  # wrong positions would be read as addresses
            matrix = matrix.toarray()
        if isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.dtype.kind in "fiu":
            return matrix.astype(np.float32)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: holds a damaged sparse matrix: {error}.") from error
    raise DataError(f"{path}: holds {type(matrix).__name__}; expected a matrix of numbers.")


def _edges(path: Path) -> npt.NDArray[np.int64]:
    graph = _unpickle(path)
    try:
        if isinstance(graph, dict):
            return np.array([[a, b] for a, near in graph.items() for b in near], dtype=np.int64).reshape(-1, 2).T.copy()
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: expected lists of node numbers: {error}.") from error
    raise DataError(f"{path}: holds {type(graph).__name__}; expected the neighbours of each node.")


def _random_splits(folder: Path, first: Path, name: str, nodes: int) -> list[dict[str, list[int]]]:
    places = dict.fromkeys((folder, first.parent, folder.resolve().parent, first.resolve().parent.parent.parent))
    path = next((place / _SPLITS for place in places if (place / _SPLITS).is_file()), None)
    if path is None:
        return []
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            masks = {part: archive[f"{name}_{part}"] for part in ("train_mask", "val_mask", "test_mask")}
    except KeyError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a .npz file of plain arrays: {error}.") from error
    return splits_of_masks(masks, nodes, str(path))
