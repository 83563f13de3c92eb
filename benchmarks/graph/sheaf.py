"""Sheaf diffusion on a bipartite random graph, where neighbours always differ in class: what a sheaf adds to a graph.

    python benchmarks/graph/sheaf.py [--seeds 5] [--steps 400]

Two sides of 100 nodes, edges between them with probability 0.06, largest component; two normal features, shifted by 0.5 on one
side. The features are diffused by two sheaves given by hand, then a logistic classifier is fitted to them. After that sheaves of
one number for each end of an edge are learned, as free numbers and by gradient through diffusion of the features and a linear
classifier of all nodes: ``any`` numbers, or ``symmetric`` ones, equal at both ends, which are the weighted graph Laplacians.
Last, ``graph.sheaf`` learns maps from the features, trained on half of the nodes and tested on the others, against graph
convolution. Rows go to ``benchmarks/results/graph/sheaf.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import networkx
import numpy as np
import torch
from automl_graph.blocks import GCN, Sheaf
from automl_graph.sheaf import NodePairs, SheafLaplacian, build_laplacian, node_pairs
from automl_graph.signal import Graph
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic import specialise

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "sheaf.jsonl"
SIDE: Final = 100
PROBABILITY: Final = 0.06
SHIFT: Final = 0.5
TIMES: Final = (0, 1, 5, 20, 100, 1000)
DIFFUSION_TIME: Final = 20
"""Of the learned free sheaves."""


def bipartite(seed: int) -> tuple[NodePairs, Tensor, Tensor]:
    """Returns pairs, features ``(nodes, 2)`` and the side of each node ``(nodes,)``."""
    rng = np.random.default_rng(seed)
    graph = networkx.bipartite.random_graph(SIDE, SIDE, PROBABILITY, seed=seed)
    kept = sorted(max(networkx.connected_components(graph), key=len))
    graph = networkx.convert_node_labels_to_integers(graph.subgraph(kept), ordering="sorted")
    side = torch.tensor([int(node >= SIDE) for node in kept])
    x = torch.from_numpy(rng.normal(size=(len(kept), 2))) + SHIFT * side[:, None]
    return node_pairs(torch.tensor(list(graph.edges)).T, len(kept)), x, side


def given_sheaf(pairs: NodePairs, node_signs: Tensor) -> SheafLaplacian:
    """Returns the Laplacian whose map of a node is its sign, whatever the edge."""
    signs = node_signs.double()[:, None]
    return build_laplacian(pairs, signs[pairs.first], signs[pairs.second], normalisation="symmetric")


def diffused(laplacian: SheafLaplacian, x: Tensor, time: float) -> Tensor:
    """Returns the exact solution of ``dX/dt = -Delta X``."""
    values, vectors = torch.linalg.eigh(laplacian.dense())
    return vectors @ ((-time * values).exp()[:, None] * (vectors.T @ x))


def separability(x: Tensor, side: Tensor) -> float:
    """Returns the accuracy of a logistic classifier on the features, scaled to a deviation of 1, that it was fitted to."""
    scaled = ((x - x.mean(0)) / x.std(0).clamp(min=1e-300)).numpy()
    return float(LogisticRegression(C=1e4, max_iter=1000).fit(scaled, side).score(scaled, side))


def given(seed: int) -> dict[str, Row]:
    """Returns the accuracy after diffusion on sheaves that are given by hand."""
    pairs, x, side = bipartite(seed)
    signs = {"trivial": torch.ones(pairs.nodes), "signs of the sides": 2 * side - 1}
    sheaves = {name: given_sheaf(pairs, sign) for name, sign in signs.items()}
    return {
        name: {"accuracy_at": {str(time): separability(diffused(sheaf, x, time), side) for time in TIMES}}
        for name, sheaf in sheaves.items()
    }


def free(seed: int, kind: str, steps: int) -> Row:
    """Learns the numbers of a sheaf with the classifier behind it; nothing is held out, as with the given ones."""
    pairs, x, side = bipartite(seed)
    torch.manual_seed(seed)
    maps = nn.Parameter(torch.randn(2 if kind == "any" else 1, len(pairs.first), 1, dtype=torch.float64))
    weights = nn.Parameter(torch.randn(2, dtype=torch.float64))
    bias = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimiser = torch.optim.Adam([maps, weights, bias], lr=0.05)
    target = side.double()
    for _ in range(steps):
        laplacian = build_laplacian(pairs, maps[0], maps[-1], normalisation="augmented")
        # (1 + L)^-T, the implicit Euler steps of the same diffusion: no eigenvectors to differentiate.
        operator = torch.linalg.inv(torch.eye(pairs.nodes, dtype=torch.float64) + laplacian.dense())
        found = torch.linalg.matrix_power(operator, DIFFUSION_TIME) @ x
        scaled = (found - found.mean(0)) / found.std(0).clamp(min=1e-12)
        loss = F.binary_cross_entropy_with_logits(scaled @ weights + bias, target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        return {
            "accuracy": separability(found.detach(), side),
            "negative_transports": float((maps[0] * maps[-1] < 0).double().mean()),
        }


class Last(nn.Module):
    """Logits of two classes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2)

    def forward(self, graph: Graph) -> Tensor:
        """Returns one row for each node."""
        logits: Tensor = self.linear(graph.x)
        return logits


NETWORKS: Final[dict[str, Callable[[], nn.Module]]] = {
    "graph.gcn": lambda: nn.Sequential(*(GCN(2 if i == 0 else 16, 16, dropout=0.0) for i in range(2)), Last(16)),
    **{
        f"graph.sheaf, {kind}": (
            lambda kind=kind, stalk=stalk: nn.Sequential(  # type: ignore[misc]
                Sheaf(2, 16, map_type=kind, stalk=stalk, layers=4, hidden=16), Last(16)
            )
        )
        for kind, stalk in (("identity", 1), ("scalar", 1), ("diag", 2), ("bundle", 2), ("general", 2))
    },
}


def learned(seed: int, name: str, steps: int) -> Row:
    """Trains a network on half of the nodes and tests it on the others."""
    pairs, x, side = bipartite(seed)
    edges = torch.stack([torch.cat([pairs.first, pairs.second]), torch.cat([pairs.second, pairs.first])])
    graph = Graph(x.float(), edges)
    order = torch.randperm(pairs.nodes, generator=torch.Generator().manual_seed(seed))
    train, test = order[: pairs.nodes // 2], order[pairs.nodes // 2 :]
    torch.manual_seed(seed)
    network = specialise(NETWORKS[name]())
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=5e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(network(graph)[train], side[train]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()
    with torch.no_grad():
        right = (network(graph).argmax(1) == side).double()
    return {"train": float(right[train].mean()), "test": float(right[test].mean())}


def table(rows: Sequence[Row]) -> str:
    """Returns means and deviations over the seeds, one line for each sheaf."""
    lines = []
    for part, name in dict.fromkeys((row["part"], row["sheaf"]) for row in rows):
        group = [row for row in rows if (row["part"], row["sheaf"]) == (part, name)]
        if part == "given":
            values = {f"t = {time}": [row["accuracy_at"][time] for row in group] for time in group[0]["accuracy_at"]}
        else:
            numbers = [key for key, value in group[0].items() if isinstance(value, float)]
            values = {key: [row[key] for row in group] for key in numbers}
        shown = ", ".join(f"{key} {statistics.mean(v):.3f} ± {statistics.pstdev(v):.3f}" for key, v in values.items())
        lines.append(f"{part}, {name} ({len(group)}): {shown}")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    for seed in range(arguments.seeds):
        if rows.find({"part": "given", "seed": seed}) is None:
            for name, found in given(seed).items():
                rows.add({"part": "given", "sheaf": name, "seed": seed, **found})
        parts = [("free", kind, free) for kind in ("any", "symmetric")] + [
            ("block", name, learned) for name in NETWORKS
        ]
        for part, name, run in parts:
            key = {"part": part, "sheaf": name, "seed": seed, "steps": arguments.steps}
            if rows.find(key) is None:
                rows.add({**key, **run(seed, name, arguments.steps), "machine": machine()})
                print({**rows.all[-1], "machine": None}, flush=True)
    print(table(rows.all))


if __name__ == "__main__":
    main()
