"""Can a network carry a class to the other side of a ring? Graph Mamba against message passing of three layers.

    python benchmarks/graph/ring_transfer.py [--rings 1000] [--epochs 30] [--seeds 1]

In rings of 12 to 20 nodes one node carries one of five classes, and the marked node opposite to it must give the class. Three
layers of message passing reach 3 hops and the distance is at least 6, so they stay at chance, 20 %. Rows go to
``benchmarks/results/graph/ring_transfer.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.blocks import GMN, SAGE
from automl_graph.signal import Graph
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "ring_transfer.jsonl"
CLASSES: Final = 5


def rings(count: int, generator: torch.Generator) -> tuple[Graph, Tensor, Tensor]:
    """Returns rings, the marked nodes and their classes; nodes are numbered at random within their ring."""
    features, edges, batch, marked, classes = [], [], [], [], []
    start = 0
    for ring in range(count):
        nodes = 2 * int(torch.randint(6, 11, (), generator=generator))
        number = torch.randperm(nodes, generator=generator)
        label = int(torch.randint(CLASSES, (), generator=generator))
        x = torch.zeros(nodes, CLASSES + 2)
        x[:, -1] = 1
        x[number[0], label] = 1
        x[number[nodes // 2], CLASSES] = 1
        following = number.roll(-1)
        edges.append(start + torch.stack([torch.cat([number, following]), torch.cat([following, number])]))
        features.append(x)
        batch.append(torch.full((nodes,), ring))
        marked.append(start + int(number[nodes // 2]))
        classes.append(label)
        start += nodes
    graph = Graph(torch.cat(features), torch.cat(edges, dim=1), torch.cat(batch))
    return graph, torch.tensor(marked), torch.tensor(classes)


def accuracy(network: nn.Module, count: int, epochs: int, seed: int) -> float:
    """Trains on rings and returns the accuracy on as many new ones, in percent."""
    generator = torch.Generator().manual_seed(seed)
    batches = [rings(50, generator) for _ in range(count // 50)]
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=epochs * len(batches))
    network.train()
    for _ in range(epochs):
        for graph, marked, classes in batches:
            optimiser.zero_grad()
            F.cross_entropy(network(graph).x[marked], classes).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    network.eval()
    graph, marked, classes = rings(500, generator)
    with torch.no_grad():
        return 100 * float((network(graph).x[marked].argmax(1) == classes).double().mean())


def main() -> None:
    """Runs what is missing and prints one line for each training."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rings", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", default="", help="run the networks whose name contains this text")
    arguments = parser.parse_args()
    inp = CLASSES + 2
    fixed = {"hidden": 32, "expand": 1, "states": 8, "layers": 2, "mpnn": "none"}
    networks: dict[str, Callable[[], nn.Module]] = {
        "SAGE, 3 layers": lambda: nn.Sequential(
            SAGE(inp, 32, dropout=0, residual=False),
            SAGE(32, 32, dropout=0, residual=False),
            SAGE(32, CLASSES, dropout=0, residual=False),
        ),
        "GMN, both directions": lambda: GMN(inp, CLASSES, direction="bi", **fixed),
        "GMN, forward only": lambda: GMN(inp, CLASSES, direction="forward", **fixed),
    }
    rows = Rows(arguments.results)
    for seed in range(arguments.seeds):
        for name, build in networks.items():
            key = {"network": name, "rings": arguments.rings, "epochs": arguments.epochs, "seed": seed}
            if arguments.only not in name or rows.find(key) is not None:
                continue
            torch.manual_seed(seed)
            started = time.process_time()
            found = accuracy(build(), arguments.rings, arguments.epochs, seed)
            rows.add({**key, "test": found, "seconds": time.process_time() - started, "machine": machine()})
    for row in rows.where({"rings": arguments.rings, "epochs": arguments.epochs}):
        print(f"{row['network']}, seed {row['seed']}: {row['test']:.1f} % of new rings, {row['seconds']:.0f} s of CPU")


if __name__ == "__main__":
    main()
