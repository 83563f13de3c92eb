"""The second smallest of a multiset of integers: what fixed aggregations cannot do and learned ones can.

    python benchmarks/graph/second_minimum.py [--seeds 3] [--epochs 60] [--only TEXT]

Integers of 4 bits, encoded as the sum of one vector for each bit and its value; one aggregation; a decoder that gives the bits
of the second smallest (duplicates count). Trained on 4,096 multisets of 2 to 8 integers, tested on 1,024 of 16: right means that
all bits are. The first task of Ong and Veličković 2022 (arXiv:2212.08541) at a small size. Also measured: the spread of the
trained aggregation over 20 orders of 64 integers, relative to its size, its algebra defect, and the time for 1,024 messages.
Rows go to ``benchmarks/results/graph/second_minimum.jsonl`` as they are measured; what is there is not measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.aggregators import LCMAggregator, build_aggregator
from automl_graph.probes import AlgebraDefect
from torch import Tensor, nn
from torch.nn import functional as F

from automl.objectives.params import count_params
from automl.supernet import auxiliary_losses

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "second_minimum.jsonl"
BITS: Final = 4
WIDTH: Final = 32
BATCH: Final = 128
TRAIN: Final = 4096
TEST: Final = 1024
AGGREGATIONS: Final = ("sum", "max", "mean", "gru", "gru_reg", "lcm", "lcm_reg", "lcm_exact")


def bits(numbers: Tensor) -> Tensor:
    """Returns the bits of numbers, lowest first, ``(*, 4)``."""
    return (numbers[..., None] >> torch.arange(BITS)) & 1


class Network(nn.Module):
    """Encoder, aggregation, decoder.

    Args:
        aggregation: name of the aggregation.
    """

    def __init__(self, aggregation: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(2 * BITS, WIDTH)
        self.encode = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.aggregate = build_aggregator("aggregation", aggregation, WIDTH, max_messages=4096)
        self.decode = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, BITS))

    def messages(self, numbers: Tensor) -> Tensor:
        """Returns one vector for each number."""
        known: Tensor = self.encode(self.embed(bits(numbers) + 2 * torch.arange(BITS)).sum(-2))
        return known

    def forward(self, numbers: Tensor, index: Tensor, size: int) -> Tensor:
        """Returns one logit for each bit of each multiset."""
        logits: Tensor = self.decode(self.aggregate(self.messages(numbers), index, size))
        return logits


def multisets(count: int, sizes: tuple[int, int], seed: int) -> list[Tensor]:
    """Returns multisets whose sizes are uniform in a range."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(sizes[0], sizes[1] + 1, (count,), generator=generator)
    return [torch.randint(2**BITS, (int(size),), generator=generator) for size in chosen]


def joined(sets: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns all numbers, the set of each, and the bits of the second smallest of each set."""
    index = torch.repeat_interleave(torch.arange(len(sets)), torch.tensor([len(s) for s in sets]))
    return torch.cat(sets), index, bits(torch.stack([s.sort().values[1] for s in sets])).float()


@torch.no_grad()
def accuracy(network: Network, sets: list[Tensor]) -> float:
    """Returns the share of sets of which all bits are right."""
    numbers, index, wanted = joined(sets)
    return float(((network(numbers, index, len(sets)) > 0) == (wanted > 0.5)).all(1).double().mean())


@torch.no_grad()
def spread(network: Network, count: int = 64) -> float:
    """Returns the deviation of the aggregate over random orders, relative to its mean size."""
    x = network.messages(multisets(1, (count, count), 7)[0])
    index = torch.zeros(count, dtype=torch.int64)
    orders = [torch.randperm(count, generator=torch.Generator().manual_seed(seed)) for seed in range(20)]
    results = torch.stack([network.aggregate(x[order], index, 1)[0] for order in orders])
    return float(results.std(0).mean() / results.abs().mean())


@torch.no_grad()
def milliseconds(network: Network, count: int = 1024, repeats: int = 5) -> float:
    """Returns the median time to aggregate one set."""
    x, index, times = torch.randn(count, WIDTH), torch.zeros(count, dtype=torch.int64), []
    for _ in range(repeats):
        started = time.perf_counter()
        network.aggregate(x, index, 1)
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def train(aggregation: str, seed: int, epochs: int) -> Row:
    """Trains one network and measures it."""
    started = time.process_time()
    torch.manual_seed(seed)
    network = Network(aggregation)
    sets = multisets(TRAIN, (2, 8), seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
    steps = epochs * (TRAIN // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.003, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(TRAIN).split(BATCH):
            numbers, index, wanted = joined([sets[row] for row in rows])
            with auxiliary_losses() as losses:
                logits = network(numbers, index, len(rows))
            loss = F.binary_cross_entropy_with_logits(logits, wanted) + sum(losses)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    seconds = time.process_time() - started
    network.eval()
    with torch.no_grad():
        states = network.messages(torch.arange(2**BITS))
    learned = network.aggregate.operator if isinstance(network.aggregate, LCMAggregator) else None
    return {
        "accuracy_at_8": accuracy(network, multisets(TEST, (8, 8), 10_000)),
        "accuracy_at_16": accuracy(network, multisets(TEST, (16, 16), 10_001)),
        "spread": spread(network),
        "defect": None if learned is None else AlgebraDefect()(learned, states),
        "milliseconds_of_1024": milliseconds(network),
        "parameters": count_params(network),
        "seconds": seconds,
    }


def main() -> None:
    """Runs what is not in the file yet, and prints means over the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--only", default="", help="the aggregations whose name contains this text")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(arguments.results)
    for seed in range(arguments.seeds):
        for aggregation in AGGREGATIONS:
            key = {"aggregation": aggregation, "seed": seed, "epochs": arguments.epochs}
            if arguments.only in aggregation and rows.find(key) is None:
                found = train(aggregation, seed, arguments.epochs)
                rows.add({**key, **found, "machine": machine()})
                print({**key, **found}, flush=True)
    print(
        "| aggregation | seeds | right at 8 | right at 16 | spread | defect | ms for 1,024 |\n|---|---|---|---|---|---|---|"
    )
    for aggregation in AGGREGATIONS:
        group = rows.where({"aggregation": aggregation, "epochs": arguments.epochs})
        if group:
            means = [statistics.mean(r[k] for r in group) for k in ("accuracy_at_8", "accuracy_at_16", "spread")]
            defects = [r["defect"] for r in group if r["defect"] is not None]
            defect = f"{statistics.mean(defects):.3f}" if defects else "-"
            taken = statistics.median(r["milliseconds_of_1024"] for r in group)
            print(
                f"| {aggregation} | {len(group)} | {means[0]:.1%} | {means[1]:.1%} | {means[2]:.4f} | {defect} | {taken:.2f} |"
            )


if __name__ == "__main__":
    main()
