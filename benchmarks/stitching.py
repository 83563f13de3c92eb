"""Stitched networks on scikit-learn's digits: how many are better than a straight line between their anchors.

    python benchmarks/stitching.py [--seeds 5] [--anchor-epochs 20] [--epochs 30] [--only FAMILY]

One row is one pair of anchors and one seed: both are trained alone, stitched, measured with stitching layers that start by
least squares and at random, trained jointly for a short time, and measured again. Errors are those of the test part, which
nothing is chosen by. The line goes from anchor to anchor over multiply-accumulates, once with the anchors as they were given
and once as they are after the joint training. Rows go to ``benchmarks/results/stitching.json`` as they come; rows that are
there are not computed again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from automl_vision.attention import AttentionBlock
from automl_vision.conv_stem import ConvStem
from automl_vision.residual import Residual
from torch import nn

from automl.atomic_write import write_atomically
from automl.elastic import specialise
from automl.objectives.context import cpu_name, versions
from automl.objectives.macs import count_macs
from automl.report.stitching import interpolate
from automl.stitching import StitchedNetwork, split_network
from automl.stitching.assembly import Joining, assemble, split_anchor
from automl.stitching.joint import StitchJoint
from automl.supernet import Supernet, calibrate
from automl.tasks.classifier_head import PooledClassifier
from automl.tasks.image_classification import ImageClassification
from automl.training import SinglePath, TrainingConfig, train

RESULTS: Final = Path(__file__).parent / "results" / "stitching.json"
SAMPLES: Final = 100
Factory = Callable[[], nn.Module]


def residual(width: int, depths: tuple[int, int]) -> Factory:
    """Returns a builder of a residual network of two stages."""

    def build() -> nn.Module:
        blocks = [Residual(width, width, branch="basic") for _ in range(depths[0])]
        blocks += [
            Residual(width if i == 0 else 2 * width, 2 * width, stride=2 if i == 0 else 1, branch="basic")
            for i in range(depths[1])
        ]
        return nn.Sequential(ConvStem(1, width, kernel=3), *blocks, PooledClassifier(2 * width, 10))

    return build


def transformer(width: int, depth: int) -> Factory:
    """Returns a builder of a transformer on maps of half the resolution."""

    def build() -> nn.Module:
        blocks = [AttentionBlock(width, width, heads=2, head_dim=8, ratio=2) for _ in range(depth)]
        return nn.Sequential(ConvStem(1, width, stride=2, kernel=3), *blocks, PooledClassifier(width, 10))

    return build


# Small anchors are so small that they are worse: between two networks without mistakes there is nothing to gain.
FAMILIES: Final[dict[str, tuple[Factory, Factory]]] = {
    "residual": (residual(4, (3, 6)), residual(24, (4, 8))),
    "transformer": (transformer(12, 6), transformer(48, 8)),
    "transformer to residual": (transformer(12, 6), residual(24, (1, 8))),
}


def config(epochs: int, learning_rate: float, label_smoothing: float) -> TrainingConfig:
    """Returns how anchors and stitched networks are trained."""
    return TrainingConfig(
        epochs=epochs,
        learning_rate=learning_rate,
        warmup_epochs=min(1.0, epochs / 4),
        label_smoothing=label_smoothing,
        validation_samples=32,
        divergence_factor=1e3,
        validation_subnets=1,
    )


def error(model: nn.Module, task: ImageClassification) -> float:
    """Returns the test error of an extracted network after its batch norms are calibrated."""
    calibrate(model, [batch.inputs for batch in task.calibration_batches(0, 512, 128)])
    return task.evaluate(model, "test", 512)["error"]


def anchor(factory: Factory, task: ImageClassification, seed: int, epochs: int) -> nn.Module:
    """Returns a network that was trained alone."""
    torch.manual_seed(seed)
    supernet = Supernet(factory())
    with tempfile.TemporaryDirectory() as folder:
        train(
            supernet,
            task,
            config(epochs, 0.01, 0.1),
            strategy=SinglePath(),
            folder=Path(folder),
            seed=seed,
            device="cpu",
        )
    model = specialise(supernet.network).eval()
    calibrate(model, [batch.inputs for batch in task.calibration_batches(0, 512, 128)])
    return model


def stitch(anchors: list[nn.Module], task: ImageClassification, seed: int, *, least_squares: bool) -> StitchedNetwork:
    """Returns the stitched network, its layers fitted or at random."""
    torch.manual_seed(seed)
    (batch,) = task.calibration_batches(0, SAMPLES, SAMPLES)
    split = {
        name: split_anchor(split_network(network), batch.inputs, task.example_inputs(1))
        for name, network in zip("ab", anchors, strict=True)
    }
    return assemble(split, Joining(last_stage=True, least_squares=least_squares))


def measure(network: StitchedNetwork, task: ImageClassification) -> dict[str, tuple[int, float]]:
    """Returns multiply-accumulates and test error of every path."""
    supernet = Supernet(network)
    found = {}
    for architecture in supernet.space.enumerate():
        model = supernet.extract(architecture)
        found[str(architecture["stitch"])] = count_macs(model, task.example_inputs(1)), error(model, task)
    return found


def row(family: str, seed: int, anchor_epochs: int, epochs: int) -> dict[str, Any]:
    """Runs one comparison."""
    started = time.process_time()
    task = ImageClassification.load("digits", seed=seed)
    anchors = [anchor(factory, task, seed, anchor_epochs) for factory in FAMILIES[family]]
    random = measure(stitch(anchors, task, seed, least_squares=False), task)
    network = stitch(anchors, task, seed, least_squares=True)
    fitted = measure(network, task)
    given = sorted(value for name, value in fitted.items() if ">" not in name)
    with tempfile.TemporaryDirectory() as folder:
        train(
            Supernet(network),
            task,
            config(epochs, 0.005, 0.0),
            strategy=StitchJoint(),
            folder=Path(folder),
            seed=seed,
            device="cpu",
        )
    trained = measure(network, task)
    after = sorted(value for name, value in trained.items() if ">" not in name)
    stitches = [name for name in trained if ">" in name]
    return {
        "family": family,
        "seed": seed,
        "anchor_epochs": anchor_epochs,
        "epochs": epochs,
        "cost_ratio": given[1][0] / given[0][0],
        "anchors_given": given,
        "anchors_after": after,
        "stitches": len(stitches),
        "layers": len(network.layers),
        "mean_error_random": statistics.mean(random[name][1] for name in stitches),
        "mean_error_least_squares": statistics.mean(fitted[name][1] for name in stitches),
        "mean_error_after": statistics.mean(trained[name][1] for name in stitches),
        "better_than_line_given": sum(trained[n][1] < interpolate(given, trained[n][0]) for n in stitches),
        "better_than_line_after": sum(trained[n][1] < interpolate(after, trained[n][0]) for n in stitches),
        "paths": {name: list(value) for name, value in trained.items()},
        "seconds": time.process_time() - started,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Returns means over the seeds as Markdown."""
    lines = [
        "| anchors | seeds | cost ratio | stitches | below the line (given) | below the line (after) | error random | "
        "error least squares | error after | CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for family in dict.fromkeys(str(r["family"]) for r in rows):
        group = [r for r in rows if r["family"] == family]
        mean = {
            key: statistics.mean(r[key] for r in group) for key in group[0] if isinstance(group[0][key], int | float)
        }
        lines.append(
            f"| {family} | {len(group)} | {mean['cost_ratio']:.1f} | {mean['stitches']:.0f} | "
            f"{mean['better_than_line_given']:.1f} | {mean['better_than_line_after']:.1f} | "
            f"{mean['mean_error_random']:.1%} | {mean['mean_error_least_squares']:.1%} | {mean['mean_error_after']:.1%} | "
            f"{mean['seconds']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, writes each row as it comes, and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--anchor-epochs", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=30, help="epochs of joint training")
    parser.add_argument("--only", default="", help="families whose name contains this text")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    context = {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions("torch", "numpy")}
    rows: list[dict[str, Any]] = []
    if arguments.output.is_file():
        rows = json.loads(arguments.output.read_text(encoding="utf-8"))["rows"]
    settings = {"anchor_epochs": arguments.anchor_epochs, "epochs": arguments.epochs}
    for seed in range(arguments.seeds):
        for family in FAMILIES:
            key = {"family": family, "seed": seed, **settings}
            if arguments.only not in family or any(key.items() <= r.items() for r in rows):
                continue
            rows.append(row(family, seed, **settings))
            print({name: value for name, value in rows[-1].items() if name != "paths"}, flush=True)
            arguments.output.parent.mkdir(exist_ok=True)
            write_atomically(arguments.output, json.dumps({"context": context, "rows": rows}, indent=1) + "\n")
    print(table([r for r in rows if settings.items() <= r.items()]))


if __name__ == "__main__":
    main()
