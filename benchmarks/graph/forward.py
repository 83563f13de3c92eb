"""Memory and accuracy of forward learning against backpropagation, by depth.

    python benchmarks/graph/forward.py [--depths 2 4 8 16] [--epochs 30]

On the five-nearest-neighbour graph of scikit-learn's digits, with layers of width 128. Memory is the largest number of bytes that
autograd holds for backward passes at one time, shared storage counted once; parameters and optimiser are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.forward_learning import CachedGCN, ForwardOptions, LabelledGraph, train_forward
from automl_graph.signal import Graph
from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph
from torch import Tensor, nn
from torch.nn import functional as F

from automl.atomic_write import write_atomically

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "forward.json"
WIDTH: Final = 128


class Peak:
    """Bytes held for backward passes: now, and at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._held: dict[int, int] = {}

    def add(self, tensor: Tensor) -> Tensor:
        """Counts a saved tensor until its alias dies with the graph that holds it."""
        alias, key = tensor.detach(), tensor.untyped_storage().data_ptr()
        self._held[key] = self._held.get(key, 0) + 1
        size = tensor.untyped_storage().nbytes()
        if self._held[key] == 1:
            self.now += size
            self.most = max(self.most, self.now)
        weakref.finalize(alias, self._drop, key, size)
        return alias

    def _drop(self, key: int, size: int) -> None:
        self._held[key] -= 1
        if not self._held[key]:
            self.now -= size
            del self._held[key]


@contextmanager
def measured() -> Iterator[Peak]:
    """Counts what is saved inside."""
    peak = Peak()
    with torch.autograd.graph.saved_tensors_hooks(peak.add, lambda tensor: tensor):
        yield peak


def digits() -> tuple[LabelledGraph, Tensor, Tensor, Tensor]:
    """Graph, all labels, validation and test nodes; 64, 16 and 20 per cent."""
    data = load_digits()
    near = kneighbors_graph(data.data, 5)
    linked = near.maximum(near.T).tocoo()
    edges = torch.stack([torch.from_numpy(linked.row), torch.from_numpy(linked.col)]).long()
    y = torch.from_numpy(data.target)
    train, validation, test = torch.randperm(1797, generator=torch.Generator().manual_seed(0)).split([1150, 287, 360])
    return LabelledGraph(torch.tensor(data.data / 16).float(), edges, y[train], train, 10), y, validation, test


def backpropagated(graph: LabelledGraph, depth: int, epochs: int) -> Tensor:
    """Trains the same layers and a linear classifier end to end; returns logits."""
    torch.manual_seed(0)
    widths = [graph.x.shape[1], *[WIDTH] * depth]
    layers = nn.Sequential(*(CachedGCN(a, b) for a, b in pairwise(widths)))
    head = nn.Linear(WIDTH, graph.classes)
    optimiser = torch.optim.Adam([*layers.parameters(), *head.parameters()], lr=1e-3, weight_decay=5e-4)
    for _ in range(epochs):
        loss = F.cross_entropy(head(layers(Graph(graph.x, graph.edge_index)).x)[graph.train], graph.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return head(layers(Graph(graph.x, graph.edge_index)).x)


def main() -> None:
    """Measures all depths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    graph, y, validation, test = digits()
    rows = []
    for depth in arguments.depths:
        options = ForwardOptions(layers=depth, hidden=WIDTH, epochs=arguments.epochs, validate_every=5)
        with measured() as forward:
            network = train_forward(graph, validation, y[validation], options=options)
        with measured() as backward:
            logits = backpropagated(graph, depth, arguments.epochs)
        right = [float((s[test].argmax(1) == y[test]).float().mean()) for s in (network.scores(test), logits)]
        row = {
            "depth": depth,
            "forward_bytes": forward.most,
            "backward_bytes": backward.most,
            "ratio": round(backward.most / forward.most, 2),
            "forward_accuracy": round(right[0], 4),
            "backward_accuracy": round(right[1], 4),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(RESULTS, json.dumps({"epochs": arguments.epochs, "width": WIDTH, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
