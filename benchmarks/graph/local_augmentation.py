"""Local augmentation on the three-nearest-neighbour graph of digits, with its controls.

    python benchmarks/graph/local_augmentation.py [--seeds 4] [--steps 3000] [--epochs 200] [--arms plain generator self noise]

Two labels per class, 300 validation nodes. Two convolutions, the second of which gives the classes, with dropout before each. All
arms but ``plain`` (width 32) have two branches of width 16 in the first and train with the same number of draws and weight of
consistency; they differ in what enters the second branch. A gain that ``self`` shows
as well comes from consistency, not from the generator. Rows go to ``benchmarks/results/graph/local_augmentation.jsonl`` as they
are measured, and those that are there are not repeated.
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

import copy

import numpy as np
import torch
from automl_graph.blocks import GCN
from automl_graph.blocks.local_conv import SymmetricConv
from automl_graph.local_augmentation import AugmentedLayer, GeneratorOptions, consistency_loss, train_generator
from automl_graph.signal import Graph
from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "local_augmentation.jsonl"
DRAWS: Final = 4


class Dropped(nn.Module):
    """A block on features of which half are dropped in training."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, graph: Graph) -> Graph:
        """Returns what the block does."""
        return self.block(graph._replace(x=F.dropout(graph.x, training=self.training)))


class TwoLayers(nn.Module):
    """A first layer of width 32, which drops half of what it gives, then a convolution to the classes."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.last = SymmetricConv(32, 10)

    def forward(self, graph: Graph) -> Tensor:
        """Returns logits."""
        hidden = self.first(graph)
        return self.last(hidden.x, hidden.edge_index)


class Noise(nn.Module):
    """Uniform numbers of the shape of the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns new numbers."""
        return torch.rand_like(x)


def digits() -> tuple[Graph, Tensor]:
    """The graph and all labels."""
    data = load_digits()
    near = kneighbors_graph(data.data, 3)
    linked = near.maximum(near.T).tocoo()
    edges = torch.stack([torch.from_numpy(linked.row), torch.from_numpy(linked.col)]).long()
    return Graph(torch.tensor(data.data / 16).float(), edges), torch.from_numpy(data.target)


def split(y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two training nodes of each class, 300 for validation, the rest for the test."""
    order = np.random.default_rng(seed).permutation(len(y))
    labels = y.numpy()[order]
    train = np.concatenate([order[labels == label][:2] for label in range(10)])
    rest = order[~np.isin(order, train)]
    return torch.from_numpy(train), torch.from_numpy(rest[:300]), torch.from_numpy(rest[300:])


def accuracy(make: Callable[[], nn.Module], draws: int, graph: Graph, y: Tensor, seed: int, epochs: int) -> float:
    """Trains one network; returns the test accuracy at the best validation loss."""
    train, validation, test = split(y, seed)
    torch.manual_seed(seed)
    network = make()
    learnt = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learnt, lr=0.01, weight_decay=5e-4)
    best, kept = float("inf"), copy.deepcopy(network.state_dict())
    for _ in range(epochs):
        network.train()
        outputs = [network(graph) for _ in range(draws)]
        loss = torch.stack([F.cross_entropy(o[train], y[train]) for o in outputs]).mean()
        if draws > 1:
            loss = loss + consistency_loss([o.softmax(1) for o in outputs], 0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        network.eval()
        with torch.no_grad():
            found = float(F.cross_entropy(network(graph)[validation], y[validation]))
        if found < best:
            best, kept = found, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    network.eval()
    with torch.no_grad():
        return float((network(graph)[test].argmax(1) == y[test]).float().mean())


def main() -> None:
    """Trains the generator, then all arms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--arms", nargs="+", default=["plain", "generator", "self", "noise"])
    arguments = parser.parse_args()
    graph, y = digits()
    generator, record = train_generator(graph.x, graph.edge_index, GeneratorOptions(steps=arguments.steps))
    source, target = graph.edge_index
    means = torch.zeros_like(graph.x).index_add(0, target, graph.x[source])
    means = means / torch.bincount(target, minlength=len(means))[:, None]
    made = generator(graph.x)
    cosines = {
        "same node": torch.cosine_similarity(made, means).mean().item(),
        "other node": torch.cosine_similarity(made, means[torch.randperm(len(means))]).mean().item(),
        "own features": torch.cosine_similarity(graph.x, means).mean().item(),
    }
    print(record, {name: round(value, 3) for name, value in cosines.items()}, flush=True)

    def augmented(source: nn.Module) -> nn.Module:
        return TwoLayers(AugmentedLayer(source, lambda: Dropped(GCN(64, 16, residual=False))))

    arms: dict[str, tuple[Callable[[], nn.Module], int]] = {
        "plain": (
            lambda: TwoLayers(Dropped(GCN(64, 32, residual=False))),
            1,
        ),
        "generator": (lambda: augmented(copy.deepcopy(generator)), DRAWS),
        "self": (lambda: augmented(nn.Identity()), DRAWS),
        "noise": (lambda: augmented(Noise()), DRAWS),
    }
    rows, settings = Rows(arguments.results), {"steps": arguments.steps, "epochs": arguments.epochs}
    if rows.find({"arm": "cosines", **settings}) is None:
        rows.add({"arm": "cosines", **settings, **record._asdict(), **cosines})
    for seed in range(arguments.seeds):
        for name in arguments.arms:
            key = {"arm": name, "seed": seed, **settings}
            if rows.find(key) is not None:
                continue
            started = time.process_time()
            test = accuracy(*arms[name], graph, y, seed, arguments.epochs)
            rows.add({**key, "test": test, "seconds": time.process_time() - started, "machine": machine()})
            print(f"{name}, seed {seed}: {test:.4f}", flush=True)
    for name in arms:
        scores = [row["test"] for row in rows.where({"arm": name, **settings})]
        if scores:
            print(f"{name:10} {statistics.mean(scores):.4f}", [round(score, 3) for score in scores])


if __name__ == "__main__":
    main()
