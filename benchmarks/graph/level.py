"""Families of graph blocks on whole graphs: ten-fold cross-validation on TU collections, and counting in cubic graphs.

    python benchmarks/graph/level.py --data FOLDER [--sets MUTAG,4-cycles,esol] [--families graph.kpath] [--folds 10] [--seeds 1]
                                     [--epochs 60] [--scenario noise=0.3]

One network for each family that takes and gives graphs, read from what is installed: a pre-layer, blocks of the family, a
sum readout and a linear layer, all of width 32, with the largest choice of each option but for the entries of ``OPTIONS`` and
``COUNTING_OPTIONS``, and ``GIN`` of torch-geometric as a peer; ``VARIANTS`` run only where they are named. Adam at 0.005 with a
cosine schedule; the epoch with the best validation error is tested.
``FOLDER`` holds collections as ``.npz`` files (see the page on tasks on whole graphs); counting sets need none. Bonds of the
molecules in ``esol`` have types, which ``--scenario edge_features=none`` leaves out. Rows go to
``benchmarks/results/graph/level.jsonl`` as they are measured; what is there is not measured again.
"""

from __future__ import annotations

import argparse
import inspect
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import yaml
from automl_graph.blocks import MLP, GraphReadout
from automl_graph.data.motif_graphs import CLASSES, VALUES
from automl_graph.signal import Graph, GraphFormat
from automl_graph.tasks import GraphClassification, GraphRegression
from automl_graph.tasks.graph_level import GraphLevelTask
from torch import Tensor, nn

from automl.elastic import specialise
from automl.host import Family, Host
from automl.objectives.params import count_params
from automl.supernet import auxiliary_losses

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "level.jsonl"
WIDTH: Final = 32
BLOCKS: Final = 2
BATCH: Final = 64
COLLECTIONS: Final = {
    "MUTAG": "MUTAG",
    "PROTEINS": "PROTEINS",
    "ENZYMES": "ENZYMES",
    "NCI1": "NCI1",
    "IMDB-BINARY": "IMDBBINARY",
}
COUNTING: Final = ("triangles", "4-cycles", "5-cycles", "4-paths", "triangle-or-not")
MOLECULES: Final = ("esol",)
"""Regression on the files of these names, which have features of edges."""
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "graph.kpath": {"k": 2, "layers": 2, "closing": "log", "batch_norm": True},
    "graph.lcm": {"aggregation": "lcm_reg"},
    "graph.sage": {"aggregation": "sum"},
}
"""Settings of a family where its first choices are not the ones to compare."""
COUNTING_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "triangles": {"k": 2, "layers": 2, "closing": "count"},
    "triangle-or-not": {"k": 2, "layers": 2, "closing": "count"},
    **{each: {"k": 3, "layers": 2, "closing": "count"} for each in ("4-cycles", "5-cycles", "4-paths")},
}
"""``graph.kpath`` on counting sets: paths of two steps close triangles, those of three 4-cycles; the rest has to be learned."""
VARIANTS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "graph.kpath without closing": ("graph.kpath", {"k": 2, "layers": 2, "closing": "none"}),
}
"""Families with other settings, the same for all sets."""


class GIN(nn.Module):
    """A layer of torch-geometric's graph isomorphism network.

    Args:
        width: width of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        from torch_geometric.nn import GINConv

        self.layer = GINConv(nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)), train_eps=True)
        self.normalise = nn.BatchNorm1d(width)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        return graph._replace(x=torch.relu(self.normalise(self.layer(graph.x, graph.edge_index))))


class Network(nn.Module):
    """Pre-layer, blocks and readout.

    Args:
        task: tells widths and inputs.
        build: gives one block of equal input and output width; it is told the width of features of edges.
    """

    def __init__(self, task: GraphLevelTask, build: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.payload = GraphFormat.for_task(task)
        self.enter = MLP(task.input_width, WIDTH, residual=False, dropout=0.0)
        self.blocks = nn.Sequential(*(build(self.payload.edge_width) for _ in range(BLOCKS)))
        self.head = GraphReadout(WIDTH, task.outputs, readout="sum")

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns one row for each graph."""
        deep = self.blocks(self.enter(self.payload.pack(*inputs)))
        outputs: Tensor = self.head(deep)
        return outputs


def families(host: Host) -> dict[str, Callable[[str, int], nn.Module]]:
    """Returns a builder of a block for each installed family on graphs; it is told the set and the width of features of edges."""
    found: dict[str, Callable[[str, int], nn.Module]] = {"torch-geometric GIN": lambda of, edge_width: GIN(WIDTH)}
    for name, family in sorted(host.components("family").items()):
        if isinstance(family, Family) and (family.accepts, family.produces) == ("graph", "graph"):
            found[name] = lambda of, edge_width, family=family: block_of(family, of, edge_width)  # type: ignore[misc]
            for variant, (base, options) in VARIANTS.items():
                if base == name:
                    found[variant] = lambda of, edge_width, family=family, options=options: specialise(  # type: ignore[misc]
                        family.load()(WIDTH, WIDTH, **options)
                    )
    return found


def block_of(family: Family, of: str, edge_width: int) -> nn.Module:
    """Returns a block with plain layers and the present values of all its dimensions, with the options for a set."""
    options = OPTIONS.get(family.name, {})
    if family.name == "graph.kpath":
        options = COUNTING_OPTIONS.get(of, options)
    block = family.load()
    if "edge_width" in inspect.signature(block).parameters:
        options = {**options, "edge_width": edge_width}
    return specialise(block(WIDTH, WIDTH, **options))


def load(name: str, folder: Path | None, options: dict[str, Any], seed: int) -> GraphLevelTask:
    """Returns the task of a set."""
    if name in VALUES:
        return GraphRegression.load(name, seed=seed, options=options)
    if name in CLASSES:
        return GraphClassification.load(name, seed=seed, options=options)
    if folder is None:
        raise SystemExit(f"{name}: name the folder of its file with --data.")
    if name in MOLECULES:
        return GraphRegression.load(str(folder / f"{name}.npz"), seed=seed, options=options)
    return GraphClassification.load(str(folder / f"{COLLECTIONS[name]}.npz"), seed=seed, options=options)


def train(task: GraphLevelTask, build: Callable[[int], nn.Module], seed: int, epochs: int) -> dict[str, float]:
    """Trains one network and tests its best epoch."""
    torch.manual_seed(seed)
    network = Network(task, build)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    best, tested, started = float("inf"), {}, time.process_time()
    for _ in range(epochs):
        network.train()
        for batch in task.train_batches(rng, BATCH):
            with auxiliary_losses() as losses:
                outputs = network(*batch.inputs)
            optimiser.zero_grad()
            (task.loss(outputs, batch) + sum(losses)).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
        schedule.step()
        validation = task.evaluate(network, "validation", 256)
        if validation["error"] + 1e-6 * validation["loss"] < best:
            best = validation["error"] + 1e-6 * validation["loss"]
            tested = {**task.evaluate(network, "test", 256), "validation_error": validation["error"]}
    seconds = (time.process_time() - started) / epochs
    return {**tested, "seconds_per_epoch": seconds, "parameters": count_params(network)}


def main() -> None:
    """Runs what is not in the file yet, and prints means over folds and seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=None, help="folder with the .npz files of the collections")
    parser.add_argument("--sets", default=",".join([*COUNTING, *COLLECTIONS]))
    parser.add_argument(
        "--families", default="", help="names with commas between; default: all that are installed, no variants"
    )
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--scenario", nargs="*", default=[], help="options of the task, such as noise=0.3 or few_shot=5"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scenario = {name: yaml.safe_load(value) for name, _, value in (text.partition("=") for text in arguments.scenario)}
    known = families(Host.load())
    chosen = [name for name in arguments.families.split(",") if name] or [
        name for name in known if name not in VARIANTS
    ]
    rows = Rows(arguments.results)
    settings = {"epochs": arguments.epochs, "scenario": scenario}
    for seed in range(arguments.seeds):
        for fold in range(arguments.folds):
            for name in arguments.sets.split(","):
                task: GraphLevelTask | None = None
                for family in chosen:
                    key = {"set": name, "family": family, "fold": fold, "seed": seed, **settings}
                    if rows.find(key) is not None:
                        continue
                    task = task or load(name, arguments.data, {"fold": fold, **scenario}, seed)
                    found = train(task, lambda width, f=family, of=name: known[f](of, width), seed, arguments.epochs)  # type: ignore[misc]
                    rows.add({**key, **found, "machine": machine()})
                    print({**key, **found}, flush=True)
    print(table(rows.where(settings)))


def table(rows: Sequence[Row]) -> str:
    """Returns accuracy (or R² of counts) in percent for each family and set, mean and deviation over folds, and the mean rank."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    names = list(dict.fromkeys(row["family"] for row in rows))
    means: dict[tuple[str, str], tuple[float, float]] = {}
    for name in names:
        for each in sets:
            scores = [100 * (1 - row["error"]) for row in rows if (row["family"], row["set"]) == (name, each)]
            if scores:
                means[name, each] = (statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else 0.0)
    lines = [f"| family | {' | '.join(sets)} | mean rank |", "|---" * (len(sets) + 2) + "|"]
    for name in names:
        cells = ["{:.1f} ± {:.1f}".format(*means[name, each]) if (name, each) in means else "-" for each in sets]
        ranks = [
            1 + sum(means.get((other, each), (-1.0, 0.0))[0] > means[name, each][0] for other in names)
            for each in sets
            if (name, each) in means
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {statistics.mean(ranks):.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
