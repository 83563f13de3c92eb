"""160 nested sub-models in one training against the same sub-models trained alone, on scikit-learn's digits.

    python benchmarks/sorted_models.py [--seeds 3] [--epochs 80] [--alone 32]

The network is a residual perceptron of 5 depths and 32 widths (4, 8, ..., 128): all 160 are trained by the strategy ``sorted``.
``--alone`` of them, spread evenly over the grid, are trained alone from their part of the same initial weights with the same
settings and updates. Errors are those of the test part. Storage is that of the state each way keeps. Rows go to
``benchmarks/results/sorted_models.json`` as they come; those that are there are not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor, nn

from automl import elastic
from automl.atomic_write import write_atomically
from automl.objectives.context import cpu_name, versions
from automl.objectives.params import count_params
from automl.space import Architecture, Ordinal
from automl.supernet import Supernet
from automl.tasks import ImageClassification
from automl.training import SinglePath, SortedNetworks, Strategy, TrainingConfig, train

RESULTS: Final = Path(__file__).parent / "results" / "sorted_models.json"
DEPTHS, WIDTHS = range(5), range(4, 129, 4)


class Residual(nn.Module):
    """``x + linear(relu(x))``."""

    def __init__(self, width: Ordinal) -> None:
        super().__init__()
        self.linear = elastic.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Returns features of the same shape, ``(samples, width)``."""
        return x + self.linear(torch.relu(x))


class ResidualPerceptron(nn.Module):
    """64 pixels, a stream of elastic width with blocks of elastic depth, 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.width = Ordinal(*DEPTHS), Ordinal(*WIDTHS)
        self.stem = elastic.Linear(64, self.width)
        self.blocks = elastic.Repeat([Residual(self.width) for _ in range(max(DEPTHS))], self.depth)
        self.head = elastic.Linear(self.width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits, ``(samples, 10)``."""
        logits: Tensor = self.head(self.blocks(self.stem(x.flatten(1))))
        return logits


def network(seed: int) -> Supernet:
    """Returns the untrained network of a seed."""
    torch.manual_seed(seed)
    return Supernet(ResidualPerceptron())


def trained(supernet: Supernet, strategy: Strategy, task: ImageClassification, seed: int, epochs: int) -> Supernet:
    """Trains with the same settings whatever is trained."""
    config = TrainingConfig(epochs=epochs, validation_samples=1, validation_subnets=1, calibration_samples=2)
    with tempfile.TemporaryDirectory() as folder:
        train(supernet, task, config, strategy=strategy, folder=Path(folder), seed=seed, device="cpu")
    return supernet


def only(seed: int, architecture: Architecture) -> Supernet:
    """Returns the untrained network of a seed in which one sub-model is left, with its part of the initial weights."""
    full = network(seed)
    rules = [{n: [c for c in d.choices if c != architecture[n]]} for n, d in full.space.dimensions.items()]
    return Supernet(full.network, forbidden=rules)


def row(seed: int, epochs: int, alone: int) -> dict[str, Any]:
    """Runs one seed."""
    task = ImageClassification.load("digits", seed=seed, options={"augment": "none"})
    started = time.process_time()
    supernet = trained(network(seed), SortedNetworks(sub_models=160), task, seed, epochs)
    seconds = time.process_time() - started
    members = list(supernet.space.enumerate())
    errors = {a: task.evaluate(supernet.extract(a), "test", 512)["error"] for a in members}
    compared, singles, parameters = members[:: len(members) // alone][:alone], [], 0
    for architecture in compared:
        single = trained(only(seed, architecture), SinglePath(), task, seed, epochs).extract(architecture)
        singles.append(task.evaluate(single, "test", 512)["error"])
        parameters += count_params(single)
    rises = [errors[a] - single for a, single in zip(compared, singles, strict=True)]
    return {
        "seed": seed,
        "epochs": epochs,
        "alone": alone,
        "sub_models": len(members),
        "error_all": statistics.mean(errors.values()),
        "error_largest": errors[supernet.space.largest()],
        "error_compared": statistics.mean(errors[a] for a in compared),
        "error_alone": statistics.mean(singles),
        "rise": statistics.mean(rises),
        "rises": {json.dumps(dict(a)): rise for a, rise in zip(compared, rises, strict=True)},
        "parameters_sorted": count_params(supernet.extract(supernet.space.largest())),
        "parameters_alone": parameters,
        "seconds": seconds,
    }


def main() -> None:
    """Runs what is missing and prints every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--alone", type=int, default=32, help="sub-models that are trained alone")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.is_file() else []
    for seed in range(options.seeds):
        key = {"seed": seed, "epochs": options.epochs, "alone": options.alone}
        if not any(key.items() <= r.items() for r in rows):
            rows.append(row(**key))
            context = {"cpu": cpu_name(), "versions": versions("torch", "numpy")}
            write_atomically(RESULTS, json.dumps({"context": context, "rows": rows}, indent=1) + "\n")
        found = next(r for r in rows if key.items() <= r.items())
        print(
            f"seed {seed}: test error of {found['sub_models']} sub-models {found['error_all']:.2%}, largest "
            f"{found['error_largest']:.2%}; of {options.alone}: sorted {found['error_compared']:.2%}, alone "
            f"{found['error_alone']:.2%}, {100 * found['rise']:+.2f} points; parameters {found['parameters_sorted']:,} against "
            f"{found['parameters_alone']:,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
