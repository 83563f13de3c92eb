"""Large and sparse, or small and dense? Tickets of all kinds at equal numbers of parameters that are not zero, on digits.

    python benchmarks/tickets.py [--model mlp|tiny] [--seeds 5] [--epochs 60] [--sparsity 0.9 0.95 0.98] [--only NAME ...]

Every row is one training from random weights, with the same data order, optimiser, schedule and epochs for all contestants of a
seed. ``mlp`` is 64-128-128-10; ``tiny`` is the largest network of the space image/tiny (needs automl-vision). The
small dense peers are the width, or the network of the space, whose number of parameters comes nearest to what the large sparse
one keeps; the channel ticket removes as many channels as give that number. Rows go to ``benchmarks/results/tickets.json``
as they are finished, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from automl import elastic
from automl.atomic_write import write_atomically
from automl.host import Host
from automl.objectives.context import cpu_name
from automl.objectives.params import count_params
from automl.space import Architecture, Ordinal
from automl.supernet import Supernet, build_supernet, load_skeleton
from automl.tasks import ImageClassification
from automl.tickets import (
    ChannelGroup,
    Gradual,
    Iterative,
    OneShot,
    Pruner,
    SuperTickets,
    find_channel_groups,
    prune_network,
    remove_channels,
    storage_report,
)
from automl.tickets.channels import prove_removal
from automl.training import TrainingConfig

RESULTS: Final = Path(__file__).parent / "results" / "tickets.json"
WIDE: Final = 128
SAMPLES: Final = 2000
"""Networks of a space among which the small dense peer is looked for."""


@dataclass(frozen=True)
class Row:
    """One training."""

    model: str
    contestant: str
    sparsity: float
    seed: int
    epochs: int
    accuracy: float
    validation_accuracy: float
    nonzero: int
    parameters: int
    dense_bytes: int
    sparse_bytes: int
    revived: int
    seconds: float

    @property
    def key(self) -> tuple[str, str, float, int, int]:
        """What a row is not repeated for."""
        return self.model, self.contestant, self.sparsity, self.seed, self.epochs


class Perceptron(nn.Sequential):
    """64 pixels, two hidden layers of one width each, 10 logits."""

    def __init__(self, width: int) -> None:
        first, second = Ordinal(width), Ordinal(width)
        super().__init__(
            nn.Flatten(),
            elastic.Linear(64, first),
            nn.ReLU(),
            elastic.Linear(first, second),
            nn.ReLU(),
            elastic.Linear(second, 10),
        )


class Family:
    """Networks of one kind in all sizes.

    Args:
        name: ``"mlp"`` or ``"tiny"``.
        task: what they are trained on.
        seed: decides the weights.
    """

    def __init__(self, name: str, task: ImageClassification, seed: int) -> None:
        self.name = name
        self._seed = seed
        self._task = task
        if name == "tiny":
            host = Host.load()
            torch.manual_seed(seed)
            self.wide = build_supernet(load_skeleton("image/tiny", host), task, host)
        else:
            torch.manual_seed(seed)
            self.wide = Supernet(Perceptron(WIDE))
        self.architecture: Architecture = self.wide.space.largest()

    def large(self) -> nn.Module:
        """Returns the large network with the weights of the seed."""
        return self.wide.extract(self.architecture)

    def small(self, parameters: int) -> nn.Module:
        """Returns a network of about so many parameters, with weights of the seed drawn at its own size."""
        torch.manual_seed(self._seed)
        if self.name == "mlp":
            width = min(range(2, WIDE + 1), key=lambda w: abs(_perceptron_parameters(w) - parameters))
            network = Supernet(Perceptron(width))
            return network.extract(network.space.largest())
        rng = np.random.default_rng(0)
        drawn = {self.wide.space.sample(rng) for _ in range(SAMPLES)}
        sizes = {a: count_params(self.wide.extract(a)) for a in sorted(drawn, key=lambda a: a.id)}
        nearest = min(sizes, key=lambda a: (abs(sizes[a] - parameters), a.id))
        model = self.wide.extract(nearest)
        for module in model.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
        return model

    def groups(self) -> list[ChannelGroup]:
        """Returns the channels that can be taken out of the large network."""
        inputs = self._task.example_inputs(5)
        return find_channel_groups(self.wide, self.architecture, self.large().eval(), inputs)

    def couple(self, pruner: Pruner, model: nn.Module) -> None:
        """Tells a pruner which channels a large network has, if it wants to know."""
        pruner.couple(self.groups() if pruner.removes_channels else (), model.eval(), self._task.example_inputs(5))

    def channel_sparsity(self, parameters: int) -> float:
        """Returns the share of channels without which the large network has about so many parameters."""
        groups, sizes = self.groups(), {}
        for percent in range(100):
            model = self.large()
            for group in groups:
                remove_channels(model, group, torch.arange(min(round(percent / 100 * group.units), group.units - 1)))
            sizes[percent / 100] = count_params(model)
        return min(sizes, key=lambda share: abs(sizes[share] - parameters))


def _perceptron_parameters(width: int) -> int:
    return 64 * width + width + width * width + width + 10 * width + 10


def contestants(family: Family, sparsity: float, epochs: int) -> dict[str, Callable[[], tuple[nn.Module, Pruner]]]:
    """Returns what is compared at one sparsity, by name: network and compressor."""
    prunable = sum(p.numel() for p in family.large().parameters() if p.ndim > 1)
    kept = count_params(family.large()) - round(sparsity * prunable)

    def pruned(pruner: Pruner) -> tuple[nn.Module, Pruner]:
        model = family.large()
        family.couple(pruner, model)
        return model, pruner

    return {
        "large-sparse": lambda: pruned(Gradual(sparsity=sparsity)),
        "small-dense": lambda: (family.small(kept), OneShot(sparsity=0.0)),
        "random mask": lambda: pruned(OneShot(sparsity=sparsity, criterion="random", scope="layer")),
        "channel ticket": lambda: pruned(
            Gradual(sparsity=family.channel_sparsity(kept), granularity="channel", scope="layer")
        ),
        "large-sparse, equal layers": lambda: pruned(Gradual(sparsity=sparsity, scope="layer")),
        "large-sparse, by gradient": lambda: pruned(Gradual(sparsity=sparsity, criterion="gradient")),
        "progressive, re-activated": lambda: pruned(SuperTickets(sparsity=sparsity)),
        "iterative, rewound": lambda: pruned(Iterative(sparsity=sparsity, rounds=3)),
        "one-shot at the end": lambda: pruned(OneShot(sparsity=sparsity, start=float(epochs))),
    }


def run(
    family: Family,
    name: str,
    build: Callable[[], tuple[nn.Module, Pruner]],
    *,
    task: ImageClassification,
    sparsity: float,
    seed: int,
    epochs: int,
) -> Row:
    """Trains one contestant and measures it; channels are taken out before anything is counted."""
    started = time.process_time()
    model, pruner = build()
    config = TrainingConfig(
        epochs=epochs,
        learning_rate=0.005,
        weight_decay=0.0,
        validation_subnets=1,
        divergence_factor=1e3,
        label_smoothing=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        pruned = prune_network(model, task, config, compressor=pruner, folder=Path(folder), seed=seed, device="cpu")
    report = storage_report(pruned.model, pruned.masks)
    network = pruned.model
    nonzero, parameters, dense, sparse = report.nonzero, report.parameters, report.dense_bytes, report.sparse_bytes
    if pruner.removes_channels:
        network = copy.deepcopy(pruned.model)
        for group in family.groups():
            remove_channels(network, group, group.dead(pruned.masks))
        prove_removal(pruned.model, network, task.example_inputs(5))
        small = storage_report(network, {})
        nonzero, parameters, dense, sparse = small.nonzero, small.parameters, small.dense_bytes, small.sparse_bytes
    return Row(
        model=family.name,
        contestant=name,
        sparsity=sparsity,
        seed=seed,
        epochs=epochs,
        accuracy=1 - task.evaluate(network, "test", 512)["error"],
        validation_accuracy=1 - task.evaluate(network, "validation", 512)["error"],
        nonzero=nonzero,
        parameters=parameters,
        dense_bytes=dense,
        sparse_bytes=sparse,
        revived=int(pruned.history[-1]["compression"]["revived"]),
        seconds=time.process_time() - started,
    )


def read_rows(path: Path) -> list[Row]:
    """Returns the rows of earlier calls."""
    if not path.is_file():
        return []
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def write_rows(path: Path, rows: list[Row]) -> None:
    """Writes all rows; atomic."""
    context = {
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    path.parent.mkdir(exist_ok=True)
    content: dict[str, Any] = {"context": context, "rows": [asdict(row) for row in rows]}
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def table(rows: list[Row]) -> str:
    """Returns mean and standard deviation over the seeds, and the lead of large-sparse seed by seed, as Markdown."""
    lines = [
        "| model | sparsity | contestant | seeds | test accuracy % | lead of large-sparse | not zero | sparse bytes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, float, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.sparsity, row.contestant), []).append(row)
    for (model, sparsity, name), group in sorted(groups.items()):
        accuracy = [100 * row.accuracy for row in group]
        sparse = {row.seed: 100 * row.accuracy for row in groups.get((model, sparsity, "large-sparse"), [])}
        leads = [sparse[row.seed] - 100 * row.accuracy for row in group if row.seed in sparse]
        lead = f"{statistics.mean(leads):+.1f} ± {_error(leads):.1f}" if leads and name != "large-sparse" else ""
        spread = statistics.stdev(accuracy) if len(accuracy) > 1 else float("nan")
        lines.append(
            f"| {model} | {sparsity:g} | {name} | {len(group)} | {statistics.mean(accuracy):.1f} ± {spread:.1f} | {lead} | "
            f"{statistics.mean(row.nonzero for row in group):.0f} | {statistics.mean(row.sparse_bytes for row in group):.0f} |"
        )
    return "\n".join(lines)


def _error(values: list[float]) -> float:
    """Standard error of a mean."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def main() -> None:
    """Runs what is missing, seed by seed, and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=["mlp", "tiny"], default="mlp")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.9, 0.95, 0.98])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of contestants; left out: all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    arguments = parser.parse_args()
    rows = read_rows(arguments.results)
    done = {row.key for row in rows}
    for seed in range(arguments.seeds):
        task = ImageClassification.load("digits", seed=seed, options={"augment": "none"})
        family = Family(arguments.model, task, seed)
        jobs = [("dense", 0.0, lambda family=family: (family.large(), OneShot(sparsity=0.0)))]
        for sparsity in arguments.sparsity:
            jobs += [(name, sparsity, build) for name, build in contestants(family, sparsity, arguments.epochs).items()]
        for name, sparsity, build in jobs:
            key = (arguments.model, name, sparsity, seed, arguments.epochs)
            if key in done or (arguments.only and name not in arguments.only):
                continue
            rows.append(run(family, name, build, task=task, sparsity=sparsity, seed=seed, epochs=arguments.epochs))
            write_rows(arguments.results, rows)
            print(rows[-1], flush=True)
    print(table([row for row in rows if row.epochs == arguments.epochs]))


if __name__ == "__main__":
    main()
