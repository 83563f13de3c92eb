"""LATTE's proximity loss on a real network: which of 14 events each of 18 women attended (Davis, Gardner and Gardner 1941).

    python benchmarks/graph/latte_proximity.py [--seeds 3] [--steps 100]

One order of attention learns from the proximity loss alone, without nine of the 89 links. Then the logits of these nine are
ranked against those of all pairs without a link: the area under the curve of chance is .5. Rows go to
``benchmarks/results/graph/latte_proximity.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import networkx
import numpy as np
import torch
from automl_graph.hetero import HeteroGraph, Relation, Schema, TypeWidths
from automl_graph.hetero.latte import StackedOrders
from sklearn.metrics import roc_auc_score
from torch import Tensor

from automl.supernet import auxiliary_losses

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "latte_proximity.jsonl"
WOMEN, EVENTS, HELD = 18, 14, 9
SCHEMA: Final = Schema(("woman", "event"), (Relation("at", "woman", "event"), Relation("of", "event", "woman")))


def area(network: StackedOrders, graph: HeteroGraph, held: Tensor, free: Tensor) -> float:
    """Returns the area under the curve of links that were held out against pairs without a link."""
    with torch.no_grad():
        layer = network.layers.active()[0]
        left, right = layer.own(graph.x)[0], layer.others(graph.x)[1]  # type: ignore[operator]
        logits = layer.scores[0](left[:, None], right[:, None], torch.cat([held, free], dim=1))[:, 0]  # type: ignore[index]
    return float(roc_auc_score(np.r_[np.ones(held.shape[1]), np.zeros(free.shape[1])], logits.numpy()))


def measure(seed: int, steps: int) -> Row:
    """Trains on the links that are left and ranks those that are not."""
    women = networkx.davis_southern_women_graph()
    attended = networkx.bipartite.biadjacency_matrix(women, women.graph["top"]).toarray() > 0
    links, free = (torch.from_numpy(np.argwhere(which).T) for which in (attended, ~attended))
    torch.manual_seed(seed)
    held = torch.randperm(links.shape[1])[:HELD]
    kept = links[:, torch.ones(links.shape[1], dtype=torch.bool).index_fill(0, held, False)]
    graph = HeteroGraph((torch.eye(WOMEN), torch.eye(EVENTS)), (kept, kept.flip(0)))
    network = StackedOrders(
        TypeWidths([WOMEN, EVENTS], [False, False]),
        schema=SCHEMA,
        orders=1,
        heads=1,
        head_width=8,
        attention="sharpening",
        context="input",
        updates="all",
        joined_edges="all",
        attention_dropout=0.0,
        proximity=1.0,
        negatives=2.0,
    ).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    started = time.process_time()
    before, values = area(network, graph, links[:, held], free), []
    for _ in range(steps):
        with auxiliary_losses() as losses:
            network(graph)
        optimiser.zero_grad()
        losses[0].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        values.append(losses[0].item())
    return {
        "first_loss": values[0],
        "last_loss": float(np.mean(values[-10:])),
        "auc_before": before,
        "auc": area(network, graph, links[:, held], free),
        "seconds": time.process_time() - started,
    }


def main() -> None:
    """Measures what is missing and prints a line for each seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    for seed in range(arguments.seeds):
        key = {"seed": seed, "steps": arguments.steps}
        if rows.find(key) is None:
            rows.add({**key, **measure(seed, arguments.steps), "machine": machine()})
    for row in rows.where({"steps": arguments.steps}):
        print(
            f"seed {row['seed']}: loss {row['first_loss']:.3f} -> {row['last_loss']:.3f}, "
            f"area of held-out links {row['auc_before']:.3f} -> {row['auc']:.3f}"
        )


if __name__ == "__main__":
    main()
