"""DAGNN on the neighbour graph of scikit-learn's digits, with few labels: how much depth helps, and what it costs.

    python benchmarks/dagnn.py [--seeds 15] [--epochs 200] [--only TEXT]

Every row is one training: Adam with learning rate 0.01 and weight decay 0.005, hidden width 64, dropout 0.5 (as
Liu, Gao and Ji 2020 used for Cora and CiteSeer), a fixed number of epochs on the whole graph, no early stopping, since all nodes
without a label are test nodes. All rows go to ``benchmarks/results/dagnn.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from automl_graph.blocks import GCN, DAGNNHead, NodeClassifier
from automl_graph.data import NodeData, digits_neighbours
from automl_graph.probes import Smoothness
from automl_graph.propagation import _TracedAdjacency, adjacency
from automl_graph.signal import Graph
from torch import Tensor, nn
from torch.nn import functional as F

from automl.objectives.context import cpu_name

RESULTS: Final = Path(__file__).parent / "results" / "dagnn.json"
HIDDEN: Final = 64
DROPOUT: Final = 0.5
SMOOTHNESS_HOPS: Final = (0, 1, 5, 10, 50, 200)


@dataclass(frozen=True)
class Model:
    """One network of the comparison."""

    name: str
    labels_per_class: int
    build: Callable[[int, int], nn.Module]


@dataclass(frozen=True)
class Row:
    """One training."""

    model: str
    labels_per_class: int
    seed: int
    accuracy: float
    smoothness: float
    parameters: int
    seconds: float


def dagnn(hops: int, gate: str = "sigmoid") -> Callable[[int, int], nn.Module]:
    """Returns a builder of the network of the paper."""
    return lambda inp, classes: DAGNNHead(
        inp, classes, hops=hops, hidden=HIDDEN, mlp_layers=2, dropout=DROPOUT, gate=gate
    )


def gcn(layers: int, *, residual: bool = False) -> Callable[[int, int], nn.Module]:
    """Returns a builder of graph convolutions in a row, where propagation and transformation are entangled."""

    def build(inp: int, classes: int) -> nn.Module:
        widths = [inp, *[HIDDEN] * layers]
        convolutions = [GCN(a, b, residual=residual, dropout=DROPOUT) for a, b in pairwise(widths)]
        return nn.Sequential(*convolutions, NodeClassifier(HIDDEN, classes))

    return build


MODELS: Final = [
    *(Model(f"DAGNN, K = {hops}", 2, dagnn(hops)) for hops in (0, 1, 5, 10, 20, 50, 100, 200)),
    *(Model(f"gate 'last', K = {hops}", 2, dagnn(hops, "last")) for hops in (10, 200)),
    *(Model(f"gate '{gate}', K = 10", 2, dagnn(10, gate)) for gate in ("uniform", "softmax")),
    *(Model(f"GCN, {layers} layers", 2, gcn(layers)) for layers in (2, 10)),
    Model("GCN, 10 layers, residual", 2, gcn(10, residual=True)),
    *(Model(f"DAGNN, K = {hops}", 20, dagnn(hops)) for hops in (0, 10)),
    *(Model(f"GCN, {layers} layers", 20, gcn(layers)) for layers in (2, 10)),
]


def train(model: Model, data: NodeData, seed: int, epochs: int) -> Row:
    """Trains on a seeded choice of labels and tests on all other nodes."""
    started = time.process_time()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    labels = data.y.numpy()
    chosen = [
        rng.permutation(np.flatnonzero(labels == c))[: model.labels_per_class] for c in range(len(data.class_names))
    ]
    known = torch.from_numpy(np.concatenate(chosen))
    test = torch.ones(data.nodes, dtype=torch.bool)
    test[known] = False

    network = model.build(data.x.shape[1], len(data.class_names))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=0.005)
    graph = Graph(data.x, data.edge_index)
    for _ in range(epochs):
        optimiser.zero_grad()
        F.cross_entropy(network(graph)[known], data.y[known]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()
    with torch.no_grad():
        logits: Tensor = network(graph)
    return Row(
        model=model.name,
        labels_per_class=model.labels_per_class,
        seed=seed,
        accuracy=float((logits.argmax(1) == data.y)[test].double().mean()),
        smoothness=Smoothness()(logits),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        seconds=time.process_time() - started,
    )


def smoothness_of_features(data: NodeData) -> dict[str, float]:
    """Returns the smoothness of the pixels after a number of propagations."""
    matrix, x, found = adjacency(data.edge_index, data.nodes), data.x.double(), {}
    for hop in range(max(SMOOTHNESS_HOPS) + 1):
        if hop in SMOOTHNESS_HOPS:
            found[str(hop)] = Smoothness()(x)
        x = matrix.propagate(x, norm="sym", self_loops=True)
    return found


def cost_of_a_hop(data: NodeData, width: int = 10, hops: int = 20, repeats: int = 100) -> dict[str, float]:
    """Returns microseconds of CPU for one of several hops in a row, cached and as it is exported; medians, interleaved."""
    x = torch.randn(data.nodes, width, requires_grad=True)
    matrices = {
        "cached": adjacency(data.edge_index, data.nodes),
        "exported": _TracedAdjacency(data.edge_index, data.nodes),
    }
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, matrix in matrices.items():
            started = time.process_time()
            features = x
            for _ in range(hops):
                features = matrix.propagate(features, norm="sym", self_loops=True)
            forward = time.process_time()
            features.backward(torch.ones_like(features))  # type: ignore[no-untyped-call]
            seconds.setdefault(f"{name}, forward", []).append(forward - started)
            seconds.setdefault(f"{name}, forward and backward", []).append(time.process_time() - started)
    return {name: 1e6 * statistics.median(values) / hops for name, values in seconds.items()}


def table(rows: list[Row]) -> str:
    """Returns mean and standard deviation over the seeds, as Markdown."""
    lines = [
        "| model | labels/class | seeds | accuracy % | smoothness | parameters | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.labels_per_class), []).append(row)
    for (name, labels), group in groups.items():
        accuracy = [100 * row.accuracy for row in group]
        spread = statistics.stdev(accuracy) if len(group) > 1 else float("nan")
        lines.append(
            f"| {name} | {labels} | {len(group)} | {statistics.mean(accuracy):.1f} ± {spread:.1f} | "
            f"{statistics.mean(row.smoothness for row in group):.2f} | {group[0].parameters} | "
            f"{statistics.mean(row.seconds for row in group):.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs all models over all seeds, writes the rows after each seed and prints their table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--only", default="", help="run the models whose name contains this text, and write nothing")
    arguments = parser.parse_args()
    data = digits_neighbours()
    content = {
        "context": {
            "cpu": cpu_name(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "epochs": arguments.epochs,
        },
        "smoothness_of_features": smoothness_of_features(data),
        "microseconds_of_a_hop": cost_of_a_hop(data),
    }
    rows: list[Row] = []
    for seed in range(arguments.seeds):
        for model in MODELS:
            if arguments.only in model.name:
                rows.append(train(model, data, seed, arguments.epochs))
                print(rows[-1], flush=True)
        if not arguments.only:
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(
                json.dumps({**content, "rows": [asdict(r) for r in rows]}, indent=1) + "\n", encoding="utf-8"
            )
    print(table(rows))
    for key in ("smoothness_of_features", "microseconds_of_a_hop"):
        print(key, content[key])


if __name__ == "__main__":
    main()
