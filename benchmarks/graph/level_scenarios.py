"""Does contrastive training help where labels are few or edges are wrong, and does it hurt where neither is the case?

    python benchmarks/graph/level_scenarios.py [--data cycles-or-trees] [--seeds 3] [--epochs 40] [--scenarios clean]

One network (a layer on nodes, two layers of width 32) is trained as it is, with ``graph-contrastive``, and with the latter
without the contrast itself (``beta`` 0), which leaves the loss on views with fewer edges. Its layers are ``graph.sage`` that
sum, but ``graph.kpath`` on ``triangle-or-not``, where sums over neighbours see nothing. 40 % of the graphs are for training,
20 % for validation, which nothing here uses, and 40 % for the test after the last epoch. Rows go to
``benchmarks/results/graph/level_scenarios.jsonl`` as they are measured; what is there is not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from automl_graph.strategies import GraphContrastive
from automl_graph.tasks import GraphClassification

from automl.host import Host
from automl.supernet import build_supernet, load_skeleton
from automl.training import SinglePath, Strategy, TrainingConfig, train

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "level_scenarios.jsonl"
SPACE: Final = """
space: graph/one
input: graph
slots:
  pre: {from: input, width: 32, blocks: [{graph.mlp: {dropout: 0.1, residual: false}}]}
  message: {from: pre, width: 32, depth: 2, blocks: [BLOCK]}
output: message
head: {graph.readout: {readout: sum}}
"""
SUMS: Final = "{graph.sage: {dropout: 0.1, aggregation: sum, residual: true}}"
PATHS: Final = "{graph.kpath: {dropout: 0.1, k: 2, layers: 1, closing: count, residual: true}}"
SCENARIOS: Final[dict[str, dict[str, Any]]] = {
    "clean": {},
    "noise .3 in training": {"noise": 0.3},
    "noise .3 everywhere": {"noise": 0.3, "noise_on_test": True},
    "5 labels of each class": {"few_shot": 5},
}
STRATEGIES: Final[dict[str, Any]] = {
    "single-path": SinglePath,
    "graph-contrastive": GraphContrastive,
    "graph-contrastive, beta 0": lambda: GraphContrastive(beta=0.0),
}


def measure(data: str, scenario: str, strategy: Strategy, seed: int, epochs: int) -> Row:
    """Trains the network and returns what it gives on test graphs."""
    host = Host.load()
    task = GraphClassification.load(data, seed=seed, options={"validation": 0.2, "test": 0.4, **SCENARIOS[scenario]})
    config = TrainingConfig(
        epochs=epochs,
        validation_subnets=1,
        batch_size=60,
        optimiser="adam",
        learning_rate=0.005,
        weight_decay=0.0,
        label_smoothing=0.0,
    )
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder) / "space.yaml"
        space.write_text(SPACE.replace("BLOCK", PATHS if data == "triangle-or-not" else SUMS), encoding="utf-8")
        torch.manual_seed(seed)
        supernet = build_supernet(load_skeleton(str(space), host), task, host)
        train(supernet, task, config, strategy=strategy, folder=Path(folder), seed=seed, device="cpu")
    found = task.evaluate(supernet, "test", 256)
    return {"accuracy": 1 - found["error"], "loss": found["loss"], "seconds": time.process_time() - started}


def table(rows: Sequence[Row]) -> str:
    """Returns mean and standard deviation of the accuracy in percent, as Markdown."""
    lines = [f"| strategy | {' | '.join(SCENARIOS)} | CPU s |", "|---" * (len(SCENARIOS) + 2) + "|"]
    for strategy in STRATEGIES:
        cells = []
        for scenario in SCENARIOS:
            found = [100 * r["accuracy"] for r in rows if (r["strategy"], r["scenario"]) == (strategy, scenario)]
            cells.append(f"{np.mean(found):.1f} ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else "-")
        seconds = [row["seconds"] for row in rows if row["strategy"] == strategy]
        lines.append(f"| {strategy} | {' | '.join(cells)} | {np.mean(seconds) if seconds else 0:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="cycles-or-trees", help="as for `automl search --data`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Rows(arguments.results)
    for seed in range(arguments.seeds):
        for scenario in arguments.scenarios:
            for name, build in STRATEGIES.items():
                key = {
                    "data": Path(arguments.data).stem,
                    "scenario": scenario,
                    "strategy": name,
                    "seed": seed,
                    "epochs": arguments.epochs,
                }
                if rows.find(key) is None:
                    rows.add(
                        {
                            **key,
                            **measure(arguments.data, scenario, build(), seed, arguments.epochs),
                            "machine": machine(),
                        }
                    )
                    print(f"{scenario}, {name}, seed {seed}: {rows.all[-1]['accuracy']:.3f}", flush=True)
    print(table(rows.where({"data": Path(arguments.data).stem, "epochs": arguments.epochs})))


if __name__ == "__main__":
    main()
