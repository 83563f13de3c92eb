"""Weight sharing of Auto-GNN: do children that inherit weights rank as they do when each is trained alone?

    python benchmarks/graph/autognn_sharing.py [--seeds 3] [--children 14] [--steps 8] [--passes 3] [--full 60]

Two layers ``graph.autognn_layer`` with two heads of eight features on a stochastic block model (600 nodes, five classes, weak
features); attention function, aggregation and activation of each layer are searched. In each of several passes
every child trains for a few steps, in a random order, on the weights it shares: ``relaxed`` all with all, ``constrained`` in
each layer those of equal attention function and activation, ``none`` with itself alone. In the last pass its validation
accuracy is taken, as a search would. The score is the rank correlation of these accuracies with the test accuracies of the
same children, each trained alone for ``--full`` steps (mean of two starts, best step by validation). Rows go to
``benchmarks/results/graph/autognn_sharing.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from automl_graph.blocks import AutoGNNLayer
from automl_graph.data.node_data import NodeData
from automl_graph.signal import Graph
from automl_graph.standalone import Recipe, train_alone
from automl_graph.tasks import NodeClassification
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn
from torch_geometric.utils import stochastic_blockmodel_graph

from automl.space import Architecture
from automl.supernet import Supernet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "autognn_sharing.jsonl"
CLASSES, MEMBERS, FEATURES = 5, 120, 16
WIDTH: Final = 16
RULES: Final = ("constrained", "relaxed", "none")
RATE, DECAY, WHOLE = 0.01, 5e-4, 1 << 30


class Child(nn.Module):
    """Two searched layers and a linear classifier."""

    def __init__(self, sharing: str) -> None:
        super().__init__()
        first, second = (
            AutoGNNLayer(
                width,
                WIDTH,
                hidden=8,
                heads=2,
                attention=("const", "gcn", "gat", "linear"),
                aggregation=("sum", "mean", "max"),
                combine="identity",
                activation=("sigmoid", "tanh", "relu", "identity"),
                sharing=sharing,
                dropout=0.3,
            )
            for width in (FEATURES, WIDTH)
        )
        self.layers = nn.Sequential(first, second)
        self.classify = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns logits of all nodes."""
        logits: Tensor = self.classify(self.layers(Graph(x, edge_index)).x)
        return logits


def block_model(seed: int) -> NodeClassification:
    """Returns a task on a new graph: ten labels of each class, 250 nodes to validate on, 300 to test."""
    torch.manual_seed(seed)
    edges = stochastic_blockmodel_graph(
        [MEMBERS] * CLASSES, torch.full((CLASSES, CLASSES), 0.006) + 0.034 * torch.eye(CLASSES)
    )
    y = torch.arange(CLASSES).repeat_interleave(MEMBERS)
    x = torch.randn(CLASSES, FEATURES)[y] * 0.3 + torch.randn(len(y), FEATURES)
    order = torch.randperm(len(y))
    train = torch.cat([order[y[order] == c][:10] for c in range(CLASSES)])
    others = order[~torch.isin(order, train)]
    split = {"train": train.tolist(), "validation": others[:250].tolist(), "test": others[250:].tolist()}
    data = NodeData("block-model", x, edges, y, tuple(map(str, range(CLASSES))), split=split)
    return NodeClassification.of(data, seed=seed)


def supernet(sharing: str, seed: int) -> Supernet:
    """Returns new weights."""
    torch.manual_seed(seed)
    return Supernet(Child(sharing))


def trained_alone(task: NodeClassification, child: Architecture, steps: int, seed: int) -> float:
    """Returns the test accuracy of a child after a full training, mean of two starts."""
    found = []
    for start in range(2):
        network = supernet("relaxed", 1000 * seed + start).extract(child)
        train_alone(network, task, Recipe(epochs=steps, learning_rate=RATE, weight_decay=DECAY, window=0), seed=start)
        found.append(1 - task.evaluate(network, "test", WHOLE)["error"])
    return float(np.mean(found))


def short(
    task: NodeClassification, children: Sequence[Architecture], rule: str, *, steps: int, passes: int, seed: int
) -> list[float]:
    """Returns the validation accuracies of children right after their part of the last pass."""
    rng = np.random.default_rng(seed)
    sharing = "relaxed" if rule == "none" else rule
    pools = [
        supernet(sharing, 77 + seed + (n if rule == "none" else 0))
        for n in range(len(children) if rule == "none" else 1)
    ]
    found = [0.0] * len(children)
    torch.manual_seed(seed)
    for _ in range(passes):
        for number in rng.permutation(len(children)):
            pool = pools[number % len(pools)]
            pool.activate(children[number])
            pool.train()
            optimiser = torch.optim.Adam(pool.parameters(), lr=RATE, weight_decay=DECAY)
            for _ in range(steps):
                batch = next(iter(task.train_batches(rng, WHOLE)))
                optimiser.zero_grad()
                task.loss(pool(*batch.inputs), batch).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            found[number] = 1 - task.evaluate(pool, "validation", WHOLE)["error"]
    return found


def measure(seed: int, *, children: int, steps: int, passes: int, full: int) -> list[Row]:
    """Returns a row for each rule; they share the graph, the children and their full trainings."""
    task = block_model(seed)
    space = supernet("relaxed", seed).space
    rng = np.random.default_rng(seed)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < children:
        child = space.sample(rng)
        drawn.setdefault(str(child), child)
    chosen = list(drawn.values())
    started = time.process_time()
    truth = [trained_alone(task, child, full, seed) for child in chosen]
    full_seconds = time.process_time() - started
    rows: list[Row] = []
    for rule in RULES:
        started = time.process_time()
        found = short(task, chosen, rule, steps=steps, passes=passes, seed=seed)
        rows.append(
            {
                "rule": rule,
                "tau": float(kendalltau(found, truth).statistic),
                "spearman": float(spearmanr(found, truth).statistic),
                "short": found,
                "alone": truth,
                "test_of_best": truth[int(np.argmax(found))],
                "seconds": time.process_time() - started,
                "full_seconds": full_seconds,
            }
        )
    return rows


def table(rows: Sequence[Row]) -> str:
    """Returns means and standard deviations over the seeds, as Markdown."""
    lines = ["| sharing | tau | Spearman | short accuracy | test alone of the best | CPU s |", "|---" * 6 + "|"]
    for rule in RULES:
        group = [row for row in rows if row["rule"] == rule]
        if group:
            cells = [
                f"{np.mean(v):.3f} ± {np.std(v, ddof=1) if len(v) > 1 else 0:.3f}"
                for v in ([row["tau"] for row in group], [row["spearman"] for row in group])
            ]
            cells += [f"{np.mean([np.mean(row['short']) for row in group]):.3f}"]
            cells += [f"{np.mean([row['test_of_best'] for row in group]):.3f}"]
            lines.append(f"| {rule} | {' | '.join(cells)} | {np.mean([row['seconds'] for row in group]):.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--children", type=int, default=14)
    parser.add_argument("--steps", type=int, default=8, help="of a child in each pass")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--full", type=int, default=60, help="steps of a child that is trained alone")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    settings = {name: getattr(arguments, name) for name in ("children", "steps", "passes", "full")}
    for seed in range(arguments.seeds):
        if rows.find({**settings, "seed": seed}) is None:
            for row in measure(seed, **settings):
                rows.add({**settings, "seed": seed, **row, "machine": machine()})
                print({k: row[k] for k in ("rule", "tau", "spearman", "test_of_best", "seconds")}, flush=True)
    print(table(rows.where(settings)))


if __name__ == "__main__":
    main()
