"""TANGNN on a planted long-range task and on the neighbour graph of scikit-learn's digits.

    python benchmarks/graph/tangnn.py [--seeds 3] [--epochs 100] [--only TEXT]

Planted: a ring of 20 cliques with 10 nodes each. The nodes of one clique, the oracles, each hold a key and the class that this
key stands for; all other nodes hold a key only. Four keys stand for four classes in an order that is drawn anew in every
graph, so a node must look its key up among the oracles, mostly more than six hops away, and counting classes does not help. A
selection is drawn at random and a gate learns only from nodes that are selected already, so the lines with ``oracles selected``
score by the flag of the oracles, and show what tokens are for; those with ``gated`` must find the oracles as well. Digits: five
labels per class; TANGNN must not fall below GraphSAGE alone. Times are CPU times of a forward and backward pass of the Top-m
branch for N nodes, as ratios to the smallest N. Rows go to ``benchmarks/results/graph/tangnn.jsonl`` as they are measured, and
those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.blocks import SAGE, TANGNN
from automl_graph.blocks.top_tokens import AuxiliaryVector, TopTokens
from automl_graph.data import digits_neighbours
from automl_graph.signal import Graph
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "tangnn.jsonl"
CLIQUES, MEMBERS = 20, 10
KEYS = CLASSES = 4
SIZES: Final = (500, 1000, 2000)


def ring_of_cliques() -> Tensor:
    """Returns both directions of all edges; neighbouring cliques are linked by one edge."""
    edges = []
    for clique in range(CLIQUES):
        first = clique * MEMBERS
        edges += [(first + i, first + j) for i in range(MEMBERS) for j in range(MEMBERS) if i != j]
        following = (first + MEMBERS) % (CLIQUES * MEMBERS)
        edges += [(first, following), (following, first)]
    return torch.tensor(edges).T


def planted(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Returns features (oracle, key, class if oracle) and the class of every node."""
    nodes = CLIQUES * MEMBERS
    meaning = torch.randperm(CLASSES, generator=generator)
    keys = torch.randint(KEYS, (nodes,), generator=generator)
    home = MEMBERS * int(torch.randint(CLIQUES, (), generator=generator))
    keys[home : home + MEMBERS] = torch.arange(MEMBERS) % KEYS
    x = torch.zeros(nodes, 1 + KEYS + CLASSES)
    x[torch.arange(nodes), 1 + keys] = 1
    oracles = torch.arange(home, home + MEMBERS)
    x[oracles, 0] = 3
    x[oracles, 1 + KEYS + meaning[keys[oracles]]] = 1
    return x, meaning[keys]


def on_planted(network: nn.Module, epochs: int, seed: int) -> float:
    """Trains on fresh graphs and returns the accuracy on 20 others, oracles left out, in percent."""
    generator, edges = torch.Generator().manual_seed(seed), ring_of_cliques()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(12 * epochs):
        x, y = planted(generator)
        optimiser.zero_grad()
        F.cross_entropy(network(Graph(x, edges)).x, y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()
    right = []
    with torch.no_grad():
        for _ in range(20):
            x, y = planted(generator)
            right.append((network(Graph(x, edges)).x.argmax(1) == y)[x[:, 0] == 0].double().mean())
    return 100 * float(torch.stack(right).mean())


def on_digits(network: nn.Module, epochs: int, seed: int) -> float:
    """Trains on five labels of each class and returns the accuracy on all other nodes, in percent."""
    data, generator = digits_neighbours(), torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(data.nodes, generator=generator)
    known = torch.cat([shuffled[data.y[shuffled] == c][:5] for c in range(10)])
    test = torch.ones(data.nodes, dtype=torch.bool)
    test[known] = False
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3, weight_decay=1e-4)
    graph = Graph(data.x, data.edge_index)
    for _ in range(epochs):
        optimiser.zero_grad()
        F.cross_entropy(network(graph).x[known], data.y[known]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()
    with torch.no_grad():
        return 100 * float((network(graph).x.argmax(1) == data.y)[test].double().mean())


def time_ratios(mode: str, sizes: tuple[int, ...] = SIZES, repeats: int = 15) -> list[float]:
    """Returns medians for growing numbers of nodes as ratios to the smallest, sizes interleaved."""
    branch = TopTokens(32, 32, count=20, mode=mode)
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(repeats):
        for size in sizes:
            x = torch.randn(size, 32, requires_grad=True)
            started = time.process_time()
            branch(x).sum().backward()
            seconds[size].append(time.process_time() - started)
    return [statistics.median(seconds[size]) / statistics.median(seconds[sizes[0]]) for size in sizes]


def sage(inp: int, out: int) -> nn.Module:
    """Returns two layers of GraphSAGE."""
    return nn.Sequential(
        SAGE(inp, 32, dropout=0.3, residual=False), SAGE(32, 32, dropout=0.3, residual=False), _Last(out)
    )


def with_oracles_selected(network: nn.Module) -> nn.Module:
    """Returns the network after its first scores were turned towards the flag of the oracles, feature 0."""
    first = next(module for module in network.modules() if isinstance(module, AuxiliaryVector))
    first.vector.copy_(F.one_hot(torch.tensor(0), len(first.vector)))
    return network


class _Last(nn.Module):
    def __init__(self, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(32, out)

    def forward(self, graph: Graph) -> Graph:
        return graph._replace(x=self.linear(graph.x))


def main() -> None:
    """Prints one line for each task and network, then the ratios of times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", default="", help="run the lines whose name contains this text")
    arguments = parser.parse_args()

    def tangnn(
        mode: str, dropout: float, aux: str, layers: int = 2, *, bare: bool = False
    ) -> Callable[[int, int], nn.Module]:
        more = {"mode": mode, "aux": aux, "dropout": dropout, "feed_forward": not bare}
        return lambda inp, out: TANGNN(inp, out, hidden=32, layers=layers, m=20, heads=1, **more)

    def selecting(mode: str) -> Callable[[int, int], nn.Module]:
        return lambda inp, out: with_oracles_selected(tangnn(mode, 0.0, "random_fixed", layers=1)(inp, out))

    lines = [
        ("planted, SAGE", on_planted, 1 + KEYS + CLASSES, CLASSES, sage),
        *(
            (f"planted, TANGNN {mode}, oracles selected", on_planted, 1 + KEYS + CLASSES, CLASSES, selecting(mode))
            for mode in ("cross", "broadcast")
        ),
        *(
            (f"planted, TANGNN {mode}, gated", on_planted, 1 + KEYS + CLASSES, CLASSES, tangnn(mode, 0.0, "gated"))
            for mode in ("cross", "broadcast", "window")
        ),
        ("digits, SAGE", on_digits, 64, 10, sage),
        *(
            (f"digits, TANGNN {mode}", on_digits, 64, 10, tangnn(mode, 0.3, "random_fixed"))
            for mode in ("cross", "broadcast")
        ),
        *(
            (f"digits, TANGNN {mode}, bare attention", on_digits, 64, 10, tangnn(mode, 0.3, "random_fixed", bare=True))
            for mode in ("cross", "broadcast")
        ),
    ]
    rows = Rows(arguments.results)
    for name, run, inp, out, build in lines:
        for seed in range(arguments.seeds if arguments.only in name else 0):
            key = {"line": name, "seed": seed, "epochs": arguments.epochs}
            if rows.find(key) is not None:
                continue
            torch.manual_seed(seed)
            started = time.process_time()
            test = run(build(inp, out), arguments.epochs, seed)  # type: ignore[operator]
            rows.add({**key, "test": test, "seconds": time.process_time() - started, "machine": machine()})
            print(f"{name}, seed {seed}: {test:.1f} %", flush=True)
    for mode in ("cross", "broadcast", "window") if arguments.only in "time" else ():
        if rows.find({"line": f"time, {mode}"}) is None:
            rows.add({"line": f"time, {mode}", "nodes": SIZES, "ratios": time_ratios(mode), "machine": machine()})
    for line in dict.fromkeys(row["line"] for row in rows.all):
        found = rows.where({"line": line})
        if "ratios" in found[0]:
            print(f"{line} for {', '.join(map(str, SIZES))} nodes:", [round(ratio, 2) for ratio in found[0]["ratios"]])
            continue
        found = [row for row in found if row["epochs"] == arguments.epochs]
        if found:
            scores = " ".join(f"{row['test']:.1f}" for row in found)
            print(f"{line}: {scores} %, {statistics.mean(row['seconds'] for row in found):.0f} s of CPU each")


if __name__ == "__main__":
    main()
