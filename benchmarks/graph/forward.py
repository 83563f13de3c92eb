"""Memory and accuracy of forward learning against backpropagation, by depth.

    python benchmarks/graph/forward.py [--depths 2 4 8 16] [--epochs 150] [--seeds 1] [--data digits] [--variant sf] [--rate .001]

On the five-nearest-neighbour graph of scikit-learn's digits, or on a graph that node classification reads, such as a folder
``planetoid/cora``, whose rows of features are scaled to a length of 1. 64, 16 and 20 per cent of the nodes are for training,
validation and test; layers have a width of 128. Memory is the largest number of bytes that autograd holds for backward passes
at one time, shared storage counted once; parameters and optimiser are not in it. Rows go to
``benchmarks/results/graph/forward.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.data import load_graph
from automl_graph.forward_learning import CachedGCN, ForwardOptions, LabelledGraph, train_forward
from automl_graph.forward_learning.options import VARIANTS
from automl_graph.signal import Graph
from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "forward.jsonl"
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


def read(data: str) -> tuple[LabelledGraph, Tensor, Tensor, Tensor]:
    """Graph, all labels, validation and test nodes; 64, 16 and 20 per cent."""
    if data == "digits":
        return digits()
    raw = load_graph(Path(data))
    if raw is None:
        raise SystemExit(f"{data}: no such graph")
    graph = raw.finish()
    train, validation, test = shuffled(graph.nodes)
    x = F.normalize(graph.x, dim=1)  # as forward learning does itself, so that both get the same
    return LabelledGraph(x, graph.edge_index, graph.y[train], train, len(graph.class_names)), graph.y, validation, test


def shuffled(nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes of the three parts."""
    train, validation = round(0.64 * nodes), round(0.16 * nodes)
    order = torch.randperm(nodes, generator=torch.Generator().manual_seed(0))
    return order[:train], order[train : train + validation], order[train + validation :]


def digits() -> tuple[LabelledGraph, Tensor, Tensor, Tensor]:
    """The five nearest neighbours of each digit."""
    data = load_digits()
    near = kneighbors_graph(data.data, 5)
    linked = near.maximum(near.T).tocoo()
    edges = torch.stack([torch.from_numpy(linked.row), torch.from_numpy(linked.col)]).long()
    y = torch.from_numpy(data.target)
    train, validation, test = shuffled(len(y))
    return LabelledGraph(torch.tensor(data.data / 16).float(), edges, y[train], train, 10), y, validation, test


def backpropagated(graph: LabelledGraph, depth: int, epochs: int, rate: float, seed: int) -> Tensor:
    """Trains the same layers and a linear classifier end to end; returns logits."""
    torch.manual_seed(seed)
    widths = [graph.x.shape[1], *[WIDTH] * depth]
    layers = nn.Sequential(*(CachedGCN(a, b) for a, b in pairwise(widths)))
    head = nn.Linear(WIDTH, graph.classes)
    optimiser = torch.optim.Adam([*layers.parameters(), *head.parameters()], lr=rate, weight_decay=5e-4)
    for _ in range(epochs):
        loss = F.cross_entropy(head(layers(Graph(graph.x, graph.edge_index)).x)[graph.train], graph.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return head(layers(Graph(graph.x, graph.edge_index)).x)


def measure(data: str, variant: str, rate: float, depth: int, seed: int, epochs: int) -> Row:
    """Trains both networks of one depth."""
    graph, y, validation, test = read(data)
    options = ForwardOptions(
        variant=variant, layers=depth, hidden=WIDTH, epochs=epochs, validate_every=5, learning_rate=rate, seed=seed
    )
    started = time.process_time()
    with measured() as forward:
        network = train_forward(graph, validation, y[validation], options=options)
    middle = time.process_time()
    with measured() as backward:
        logits = backpropagated(graph, depth, epochs, rate, seed)
    ended = time.process_time()
    right = [float((s[test].argmax(1) == y[test]).float().mean()) for s in (network.scores(test), logits)]
    return {
        "forward_bytes": forward.most,
        "backward_bytes": backward.most,
        "forward_accuracy": right[0],
        "backward_accuracy": right[1],
        "forward_seconds": middle - started,
        "backward_seconds": ended - middle,
    }


def table(rows: Sequence[Row]) -> str:
    """Returns bytes, accuracy and time by depth, as Markdown."""
    lines = ["| layers | forward MB | backpropagation MB | forward % | backpropagation % | CPU s |", "|---" * 6 + "|"]
    for depth in sorted({row["depth"] for row in rows}):
        mean = {
            name: statistics.mean(row[name] for row in rows if row["depth"] == depth)
            for name in rows[0]
            if name.startswith(("forward", "backward"))
        }
        lines.append(
            f"| {depth} | {mean['forward_bytes'] / 1e6:.2f} | {mean['backward_bytes'] / 1e6:.2f} | "
            f"{100 * mean['forward_accuracy']:.1f} | {100 * mean['backward_accuracy']:.1f} | "
            f"{mean['forward_seconds']:.1f}, {mean['backward_seconds']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--variant", default="sf", choices=VARIANTS)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    settings = {
        "data": Path(arguments.data).name,
        "variant": arguments.variant,
        "rate": arguments.rate,
        "epochs": arguments.epochs,
    }
    for seed in range(arguments.seeds):
        for depth in arguments.depths:
            key = {**settings, "depth": depth, "width": WIDTH, "seed": seed}
            if rows.find(key) is None:
                measured_row = measure(arguments.data, arguments.variant, arguments.rate, depth, seed, arguments.epochs)
                rows.add({**key, **measured_row, "machine": machine()})
                print(rows.all[-1], flush=True)
    print(table(rows.where(settings)))


if __name__ == "__main__":
    main()
