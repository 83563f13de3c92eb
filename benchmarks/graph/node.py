"""Node classification on real graphs: every installed family alone, and the front that a search finds.

    python benchmarks/graph/node.py [--data cora texas] [--families graph.gcn search] [--seeds 10] [--epochs 500]

Each family on ``graph`` signals is trained alone on the largest setting of its dimensions: blocks that are deep by themselves
once, others twice, of width 64, then a linear classifier; heads as they are. Seed s draws weights and dropout; on graphs with ten
splits it also takes split s. ``search`` is one job with the default options of the task: its best member on the validation part
with the weights of the supernet, and the best on the validation part of its finalists, which are trained alone.
Where a paper gives settings for a data set (``RECIPES``), its network is trained with these. Accuracies are of the test part, in
per cent (ROC-AUC for minesweeper and tolokers).
Families that plugins add are measured without a change here. Rows go to ``benchmarks/results/graph/node.jsonl`` as they are
measured, and those that are there are not repeated; ``--table`` prints them and measures nothing.
"""

from __future__ import annotations

import argparse
import inspect
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from automl_graph.blocks import NodeClassifier
from automl_graph.signal import Graph
from automl_graph.standalone import Recipe, Trained, train_alone
from automl_graph.tasks import NodeClassification
from torch import Tensor, nn

from automl.host import Family, Host
from automl.job import open_ledger, run_job
from automl.job.finalist import finalist_network
from automl.job.opened import open_run
from automl.job_config import JobConfig
from automl.objectives import Candidate, build_objective
from automl.objectives.params import count_params
from automl.progress import SilentProgress
from automl.report import read_run
from automl.space import Architecture
from automl.supernet import Supernet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Rows, machine

DATA: Final = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "node.jsonl"
WIDTH: Final = 64
FINALISTS: Final = 6
SEARCH: Final = "search"
DEEP_OPTIONS: Final = frozenset({"hops", "layers", "steps"})
"""Options of families that are deep by themselves."""


class Source(NamedTuple):
    """One data set, the space that is searched, and how networks are trained on it."""

    path: str
    space: str
    metric: str = "error"
    normalise: str = "row"
    dropout: float = 0.5
    weight_decay: float = 5e-4
    fixed: bool = False
    memory_limit: str | None = None
    searched: str = "none"
    """How features are scaled in a search: as they are, the default of a job."""


DATASETS: Final = {
    "cora": Source("planetoid/cora", "graph/homophily", fixed=True),
    "citeseer": Source("planetoid/citeseer", "graph/homophily", fixed=True),
    "texas": Source("heterophilous/texas.npz", "graph/heterophily"),
    "wisconsin": Source("heterophilous/wisconsin.npz", "graph/heterophily"),
    "cornell": Source("heterophilous/cornell.npz", "graph/heterophily"),
    "chameleon": Source("heterophilous/chameleon_filtered.npz", "graph/node"),
    "squirrel": Source("heterophilous/squirrel_filtered.npz", "graph/node"),
    # Learned operators and TANGNN would take more time than all other families together. Rows that add up to 1 give a
    # perceptron one to two points.
    "actor": Source("heterophilous/actor.npz", "graph/heterophily", memory_limit="400MB", searched="row"),
    "minesweeper": Source("heterophilous/minesweeper.npz", "graph/heterophily", "auc-error", "none", 0.2, 0.0),
    # A million directed edges: sheaves, learned operators and attention with features for each edge would take hours.
    "tolokers": Source(
        "heterophilous/tolokers.npz", "graph/heterophily", "auc-error", "none", 0.2, 0.0, memory_limit="1GB"
    ),
}
PUBLISHED: Final = {
    ("cora", "graph.dagnn_head"): "84.4 ± 0.5",
    ("citeseer", "graph.dagnn_head"): "73.3 ± 0.6",
    ("texas", "graph.gcn"): "55.14",
}
BEST_PUBLISHED: Final = {
    "texas": "85.95 ± 5.51 (O(d)-NSD)",
    "wisconsin": "89.41 ± 4.74 (O(d)-NSD)",
    "cornell": "86.49 (Diag-NSD)",
    "actor": "37.81 ± 1.15 (O(d)-NSD)",
}


class Published(NamedTuple):
    """What a paper gives for its whole network on one graph."""

    options: dict[str, Any]
    weight_decay: float
    learning_rate: float = 0.01


def _dagnn(weight_decay: float, dropout: float) -> Published:
    return Published({"dropout": dropout, "hops": 10, "hidden": 64, "mlp_layers": 2}, weight_decay)


def _sheaf(kind: str, stalk: int, layers: int, hidden: int, dropout: float, **more: Any) -> dict[str, Any]:
    return {"map_type": kind, "stalk": stalk, "layers": layers, "hidden": hidden, "dropout": dropout, **more}


# Liu, Gao and Ji 2020; Bodnar et al. 2022, with one weight decay for all weights.
RECIPES: Final = {
    ("cora", "graph.dagnn_head"): _dagnn(0.005, 0.8),
    ("citeseer", "graph.dagnn_head"): _dagnn(0.02, 0.5),
    ("texas", "graph.sheaf"): Published(_sheaf("bundle", 3, 4, 20, 0.7, sparse_learner=True), 5e-3, 0.02),
    ("wisconsin", "graph.sheaf"): Published(
        _sheaf("bundle", 3, 2, 32, 0.73, plus_dim=True, minus_dim=True), 6.7e-4, 0.02
    ),
    ("cornell", "graph.sheaf"): Published(
        _sheaf("diag", 4, 2, 16, 0.7, input_dropout=0.2, plus_dim=True), 6.9e-4, 0.02
    ),
    ("chameleon", "graph.sheaf"): Published(
        _sheaf("diag", 4, 5, 32, 0.0, input_dropout=0.7, plus_dim=True, second_linear=True), 3e-4
    ),
    ("squirrel", "graph.sheaf"): Published(
        _sheaf("bundle", 3, 5, 32, 0.0, input_dropout=0.7, plus_dim=True, second_linear=True), 1.1e-4
    ),
}


@dataclass(frozen=True)
class Row:
    """One network, trained and measured."""

    data: str
    model: str
    seed: int
    epochs: int
    metric: str
    test: float | None = None
    validation: float | None = None
    best_epoch: int | None = None
    params: int | None = None
    latency_ms: float | None = None
    peak_bytes: int | None = None
    train_seconds: float | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.data, self.model, self.seed, self.epochs


class Chain(nn.Module):
    """Blocks in a row between tensors; the features behind the last one are the logits."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the logits of all nodes."""
        last: Graph | Tensor = self.parts(Graph(x, edge_index))
        return last.x if isinstance(last, Graph) else last


def families(host: Host) -> list[Family]:
    """Blocks and heads on graphs that are installed; the linear classifier is part of all."""
    found = [f for f in host.components("family").values() if isinstance(f, Family)]
    fitting = [f for f in found if f.accepts == "graph" and f.produces in ("graph", "logits") and not f.missing()]
    return sorted((f for f in fitting if f.name != "graph.classifier"), key=lambda f: f.name)


def network(family: Family, inp: int, classes: int, options: dict[str, Any], *, whole: bool) -> nn.Module:
    """Returns the plain network of a family at the largest setting of its dimensions; ``whole``: the block is all of it."""
    block: Any = family.load()
    known = inspect.signature(block).parameters
    given = {name: value for name, value in options.items() if name in known}
    if whole or family.produces == "logits":
        parts = [block(inp, classes, **given)]
    else:
        depth = 1 if DEEP_OPTIONS & set(known) else 2
        blocks = [block(inp if i == 0 else WIDTH, WIDTH, **given) for i in range(depth)]
        parts = [*blocks, NodeClassifier(WIDTH, classes)]
    supernet = Supernet(Chain(parts))
    return supernet.extract(supernet.space.largest())


def task_of(name: str, seed: int) -> NodeClassification:
    """Returns the task with the split of a seed."""
    source = DATASETS[name]
    task = NodeClassification.load(str(DATA / source.path), seed=seed, options=task_options(name, seed))
    task.to("cpu")
    return task


def task_options(name: str, seed: int) -> dict[str, Any]:
    """Returns the options of the task for a seed."""
    source = DATASETS[name]
    split = {} if source.fixed else {"fixed_split": seed % 10}
    return {"normalise": source.normalise, "steps_per_epoch": 1, **split}


def recipe_of(name: str, model: str, epochs: int) -> tuple[Recipe, dict[str, Any]]:
    """Returns how a model is trained on a data set, and options of its block."""
    source = DATASETS[name]
    published = RECIPES.get((name, model))
    if published is None:
        return Recipe(epochs=epochs, weight_decay=source.weight_decay, select=source.metric), {
            "dropout": source.dropout
        }
    select = "loss" if source.fixed else source.metric  # as the paper of the fixed splits' recipes has it
    recipe = Recipe(
        epochs=epochs, weight_decay=published.weight_decay, learning_rate=published.learning_rate, select=select
    )
    return recipe, published.options


def measured(row: Row, host: Host, model: nn.Module, task: NodeClassification, trained: Trained | None) -> Row:
    """Returns the row with everything that is measured of a network."""
    candidate = Candidate(None, model.eval(), task)
    test = task.evaluate(model, "test", 1)[row.metric]
    latency = build_objective(host, "latency", {"mode": "measured", "repeats": 15}).final().measure(candidate)
    return Row(
        **{
            **asdict(row),
            "test": 100 * (1 - test),
            "validation": 100 * (1 - task.evaluate(model, "validation", 1)[row.metric]),
            "best_epoch": None if trained is None else trained.epoch,
            "params": count_params(model),
            "latency_ms": latency.value,
            "peak_bytes": int(build_objective(host, "peak-memory").measure(candidate).value),
        }
    )


def alone(row: Row, family: Family, host: Host) -> Iterator[Row]:
    """Trains a family alone; a failure is a row as well."""
    started = time.process_time()
    try:
        task = task_of(row.data, row.seed)
        recipe, options = recipe_of(row.data, row.model, row.epochs)
        torch.manual_seed(row.seed)
        model = network(family, task.input_width, task.outputs, options, whole=(row.data, row.model) in RECIPES)
        trained = train_alone(model, task, recipe, seed=row.seed)
        spent = time.process_time() - started
        yield Row(**{**asdict(measured(row, host, model, task, trained)), "train_seconds": spent})
    except Exception as error:  # of a family that a plugin adds; the others are measured all the same
        yield Row(**{**asdict(row), "note": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"})


def searched(row: Row, host: Host, trials: int) -> Iterator[Row]:
    """Runs a search; yields its best member with the weights of the supernet, then the best finalist on the validation part."""
    source = DATASETS[row.data]
    steps = 4  # between two looks at the validation part
    splits = {
        **task_options(row.data, row.seed),
        "steps_per_epoch": min(steps, row.epochs),
        "normalise": source.searched,
    }
    job = JobConfig(
        space=source.space,
        data=str(DATA / source.path),
        objectives=[source.metric, "macs"],
        trials=trials,
        candidates=["subnets", "finalists"],
        finalists={"members": FINALISTS},
        seed=row.seed,
        training={"epochs": max(1, row.epochs // steps)},
        memory_limit=source.memory_limit,
        task_options=splits,
    )
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        run = run_job(job, Path(folder) / "run", host=host, progress=clock)
        opened = open_run(run, host)
        with open_ledger(run, opened.parts, opened.supernet, read_only=True) as ledger:
            best = min((m for m in ledger.read() if m.values is not None), key=lambda m: m.values or ()).architecture
        candidate, _ = opened.evaluator.candidate(best)
        shared = measured(row, host, candidate.model, opened.task, None)
        spent = clock.at_finalists - clock.started
        yield Row(**{**asdict(shared), "train_seconds": spent, "note": _families(best)})

        finalists = read_run(run.folder, trials=False).finalists
        winner = min(finalists, key=lambda found: found["measured"][row.metric]["value"])
        network = finalist_network(opened, winner["id"]).candidate
        steps_to_best = winner["best_epoch"] * job.task_options["steps_per_epoch"]
        again = Row(row.data, f"{SEARCH}, trained alone", row.seed, row.epochs, row.metric)
        alone = measured(again, host, network.model, opened.task, None)
        note = _families(opened.supernet.space.architecture(winner["architecture"]))
        spent = clock.ended - clock.started
        yield Row(**{**asdict(alone), "best_epoch": steps_to_best, "train_seconds": spent, "note": note})


class Clock(SilentProgress):
    """CPU seconds at the beginning of a job, of its finalists, and of its latest stage."""

    def __init__(self) -> None:
        self.started = self.ended = time.process_time()
        self.at_finalists = 0.0

    def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None:
        """Reads the clock."""
        self.ended = time.process_time()
        if stage.endswith("alone") and not self.at_finalists:
            self.at_finalists = self.ended


def _families(architecture: Architecture) -> str:
    return ", ".join(sorted({str(value) for name, value in architecture.items() if name.endswith("choice")}))


def table(rows: Sequence[Row]) -> str:
    """Returns mean and standard deviation over the seeds, as Markdown."""
    lines = [
        "| data | model | seeds | ours % | published % | ms | MB | parameters | CPU s | note |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data, row.model, row.epochs), []).append(row)
    for (data, model, _), group in groups.items():
        good = [row for row in group if row.test is not None]
        if not good:
            lines.append(f"| {data} | {model} | 0 | failed | | | | | | {group[0].note} |")
            continue
        scores = [row.test for row in good if row.test is not None]
        spread = f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
        published = PUBLISHED.get((data, model), BEST_PUBLISHED.get(data, "") if model.startswith(SEARCH) else "")
        lines.append(
            f"| {data} | {model} | {len(good)} | {statistics.mean(scores):.2f}{spread} | {published} | "
            f"{_mean(good, 'latency_ms'):.2f} | {_mean(good, 'peak_bytes') / 1e6:.1f} | {_mean(good, 'params'):.0f} | "
            f"{_mean(good, 'train_seconds'):.1f} | {good[0].note} |"
        )
    return "\n".join(lines)


def _mean(rows: Sequence[Row], name: str) -> float:
    values = [float(getattr(row, name)) for row in rows if getattr(row, name) is not None]
    return statistics.mean(values) if values else float("nan")


def row_of(stored: dict[str, Any]) -> Row:
    """Returns the row that is stored, without what it was measured on."""
    return Row(**{field.name: stored[field.name] for field in fields(Row)})


def main() -> None:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument(
        "--families", nargs="+", help=f"names of families, or {SEARCH!r}; default: all that are installed"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--trials", type=int, default=150, help="candidates of a search")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print what is stored and measure nothing")
    arguments = parser.parse_args()
    host = Host.load()
    known = {family.name: family for family in families(host)}
    names = arguments.families or [*known, SEARCH]
    for name in names:
        if name not in (*known, SEARCH):
            parser.error(f"--families: unknown {name!r}; installed: {', '.join(known)}, or {SEARCH!r}")
    # What failed is tried again.
    stored = Rows(arguments.results)
    if not arguments.table:
        stored.all = [row for row in stored.all if row["test"] is not None]
    for seed in () if arguments.table else range(arguments.seeds):
        for data in arguments.data:
            for name in names:
                row = Row(data, name, seed, arguments.epochs, DATASETS[data].metric)
                done = {row_of(known_row).key for known_row in stored.all}
                last = Row(data, f"{SEARCH}, trained alone", seed, arguments.epochs, row.metric)
                if (last.key if name == SEARCH else row.key) in done:
                    continue
                measured_rows = (
                    searched(row, host, arguments.trials) if name == SEARCH else alone(row, known[name], host)
                )
                for found in measured_rows:
                    if found.key not in done:
                        stored.add({**asdict(found), "machine": machine()})
                        print(found, flush=True)
    print(table([row_of(row) for row in stored.all]))


if __name__ == "__main__":
    main()
