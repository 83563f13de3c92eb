"""Node classification on heterogeneous graphs: LATTE against HAN, HGT and a layer per type.

    python benchmarks/graph/hetero.py [--data planted acm dblp] [--models latte-1 latte-2 han hgt mlp] [--seeds 5] [--epochs 250]

Every network is trained alone on the same split and schedule, of width 64: a layer per type, the block, a linear classifier;
LATTE is the network of the paper. The best epoch on the validation part is measured on the test part. ``planted-2`` is the
planted graph without author features. Rows go to ``benchmarks/results/graph/hetero.jsonl`` as they are measured, and those that
are there are not repeated; ``--table`` prints them and measures nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from automl_graph.hetero import (
    HAN,
    HGT,
    HeteroClassifier,
    HeteroFormat,
    HeteroMLP,
    HeteroNodeClassification,
    LATTEHead,
    planted_papers,
)
from automl_graph.probes.relation_usage import RelationUsage
from automl_graph.standalone import Recipe, train_alone
from torch import Tensor, nn

from automl.elastic import specialise
from automl.objectives.params import count_params

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

DATA: Final = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "hetero.jsonl"
WIDTH: Final = 64
DATASETS: Final = ("planted", "planted-2", "acm", "dblp")
MODELS: Final = ("latte-1", "latte-2", "latte-2-prox", "han", "hgt", "mlp")


class Network(nn.Module):
    """Blocks in a row between tensors."""

    def __init__(self, task: HeteroNodeClassification, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)
        self.format = HeteroFormat.for_task(task)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Returns the logits of the classified nodes."""
        logits: Tensor = self.parts(self.format.pack(*tensors))
        return logits


def task_of(data: str, seed: int) -> HeteroNodeClassification:
    """Returns the task with the split of a seed; public graphs have one split, with 20 labels per class."""
    if data.startswith("planted"):
        return HeteroNodeClassification.of(planted_papers(author_features=data == "planted"), seed=seed)
    path = DATA / "hetero_graphs" / f"{data}.npz"
    return HeteroNodeClassification.load(str(path), seed=seed, options={"split": "20", "normalise": "length"})


def network(data: str, model: str, task: HeteroNodeClassification) -> nn.Module:
    """Returns the plain network of a model; on public graphs joined relations are sampled, else they have millions of edges."""
    joined = "all" if data.startswith("planted") else "sampled"
    width, classes, schema = task.input_width, task.outputs, task.schema
    if model.startswith("latte"):
        head = LATTEHead(
            width,
            classes,
            schema=schema,
            orders=int(model.split("-")[1]),
            head_width=WIDTH,
            joined_edges=joined,
            proximity=1.0 if model.endswith("prox") else 0.0,
        )
        return specialise(Network(task, [head]))
    first = HeteroMLP(width, WIDTH, schema=schema)
    blocks: dict[str, Any] = {
        "han": lambda: HAN(
            WIDTH, WIDTH, schema=schema, order=2, heads=4, head_width=16, joined_edges=joined, updates="labelled"
        ),
        "hgt": lambda: HGT(WIDTH, WIDTH, schema=schema, heads=4, head_width=16),
        "mlp": lambda: HeteroMLP(WIDTH, WIDTH, schema=schema),
    }
    return specialise(Network(task, [first, blocks[model](), HeteroClassifier(WIDTH, classes, schema=schema)]))


def measure(data: str, model: str, seed: int, epochs: int) -> Row:
    """Trains and measures one network."""
    task = task_of(data, seed)
    torch.manual_seed(seed)
    built = network(data, model, task)
    begin = time.process_time()
    trained = train_alone(built, task, Recipe(epochs=epochs, learning_rate=0.005, weight_decay=0.001), seed=seed)
    seconds = time.process_time() - begin
    usage = RelationUsage()(built, *task.example_inputs(1))
    return {
        "test": 100 * (1 - task.evaluate(built, "test", 1)["error"]),
        "validation": 100 * (1 - trained.validation["error"]),
        "best_epoch": trained.epoch,
        "params": count_params(built),
        "train_seconds": seconds,
        "relations": {
            f"{row.order}: {row.relation}": row.mean for row in usage if row.type_name == task.schema.types[0]
        },
    }


def table(rows: Sequence[Row]) -> str:
    """Returns mean and deviation of the test accuracy, and what LATTE listens to."""
    lines = []
    for data in DATASETS:
        for model in MODELS:
            found = [row for row in rows if (row["data"], row["model"]) == (data, model)]
            if not found:
                continue
            accuracy = [row["test"] for row in found]
            spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
            usage = {k: statistics.mean(row["relations"][k] for row in found) for k in found[0]["relations"]}
            shown = ", ".join(f"{k} {v:.2f}" for k, v in usage.items())
            seconds = statistics.mean(row["train_seconds"] for row in found)
            lines.append(
                f"{data:10} {model:13} {statistics.mean(accuracy):5.1f} ± {spread:4.1f} ({len(found)})  "
                f"{found[0]['params']:>9,} weights  {seconds:6.1f} s  {shown}"
            )
    return "\n".join(lines)


def main() -> None:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    rows = Rows(options.results)
    for seed in () if options.table else range(options.seeds):
        for data in options.data:
            for model in options.models:
                key = {"data": data, "model": model, "seed": seed, "epochs": options.epochs}
                if rows.find(key) is None:
                    rows.add({**key, **measure(data, model, seed, options.epochs), "machine": machine()})
                    print(f"{data} seed {seed}: {model}: {rows.all[-1]['test']:.1f}", flush=True)
    print(table(rows.where({"epochs": options.epochs})))


if __name__ == "__main__":
    main()
