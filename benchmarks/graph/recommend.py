"""MovieLens-100K: sheaf diffusion against LightGCN, matrix factorisation and popularity, under one loss and one head.

    python benchmarks/graph/recommend.py DATA [--seeds 3] [--epochs 100] [--models 'sheaf, scalar, reg 0']

``DATA`` is ``ml-100k.inter.gz`` (RecBole), another file of interactions, or ``user-item-blocks``. Ratings of at least 3 count
as taken where there are any. Every row is one training: Adam, learning rate 1e-3, batches of 1024 users (with repetition), five
layers and 64 channels as in the released code of Sheaf4Rec; the weights with the best NDCG on the validation part, looked at
every five epochs, are measured on the test part. Rows go to ``benchmarks/results/graph/recommend.jsonl`` as they are measured,
and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from automl_graph.recommend import Recommendation, bpr_loss
from automl_graph.recommend.blocks import Factorisation, LightGCN
from automl_graph.recommend.sheaf4rec import Sheaf4Rec
from automl_graph.recommend.signals import Bipartite
from automl_graph.recommend.table import ItemScores, NodeTable
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "recommend.jsonl"
CHANNELS: Final = 64
LAYERS: Final = 5
BATCH: Final = 1024
LOOK_EVERY: Final = 5

Builder = Callable[[], nn.Module]
MODELS: Final[dict[str, tuple[Builder, float]]] = {
    "matrix factorisation": (lambda: Factorisation(CHANNELS, CHANNELS), 0.0),
    **{
        f"LightGCN, {layers} layers, reg {reg:g}": (
            lambda layers=layers: LightGCN(CHANNELS, CHANNELS, layers=layers, readout="mean"),  # type: ignore[misc]
            reg,
        )
        for layers in (3, LAYERS)
        for reg in (0.0, 1e-4)
    },
    **{
        f"sheaf, {kind}, reg {reg:g}": (
            lambda kind=kind: Sheaf4Rec(CHANNELS, CHANNELS, layers=LAYERS, map_type=kind),  # type: ignore[misc]
            reg,
        )
        for kind in ("identity", "scalar")
        for reg in (0.0, 1e-4, 1.0)
    },
    **{
        f"sheaf, {kind}, stalk 2, reg 0": (
            lambda kind=kind: Sheaf4Rec(CHANNELS, CHANNELS, layers=LAYERS, map_type=kind, stalk=2),  # type: ignore[misc]
            0.0,
        )
        for kind in ("diag", "bundle", "general")
    },
}


class Network(nn.Module):
    """Table, one block, scores."""

    def __init__(self, task: Recommendation, block: nn.Module) -> None:
        super().__init__()
        self.table = NodeTable(task.input_width, CHANNELS)
        self.block = block
        self.scores = ItemScores(task.outputs)

    def forward(self, users: Tensor, edge_index: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.block(self.table(Bipartite(users, edge_index))))
        return scores


class Popularity(nn.Module):
    """Scores every item by how many users took it in training."""

    def __init__(self, task: Recommendation) -> None:
        super().__init__()
        self.counts = torch.bincount(task.edge_index[1], minlength=task.input_width)[task.user_count :].float()

    def forward(self, users: Tensor, edge_index: Tensor) -> Tensor:
        return self.counts.expand(len(users), -1)


def train(task: Recommendation, name: str, seed: int, epochs: int) -> Row:
    """Trains one model and returns what is measured of it."""
    build, reg_weight = MODELS[name]
    torch.manual_seed(seed)
    model = Network(task, build())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(seed)
    started = time.process_time()
    best, kept, chosen = -1.0, copy.deepcopy(model.state_dict()), 0
    for epoch in range(1, epochs + 1):
        for batch in task.train_batches(rng, BATCH):
            optimiser.zero_grad()
            scores = model(*batch.inputs).gather(1, batch.target)
            nodes = torch.cat([batch.inputs[0], (batch.target + task.user_count).flatten()])
            start = model.table.table(nodes)
            bpr_loss(scores[:, :1], scores[:, 1:], start, reg_weight).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if epoch % LOOK_EVERY == 0 or epoch == epochs:
            found = task.evaluate(model, "validation", BATCH)["ndcg"]
            if found > best:
                best, kept, chosen = found, copy.deepcopy(model.state_dict()), epoch
    seconds = time.process_time() - started
    model.load_state_dict(kept)
    return {
        "best_epoch": chosen,
        "validation_ndcg": best,
        "test": task.evaluate(model, "test", BATCH),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": seconds,
    }


def table(rows: Sequence[Row]) -> str:
    """Returns means and standard deviations over the seeds, as Markdown."""
    lines = ["| model | seeds | F1@10 | Recall@10 | NDCG@10 | Hits@10 | CPU s |", "|---|---|---|---|---|---|---|"]
    for name in dict.fromkeys(row["model"] for row in rows):
        group = [row for row in rows if row["model"] == name]
        cells = []
        for metric in ("f1", "recall", "ndcg", "hits"):
            values = np.array([row["test"][metric] for row in group])
            cells.append(f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" if len(values) > 1 else f"{values[0]:.4f}")
        seconds = np.mean([row["seconds"] for row in group])
        lines.append(f"| {name} | {len(group)} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is not in the file of results yet, then prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--models", nargs="+", default=["popularity", *MODELS], choices=["popularity", *MODELS])
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of finished rows")
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    source = Path(arguments.data).name
    options: dict[str, Any] = {} if "100k" not in source else {"min_rating": 3}
    settings = {"data": source, "epochs": arguments.epochs}
    for seed in range(arguments.seeds):
        task = Recommendation.load(arguments.data, seed=seed, options=options)
        for name in arguments.models:
            key = {**settings, "model": name, "seed": seed}
            if rows.find(key) is not None:
                continue
            if name == "popularity":
                found = {"test": task.evaluate(Popularity(task), "test", BATCH), "seconds": 0.0}
            else:
                found = train(task, name, seed, arguments.epochs)
            rows.add({**key, **found, "machine": machine()})
            print({**key, **found}, flush=True)
    print(table(rows.where(settings)))


if __name__ == "__main__":
    main()
