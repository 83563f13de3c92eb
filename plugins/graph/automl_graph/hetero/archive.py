"""Heterogeneous graphs from ``.npz`` files, and from ``HeteroData`` of torch-geometric.

Names of arrays hold names of types between slashes, so that these may be any words:

==============================  =======================================================================================
``x/TYPE``                      features, ``(nodes, width)``; or compressed sparse rows ``x/TYPE/data``, ``indices``,
                                ``indptr``, ``shape``
``nodes/TYPE``                  number of nodes, for a type without features
``edges/HEAD/TAIL``             ``(2, edges)`` integers: row 0 nodes of type HEAD, which receive, row 1 those of type TAIL
``edges/HEAD/TAIL/NAME``        the same, where several relations join these types
``y/TYPE``                      class of each node of the type that is classified, integers from 0
``train``, ``val``, ``test``    nodes of each part, if wanted; with ``_NAME`` behind each, splits to choose from
==============================  =======================================================================================

The archives of HeCo (``edge_pa``, ``p_feat_indptr``, ``labels``, ``train_20`` and so on) are read as they are.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.hetero.schema import Relation
from automl_graph.hetero.typed_data import NodeType, TypedData

__all__ = ["from_hetero_data", "holds_typed_graph", "load_typed_archive"]

Arrays = Mapping[str, npt.NDArray[Any]]
_LETTERS: Final = {"p": "paper", "a": "author", "s": "subject", "c": "conference", "t": "term"}
_MOVIE_LETTERS: Final = {"m": "movie", "a": "actor", "d": "director", "w": "writer"}
_PARTS: Final = (("train", ("train",)), ("validation", ("val", "validation")), ("test", ("test",)))


def holds_typed_graph(path: Path) -> bool:
    """Tells a heterogeneous graph from other ``.npz`` files by its table of contents."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = set(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False
    return any(name.startswith("edges/") for name in names) or _is_heco(names)


def load_typed_archive(path: Path) -> TypedData:
    """Reads a heterogeneous graph; see the module for the names of its arrays.

    Raises:
        DataError: the file is missing, unreadable or unfit; names file and array.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; expected a .npz file with arrays such as 'x/paper', 'edges/paper/author'."
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .npz file of plain arrays: {error}.") from error
    if _is_heco(set(arrays)):
        arrays = _of_heco(arrays)
    return _typed(arrays, str(path))


def from_hetero_data(data: Any, labelled: str, name: str = "graph") -> TypedData:
    """Returns the graph of a ``torch_geometric.data.HeteroData``; its messages keep their direction.

    Args:
        data: the object; nodes have ``x`` or ``num_nodes``, those of the classified type ``y`` and perhaps masks.
        labelled: the type that is classified.
        name: what messages call it.

    Raises:
        DataError: it is unfit; names the part.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> data = HeteroData()
        >>> data["paper"].x, data["paper"].y = torch.eye(3), torch.tensor([0, 1, 0])
        >>> data["author"].num_nodes = 2
        >>> data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [2, 0]])
        >>> from_hetero_data(data, "paper").relations
        (Relation(name='writes', head='paper', tail='author'),)
    """
    if labelled not in data.node_types:
        raise DataError(f"{name}: has no type {labelled!r}; it has {', '.join(map(repr, data.node_types)) or 'none'}.")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for kind in data.node_types:
        store = data[kind]
        if isinstance(store.get("x"), Tensor):
            arrays[f"x/{kind}"] = store["x"].numpy()
        else:
            arrays[f"nodes/{kind}"] = np.asarray(store.num_nodes)
    for source, relation, target in data.edge_types:
        arrays[f"edges/{target}/{source}/{relation}"] = data[source, relation, target].edge_index.flip(0).numpy()
    if isinstance(data[labelled].get("y"), Tensor):
        arrays[f"y/{labelled}"] = data[labelled]["y"].numpy()
    for mask in ("train", "val", "test"):
        value = data[labelled].get(f"{mask}_mask")
        if isinstance(value, Tensor) and value.dim() == 1:
            arrays[mask] = value.nonzero().flatten().numpy()
    return _typed(arrays, name)


def _typed(arrays: Arrays, where: str) -> TypedData:
    labels = [key for key in arrays if key.startswith("y/")]
    if len(labels) != 1:
        raise DataError(
            f"{where}: has {len(labels)} arrays 'y/TYPE' with the classes of nodes; expected exactly one. It holds "
            f"{', '.join(map(repr, arrays)) or 'nothing'}."
        )
    labelled = labels[0].removeprefix("y/")
    kinds = {key.split("/")[1]: None for key in arrays if key.startswith(("x/", "nodes/"))}
    if labelled not in kinds:
        raise DataError(f"{where}: has {labels[0]!r}, but neither 'x/{labelled}' nor 'nodes/{labelled}'.")
    types = {kind: _nodes(arrays, kind, where) for kind in (labelled, *(k for k in kinds if k != labelled))}
    y = _whole_numbers(arrays[labels[0]], f"{where}: {labels[0]!r}")
    found = [_relation(key, where) for key in arrays if key.startswith("edges/")]
    if not found:
        raise DataError(f"{where}: has no array 'edges/HEAD/TAIL'; there is nothing to look along.")
    names = [*types, *(relation.name for relation, _ in found)]
    relations = tuple(relation if names.count(relation.name) == 1 else _full(relation) for relation, _ in found)
    classes = int(y.max()) + 1 if y.numel() else 0
    edges = [_whole_numbers(arrays[key], f"{where}: {key!r}") for _, key in found]
    single = [_without_doubles(index) for index in edges]
    return TypedData(
        name=where,
        types=types,
        relations=relations,
        edges=tuple(single),
        y=y,
        class_names=tuple(map(str, range(classes))),
        splits=_splits(arrays, len(y), where),
        merged_edges=sum(index.shape[-1] for index in edges) - sum(index.shape[-1] for index in single),
    )


def _without_doubles(index: Tensor) -> Tensor:
    """The edges of a relation, each once; in their order unless some are double."""
    if index.dim() != 2 or index.shape[0] != 2:
        return index  # refused later
    single = torch.unique(index, dim=1)
    return index if single.shape[1] == index.shape[1] else single


def _relation(key: str, where: str) -> tuple[Relation, str]:
    parts = key.split("/")
    if len(parts) not in (3, 4) or not all(parts):
        raise DataError(f"{where}: the array {key!r} should be called 'edges/HEAD/TAIL' or 'edges/HEAD/TAIL/NAME'.")
    head, tail = parts[1], parts[2]
    return Relation(parts[3] if len(parts) == 4 else f"{head}_{tail}", head, tail), key


def _full(relation: Relation) -> Relation:
    return Relation(f"{relation.head}_{relation.name}_{relation.tail}", relation.head, relation.tail)


def _nodes(arrays: Arrays, kind: str, where: str) -> NodeType:
    if f"x/{kind}" in arrays:
        x = _features(arrays[f"x/{kind}"], f"{where}: 'x/{kind}'")
        return NodeType(len(x), x)
    if f"x/{kind}/indptr" in arrays:
        try:
            parts = [arrays[f"x/{kind}/{part}"] for part in ("data", "indices", "indptr", "shape")]
            rows, width = (int(length) for length in parts[3])
            matrix = sp.csr_matrix((parts[0].astype(np.float32), parts[1], parts[2]), shape=(rows, width))
            matrix.check_format(full_check=True)  # wrong positions would be read as addresses
        except KeyError as error:
            raise DataError(
                f"{where}: has no array {error}; compressed rows need it beside 'x/{kind}/indptr'."
            ) from error
        except (ValueError, TypeError, IndexError) as error:
            raise DataError(f"{where}: 'x/{kind}/...' are no compressed sparse rows: {error}.") from error
        return NodeType(rows, torch.from_numpy(matrix.toarray()))
    count = arrays.get(f"nodes/{kind}")
    if count is None or count.size != 1 or not np.issubdtype(count.dtype, np.integer):
        raise DataError(f"{where}: 'nodes/{kind}' should be one whole number.")
    return NodeType(int(count.reshape(())))


def _features(values: npt.NDArray[Any], where: str) -> Tensor:
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_) or values.ndim != 2:
        raise DataError(f"{where} is {values.dtype} of shape {values.shape}; expected numbers (nodes, width).")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _whole_numbers(values: npt.NDArray[Any], where: str) -> Tensor:
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{where} is {values.dtype}; expected integers.")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def _splits(arrays: Arrays, nodes: int, where: str) -> dict[str, dict[str, list[int]]]:
    names = [
        key.removeprefix("train").removeprefix("_") for key in arrays if key == "train" or key.startswith("train_")
    ]
    splits: dict[str, dict[str, list[int]]] = {}
    for name in names:
        split = {}
        for part, spellings in _PARTS:
            keys = [f"{spelling}_{name}" if name else spelling for spelling in spellings]
            key = next((k for k in keys if k in arrays), None)
            if key is None:
                raise DataError(f"{where}: has a split 'train{'_' * bool(name)}{name}', but no array {keys[0]!r}.")
            index = _whole_numbers(arrays[key], f"{where}: {key!r}").flatten()
            if not len(index):
                raise DataError(f"{where}: {key!r} is empty; expected at least one node.")
            if int(index.min()) < 0 or int(index.max()) >= nodes:
                raise DataError(f"{where}: {key!r} holds {int(index.max())}; expected nodes from 0 to {nodes - 1}.")
            split[part] = sorted(index.tolist())
        splits[name] = split
    return splits


def _is_heco(names: set[str]) -> bool:
    return "labels" in names and any(name.startswith("edge_") and len(name) == 7 for name in names)


def _of_heco(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    pairs = {key[5:]: key for key in arrays if key.startswith("edge_") and len(key) == 7}
    letters = dict.fromkeys("".join(pairs))
    known = _MOVIE_LETTERS if "m" in letters else _LETTERS
    name = {letter: known.get(letter, letter) for letter in letters}
    result = {key: value for key, value in arrays.items() if key.startswith(("train_", "val_", "test_"))}
    counts = dict.fromkeys(letters, 0)
    for pair, key in pairs.items():
        result[f"edges/{name[pair[0]]}/{name[pair[1]]}"] = arrays[key]
        for row, letter in enumerate(pair):
            counts[letter] = max(counts[letter], int(arrays[key][row].max()) + 1)
    labelled = next((letter for letter in letters if f"{letter}_feat_shape" in arrays), None)
    labels = arrays["labels"]
    labelled = labelled or next((letter for letter in letters if counts[letter] == len(labels)), next(iter(letters)))
    counts[labelled] = len(labels)
    result[f"y/{name[labelled]}"] = labels
    for letter in letters:
        feature = f"{letter}_feat_"
        if f"{feature}shape" in arrays:
            indices = arrays[f"{feature}indices"]
            result[f"x/{name[letter]}/data"] = arrays.get(f"{feature}data", np.ones(len(indices), np.float32))
            result[f"x/{name[letter]}/indices"] = indices.astype(np.int64)
            result[f"x/{name[letter]}/indptr"] = arrays[f"{feature}indptr"].astype(np.int64)
            result[f"x/{name[letter]}/shape"] = arrays[f"{feature}shape"]
        else:
            result[f"nodes/{name[letter]}"] = np.asarray(counts[letter])
    return result
