"""Exact tables: every network of a space measured once by others, so that searches can be compared with the truth.

NAS-Bench-201 (error on three data sets, each against the latency of another device) and NAS-Bench-Graph (three citation
graphs, error against latency). A search sees one training seed of a network; what it found is scored with the mean over its
seeds. Objectives are scaled to [0, 1] over the whole table, the reference point is (1, 1).
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from automl.search import hypervolume, pareto_front
from automl.space import Categorical, SearchSpace

__all__ = ["TABLES", "Table", "load_table"]

Matrix = npt.NDArray[np.float64]

DATA: Final = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
REFERENCE: Final = (1.0, 1.0)
_NAS_BENCH_201: Final = {
    "nb201-cifar10": ("cifar10_valid_acc_200", "raspi4"),
    "nb201-cifar100": ("cifar100_valtest_acc_200", "gold_6226"),
    "nb201-imagenet16": ("imagenet16_valtest_acc_200", "titan_rtx_32"),
}
_NAS_BENCH_GRAPH: Final = {"nbg-cora": "cora", "nbg-citeseer": "citeseer", "nbg-pubmed": "pubmed"}
TABLES: Final = (*_NAS_BENCH_201, *_NAS_BENCH_GRAPH)


@dataclass(frozen=True)
class Table:
    """One space of which everything is known.

    Attributes:
        name: name of the table.
        space: the dimensions that a search chooses.
        row_of: row of the table by positions of the dimensions; -1 for a forbidden combination. Several combinations
            may be one network, and then have one row.
        seen: ``(rows, 2)`` what a search is told, scaled.
        scored: ``(rows, 2)`` what its findings are worth, scaled.
    """

    name: str
    space: SearchSpace
    row_of: npt.NDArray[np.int32]
    seen: Matrix
    scored: Matrix

    def rows(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Returns the rows of ``(n, dimensions)`` positions."""
        found: npt.NDArray[np.int32] = self.row_of[tuple(positions.T)]
        return found

    def share(self, rows: npt.NDArray[Any]) -> float:
        """Returns the share of the true front's hypervolume that these networks dominate."""
        return hypervolume(self.scored[rows], REFERENCE) / _true_volume(self.name)


@cache
def load_table(name: str) -> Table:
    """Reads a table.

    Raises:
        FileNotFoundError: the data are not there.
    """
    return _nas_bench_201(name) if name in _NAS_BENCH_201 else _nas_bench_graph(name)


@cache
def _true_volume(name: str) -> float:
    scored = load_table(name).scored
    return hypervolume(scored[pareto_front(scored)], REFERENCE)


def _scaled(error: Matrix, latency: Matrix, by: tuple[Matrix, Matrix]) -> Matrix:
    columns = [(c - b.min()) / np.ptp(b) for c, b in zip((error, latency), by, strict=True)]
    return np.stack(columns, axis=1)


def _nas_bench_201(name: str) -> Table:
    accuracy_column, device = _NAS_BENCH_201[name]
    with np.load(DATA / "nas_bench_201" / "nasbench201.npz") as data:
        cells, operations = data["arch"].astype(int), [str(op) for op in data["op_names"]]
        accuracy = data[accuracy_column].astype(float)
        latency = data["latency"][:, list(data["devices"]).index(device)].astype(float)
        edges = [f"{a}to{b}" for a, b in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))]
    mean = 100 - np.nanmean(accuracy, axis=1)
    space = SearchSpace.build({edge: Categorical(*operations) for edge in edges})
    row_of = np.full((5,) * 6, -1, dtype=np.int32)
    row_of[tuple(cells.T)] = np.arange(len(cells))
    scored = _scaled(mean, latency, (mean, latency))
    return Table(name, space, row_of, _scaled(100 - accuracy[:, 0], latency, (mean, latency)), scored)


def _nas_bench_graph(name: str) -> Table:
    with np.load(DATA / "nas_bench_graph" / "nasbenchgraph.npz") as data:
        column = list(data["datasets"]).index(_NAS_BENCH_GRAPH[name])
        error, latency = 1 - data["valid_perf"][:, column].astype(float), data["latency"][:, column].astype(float)
    space, row_of = _graph_space()
    scored = _scaled(error, latency, (error, latency))
    return Table(name, space, row_of, scored, scored)


@cache
def _graph_space() -> tuple[SearchSpace, npt.NDArray[np.int32]]:
    """The space of NAS-Bench-Graph, and the row of every combination by the benchmark's rules on which networks are equal.

    The table holds one of several spellings of a network; the others are forbidden, which our searchers know and
    others cannot be told. (What repeats a network is not counted for anybody.)
    """
    from nas_bench_graph.architecture import Arch

    with np.load(DATA / "nas_bench_graph" / "nasbenchgraph.npz") as data:
        operations = [str(op) for op in data["op_names"]]
        links = [[int(i) for i in link] for link in data["link_table"]]
        hashes = data["hash"].astype(np.int64)
    row_of_hash = {int(h): i for i, h in enumerate(hashes)}
    row_of = np.full((9,) * 5, -1, dtype=np.int32)
    listed = np.zeros((9,) * 5, dtype=np.bool_)
    for positions in itertools.product(range(9), repeat=5):
        link, *ops = positions
        if any(operations[o] != "skip" for o in ops):
            row_of[positions] = row_of_hash[Arch(links[link], [operations[o] for o in ops]).valid_hash()]
            listed[positions] = hashes[row_of[positions]] == int("".join(map(str, positions)))
    names = ["link", *(f"op{i}" for i in range(1, 5))]
    choices = [["".join(map(str, link)) for link in links], *[operations] * 4]
    space = SearchSpace.build(
        {name: Categorical(*values) for name, values in zip(names, choices, strict=True)},
        forbidden=[
            {names[d]: [choices[d][p] for p in allowed] for d, allowed in rule.items()} for rule in _rules(~listed)
        ],
    )
    return space, row_of


def _rules(excluded: npt.NDArray[np.bool_]) -> list[dict[int, list[int]]]:
    """Returns few rules that strike exactly where ``excluded`` holds, each for one link and some of the operations.

    Short rules come first. The values of a rule's last dimension are joined, then rules that differ in one dimension.
    """
    rules: list[dict[int, list[int]]] = []
    covered = np.zeros_like(excluded)
    for count in range(1, excluded.ndim):
        for others in itertools.combinations(range(1, excluded.ndim), count):
            named = (0, *others)
            free = tuple(d for d in range(excluded.ndim) if d not in named)
            always = excluded.all(axis=free) & ~covered.all(axis=free)
            joined: dict[tuple[int, ...], list[int]] = {}
            for place in np.argwhere(always).tolist():
                joined.setdefault(tuple(place[:-1]), []).append(place[-1])
            alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
            for place, last in joined.items():
                alike.setdefault((place[:-1], tuple(last)), []).append(place[-1])
            for (start, last), middle in alike.items():
                values = [*([v] for v in start), middle, list(last)]
                rules.append(dict(zip(named, values, strict=True)))
            covered |= np.expand_dims(always, free)
    return rules
