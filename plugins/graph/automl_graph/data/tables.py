"""Graphs from two tables in one folder: ``edges.csv`` and ``features.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from automl.errors import DataError, did_you_mean
from automl.tasks.splits import PARTS
from automl_graph.data.raw_graph import RawGraph, named_classes

__all__ = ["holds_tables", "load_tables"]

_EDGES: Final = "edges.csv"
_NODES: Final = "features.csv"
_PARTS: Final[Mapping[str, str | None]] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
    "": None,
}


def holds_tables(folder: Path) -> bool:
    """Tells whether both tables are there."""
    return (folder / _EDGES).is_file() and (folder / _NODES).is_file()


def load_tables(folder: Path, labelled: bool = True) -> RawGraph:
    """Reads a graph from comma-separated tables with a line of headings each.

    ``features.csv``: a column ``node`` with the name of each node (left out, nodes are called 0, 1, …), a column ``label``, if
    wanted a column ``split`` with train, validation, test or nothing, and a number in every further column.
    ``edges.csv``: the names of source and target in the first two columns; further ones are ignored.

    Args:
        folder: holds both.
        labelled: whether the columns ``label`` and ``split`` are read; without, they may be missing.

    Raises:
        DataError: a table is damaged; names file, line and column.
    """
    path = folder / _NODES
    heading, rows = _read(path)
    if labelled and "label" not in heading:
        raise DataError(f"{path}:1: has no column 'label'.{did_you_mean('label', heading)}")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(heading)}
    names = columns.pop("node", [str(i) for i in range(len(rows))])
    labels = columns.pop("label", [])
    parts = columns.pop("split", None)
    number: dict[str, int] = {}
    for line, name in enumerate(names, start=2):
        if name in number:
            raise DataError(f"{path}:{line}: node {name!r} is there twice.")
        number[name] = line - 2
    features = np.array([_numbers(values, name, path) for name, values in columns.items()], dtype=np.float64).T
    x, edges = features if columns else None, _edges(folder / _EDGES, number)
    if not labelled:
        return RawGraph(str(folder), x, edges, None, count=len(rows))
    y, classes = named_classes(labels)
    splits = [] if parts is None else [_split(parts, path)]
    return RawGraph(str(folder), x, edges, y, splits, classes)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a comma-separated table: {error}.") from error
    if len(lines) < 2:
        raise DataError(f"{path}: has {len(lines)} lines; expected a line of headings, then one for each row.")
    for line, row in enumerate(lines, start=1):
        if len(row) != len(lines[0]):
            raise DataError(f"{path}:{line}: has {len(row)} columns; expected {len(lines[0])}, as in line 1.")
    return lines[0], lines[1:]


def _edges(path: Path, number: dict[str, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    heading, rows = _read(path)
    if len(heading) < 2:
        raise DataError(f"{path}:1: has one column; expected source and target.")
    for line, row in enumerate(rows, start=2):
        for name in row[:2]:
            if name not in number:
                raise DataError(f"{path}:{line}: node {name!r} is not in '{_NODES}'.{did_you_mean(name, number)}")
    return np.array([[number[row[0]], number[row[1]]] for row in rows], dtype=np.int64).T.copy()


def _numbers(values: list[str], name: str, path: Path) -> list[float]:
    found = []
    for line, value in enumerate(values, start=2):
        try:
            found.append(float(value))
        except ValueError as error:
            raise DataError(f"{path}:{line}: column {name!r} holds {value!r}; expected a number.") from error
    return found


def _split(parts: list[str], path: Path) -> dict[str, list[int]]:
    split: dict[str, list[int]] = {part: [] for part in PARTS}
    for row, name in enumerate(parts):
        if name not in _PARTS:
            raise DataError(f"{path}:{row + 2}: split {name!r} is no part.{did_you_mean(name, PARTS)}")
        part = _PARTS[name]
        if part is not None:
            split[part].append(row)
    return split
