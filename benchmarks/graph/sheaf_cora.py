"""Sheaf diffusion on Cora with few and with many labels: what does it learn, what does it memorise?

    python benchmarks/graph/sheaf_cora.py [--seeds 2] [--epochs 100] [--models gcn 'sheaf, bundle']

``few``: the fixed split with 20 labels of each class. ``many``: the splits of geom-gcn with 48 % of the nodes, the seed's number.
Blocks ``graph.sheaf`` (stalks of three dimensions, two layers, 16 channels), the same ``tuned`` within the ranges of the paper
(four layers, 32 channels, .7 of the inputs and .4 of the rest dropped, a decay of 1e-3), two layers ``graph.gcn`` and two of
``graph.mlp``, which see no edges, all of width 64 with a linear classifier, dropout .5, Adam at .01 with a decay of 5e-4,
features that sum to 1 or as they are; the step with the best validation error counts. Rows go to
``benchmarks/results/graph/sheaf_cora.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from automl_graph.blocks import GCN, MLP, NodeClassifier, Sheaf
from automl_graph.signal import Graph
from automl_graph.standalone import Recipe, train_alone
from automl_graph.tasks import NodeClassification
from torch import Tensor, nn

from automl.elastic import specialise

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

DATA: Final = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "sheaf_cora.jsonl"
WIDTH: Final = 64
SPLITS, SCALES = ("few", "many"), ("row", "none")


def _sheaf(kind: str) -> Callable[[int], list[nn.Module]]:
    return lambda inp: [Sheaf(inp, WIDTH, map_type=kind, stalk=3, layers=2, hidden=16, dropout=0.5)]


def _tuned_sheaf(kind: str) -> Callable[[int], list[nn.Module]]:
    return lambda inp: [Sheaf(inp, WIDTH, map_type=kind, stalk=3, layers=4, hidden=32, dropout=0.4, input_dropout=0.7)]


MODELS: Final[dict[str, Callable[[int], list[nn.Module]]]] = {
    **{f"sheaf, {kind}": _sheaf(kind) for kind in ("identity", "diag", "bundle")},
    **{f"sheaf, {kind}, tuned": _tuned_sheaf(kind) for kind in ("identity", "diag")},
    "gcn": lambda inp: [GCN(inp, WIDTH, dropout=0.5), GCN(WIDTH, WIDTH, dropout=0.5)],
    "mlp": lambda inp: [MLP(inp, WIDTH, dropout=0.5), MLP(WIDTH, WIDTH, dropout=0.5)],
}


class Network(nn.Module):
    """Blocks and a linear classifier."""

    def __init__(self, blocks: Sequence[nn.Module], classes: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(*blocks, NodeClassifier(WIDTH, classes))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the logits of all nodes."""
        logits: Tensor = self.parts(Graph(x, edge_index))
        return logits


def task_of(split: str, scale: str, seed: int) -> NodeClassification:
    """Returns Cora with a split."""
    folder = DATA / "planetoid"
    parts = None
    if split == "many":
        with np.load(folder / "geom_gcn_splits.npz") as stored:
            names = {"train": "train", "validation": "val", "test": "test"}
            parts = {part: np.flatnonzero(stored[f"cora_{name}_mask"][seed]).tolist() for part, name in names.items()}
    options = {"normalise": scale, "steps_per_epoch": 1}
    return NodeClassification.load(str(folder / "cora"), seed=seed, split=parts, options=options)


def measure(split: str, scale: str, model: str, seed: int, epochs: int) -> Row:
    """Trains a network and returns its accuracies."""
    task = task_of(split, scale, seed)
    torch.manual_seed(seed)
    network = specialise(Network(MODELS[model](task.input_width), task.outputs))
    started = time.process_time()
    decay = 1e-3 if model.endswith("tuned") else 5e-4
    recipe = Recipe(epochs=epochs, learning_rate=0.01, weight_decay=decay, select="error", window=0)
    trained = train_alone(network, task, recipe, seed=seed)
    seconds = time.process_time() - started
    found = {part: 100 * (1 - task.evaluate(network, part, 1)["error"]) for part in ("train", "validation", "test")}  # type: ignore[arg-type]
    return {**found, "best_epoch": trained.epoch, "seconds": seconds}


def table(rows: Sequence[Row]) -> str:
    """Returns the mean accuracy on train and test, as Markdown."""
    columns = [(split, scale) for split in SPLITS for scale in SCALES]
    lines = [f"| model | {' | '.join(f'{a}, {b}' for a, b in columns)} | CPU s |", "|---" * (len(columns) + 2) + "|"]
    for model in MODELS:
        cells = []
        for split, scale in columns:
            group = [row for row in rows if (row["model"], row["split"], row["scale"]) == (model, split, scale)]
            found = [[row[part] for row in group] for part in ("train", "test")]
            cells.append(f"{np.mean(found[0]):.0f}, {' '.join(f'{v:.1f}' for v in found[1])}" if group else "-")
        seconds = [row["seconds"] for row in rows if row["model"] == model]
        lines.append(f"| {model} | {' | '.join(cells)} | {np.mean(seconds) if seconds else 0:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the table: accuracy on the labels trained on, then on test nodes of each seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=SPLITS)
    parser.add_argument("--scales", nargs="+", default=list(SCALES), choices=SCALES)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    for seed in range(arguments.seeds):
        for split in arguments.splits:
            for scale in arguments.scales:
                for model in arguments.models:
                    key = {"split": split, "scale": scale, "model": model, "seed": seed, "epochs": arguments.epochs}
                    if rows.find(key) is None:
                        rows.add({**key, **measure(split, scale, model, seed, arguments.epochs), "machine": machine()})
                        print({k: v for k, v in rows.all[-1].items() if k != "machine"}, flush=True)
    print(table(rows.where({"epochs": arguments.epochs})))


if __name__ == "__main__":
    main()
