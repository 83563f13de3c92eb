"""Sheaf diffusion against LightGCN, matrix factorisation and popularity, under one loss and one head.

    python benchmarks/graph/recommend.py DATA [--seeds 3] [--epochs 100] [--batch 1024] [--layers 5] [--channels 64]
                                              [--rates 0.001] [--regs 0] [--models 'sheaf, scalar']

``DATA`` is ``ml-100k.inter.gz`` (RecBole), another file of interactions, or ``user-item-blocks``. Ratings of at least 3 count
as taken where there are any. Every row is one training with Adam; its defaults are those of the released code of Sheaf4Rec.
``sheaf, no maps`` has V = 0, held there: what the sheaf adds is what it lacks. The weights with the best NDCG on the validation
part, looked at every five epochs, are measured on the test part. Of several rates and weights of the L2 term (``--regs``) the
table shows for each model those with the best mean NDCG on the validation part. Rows go to
``benchmarks/results/graph/recommend.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import copy
import itertools
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
from automl_graph.sheaf.maps import RestrictionMaps
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "recommend.jsonl"
LOOK_EVERY: Final = 5


def sheaf_without_maps(channels: int, layers: int) -> Sheaf4Rec:
    """Returns the sheaf with V = 0 for good: its Laplacian is 0 and its layers change nothing."""
    block = Sheaf4Rec(channels, channels, layers=layers, map_type="scalar")
    for module in block.modules():
        if isinstance(module, RestrictionMaps):
            for weight in module.requires_grad_(False).parameters():
                nn.init.zeros_(weight)
    return block


def models(channels: int, layers: int) -> dict[str, Callable[[], nn.Module]]:
    """Returns a builder of the block of each model."""

    def sheaf(kind: str, stalk: int = 1, readout: str = "concat") -> Callable[[], nn.Module]:
        return lambda: Sheaf4Rec(channels, channels, layers=layers, map_type=kind, stalk=stalk, readout=readout)

    def light(depth: int) -> Callable[[], nn.Module]:
        return lambda: LightGCN(channels, channels, layers=depth, readout="mean")

    return {
        "matrix factorisation": lambda: Factorisation(channels, channels),
        **{f"LightGCN, {depth} layers": light(depth) for depth in (3, layers)},
        "sheaf, no maps": lambda: sheaf_without_maps(channels, layers),
        **{f"sheaf, {kind}": sheaf(kind) for kind in ("scalar", "identity")},
        "sheaf, scalar, mean readout": sheaf("scalar", readout="mean"),
        **{f"sheaf, {kind}, stalk 2": sheaf(kind, 2) for kind in ("diag", "bundle", "general")},
    }


class Network(nn.Module):
    """Table, one block, scores."""

    def __init__(self, task: Recommendation, block: nn.Module, channels: int) -> None:
        super().__init__()
        self.table = NodeTable(task.input_width, channels)
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


def measured_popularity(task: Recommendation) -> Row:
    """Returns what is measured of popularity, which is not trained."""
    model = Popularity(task)
    validation = task.evaluate(model, "validation", 1024)["ndcg"]
    return {"validation_ndcg": validation, "test": task.evaluate(model, "test", 1024), "seconds": 0.0}


def train(
    task: Recommendation,
    build: Callable[[], nn.Module],
    *,
    channels: int,
    seed: int,
    epochs: int,
    batch_size: int,
    rate: float,
    reg: float,
) -> Row:
    """Trains one model and returns what is measured of it."""
    torch.manual_seed(seed)
    model = Network(task, build(), channels)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    rng = np.random.default_rng(seed)
    started = time.process_time()
    best, kept, chosen = -1.0, copy.deepcopy(model.state_dict()), 0
    first: list[float] = []
    for epoch in range(1, epochs + 1):
        for batch in task.train_batches(rng, batch_size):
            optimiser.zero_grad()
            scores = model(*batch.inputs).gather(1, batch.target)
            nodes = torch.cat([batch.inputs[0], (batch.target + task.user_count).flatten()])
            start = model.table.table(nodes)
            bpr_loss(scores[:, :1], scores[:, 1:], start, reg).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if epoch == 1:
                first.append(float(bpr_loss(scores[:, :1].detach(), scores[:, 1:].detach())))
        if epoch % LOOK_EVERY == 0 or epoch == epochs:
            found = task.evaluate(model, "validation", 1024)["ndcg"]
            if found > best:
                best, kept, chosen = found, copy.deepcopy(model.state_dict()), epoch
    seconds = time.process_time() - started
    model.load_state_dict(kept)
    return {
        "best_epoch": chosen,
        "validation_ndcg": best,
        "first_epoch_loss": [first[0], first[-1]],
        "test": task.evaluate(model, "test", 1024),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": seconds,
    }


def settled(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows of the settings with the best mean NDCG on the validation part."""
    groups: dict[tuple[float, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["rate"], row["reg"]), []).append(row)
    return max(groups.values(), key=lambda group: float(np.mean([row["validation_ndcg"] for row in group])))


def table(rows: Sequence[Row]) -> str:
    """Returns means and standard deviations over the seeds, as Markdown."""
    lines = ["| model | rate, L2 | seeds | F1@10 | Recall@10 | NDCG@10 | Hits@10 | CPU s |", "|---" * 8 + "|"]
    for name in dict.fromkeys(row["model"] for row in rows):
        group = settled([row for row in rows if row["model"] == name])
        cells = []
        for metric in ("f1", "recall", "ndcg", "hits"):
            values = np.array([row["test"][metric] for row in group])
            cells.append(f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" if len(values) > 1 else f"{values[0]:.4f}")
        seconds = np.mean([row["seconds"] for row in group])
        chosen = f"{group[0]['rate']:g}, {group[0]['reg']:g}"
        lines.append(f"| {name} | {chosen} | {len(group)} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is not in the file of results yet, then prints the table."""
    known = ["popularity", *models(1, 5)]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=1024, help="users in a step")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3], help="learning rates to choose from")
    parser.add_argument("--regs", type=float, nargs="+", default=[0.0], help="weights of the L2 term to choose from")
    parser.add_argument("--models", nargs="+", default=known, choices=known)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of finished rows")
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    source = Path(arguments.data).name
    options: dict[str, Any] = {} if "100k" not in source else {"min_rating": 3}
    builders = models(arguments.channels, arguments.layers)
    settings = {
        "data": source,
        **{name: getattr(arguments, name) for name in ("epochs", "batch", "layers", "channels")},
    }
    for seed in range(arguments.seeds):
        task = Recommendation.load(arguments.data, seed=seed, options=options)
        for name in arguments.models:
            popular = name == "popularity"
            for rate, reg in [(0.0, 0.0)] if popular else itertools.product(arguments.rates, arguments.regs):
                key = {**settings, "model": name, "seed": seed, "rate": rate, "reg": reg}
                if rows.find(key) is not None or (not popular and name not in builders):
                    continue
                if popular:
                    found = measured_popularity(task)
                else:
                    found = train(
                        task,
                        builders[name],
                        channels=arguments.channels,
                        seed=seed,
                        epochs=arguments.epochs,
                        batch_size=arguments.batch,
                        rate=rate,
                        reg=reg,
                    )
                rows.add({**key, **found, "machine": machine()})
                print({**key, **found}, flush=True)
    print(table(rows.where(settings)))


if __name__ == "__main__":
    main()
