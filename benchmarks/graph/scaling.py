"""How the time of a graph block grows with the size of a graph, on stars, and the weights of DAGNN with its hops.

    python benchmarks/graph/scaling.py [--only TEXT] [--largest 5] [--repeats 5] [--seconds 60]

A star is a graph where one node hears of all others. Every row of it is one block on one star: a forward pass without gradients,
on one thread, in processor time, median of the repeats, blocks interleaved. Growth is the time against a tenth of the size: 10 is
linear, 1 independent of the size. Sizes of a block end where one pass takes longer than ``--seconds``. Rows go to
``benchmarks/results/graph/scaling.jsonl`` as they are measured, and those that are there are not repeated. Another block is one
more entry of ``BLOCKS``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.blocks import DAGNN, LCM, SAGE
from automl_graph.signal import Graph
from torch import nn

from automl.elastic import specialise
from automl.objectives.params import count_params

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "scaling.jsonl"
WIDTH: Final = 16
HOPS: Final = (1, 10, 100, 1000)


def star(leaves: int) -> Graph:
    """Returns a star: every leaf sends to the centre, node 0."""
    source = torch.arange(1, leaves + 1)
    return Graph(torch.randn(leaves + 1, WIDTH), torch.stack([source, torch.zeros_like(source)]))


def lcm(aggregation: str, **options: Any) -> Callable[[], nn.Module]:
    """Returns a builder of a block whose aggregation takes all messages."""
    return lambda: LCM(WIDTH, WIDTH, aggregation=aggregation, max_degree=10**7, residual=False, **options)


BLOCKS: Final[dict[str, Callable[[], nn.Module]]] = {
    "sage, sum": lambda: SAGE(WIDTH, WIDTH, aggregation="sum", residual=False),
    "lcm, balanced tree": lcm("lcm"),
    "lcm, left fold": lcm("lcm", tree="left_fold"),
    "lcm, exact": lcm("lcm_exact"),
    "gru": lcm("gru"),
}


def seconds_of(block: nn.Module, graph: Graph) -> float:
    """Returns the processor time of one forward pass."""
    started = time.process_time()
    with torch.no_grad():
        block(graph)
    return time.process_time() - started


def measure(size: int, names: Sequence[str], repeats: int, limit: float) -> dict[str, float]:
    """Returns the median time of each block, measured in turns; a block slower than the limit is measured once."""
    graph = star(size)
    blocks = {}
    for name in names:
        torch.manual_seed(0)
        blocks[name] = BLOCKS[name]().eval()
    times: dict[str, list[float]] = {name: [seconds_of(block, graph)] for name, block in blocks.items()}
    for _ in range(repeats):
        for name, block in blocks.items():
            if times[name][0] <= limit / repeats:
                times[name].append(seconds_of(block, graph))
    return {name: statistics.median(found[1:] or found) for name, found in times.items()}


def weights_of_dagnn(hops: int) -> int:
    """Returns the number of weights of a DAGNN of fixed depth."""
    return count_params(specialise(DAGNN(WIDTH, 4, hops=hops, hidden=WIDTH)))


def table(rows: Sequence[Row]) -> str:
    """Returns times, their growth and their ratio to the GRU of the same size, then weights by hops, as Markdown."""
    taken = {(row["block"], row["size"]): row["seconds"] for row in rows if row["kind"] == "star"}
    lines = ["| block | leaves | ms | growth | gru is slower by |", "|---|---|---|---|---|"]
    for (name, size), seconds in sorted(taken.items(), key=lambda item: (list(BLOCKS).index(item[0][0]), item[0][1])):
        growth = f"{seconds / taken[name, size // 10]:.1f}" if (name, size // 10) in taken else ""
        peer = f"{taken['gru', size] / seconds:.1f}" if ("gru", size) in taken else ""
        lines.append(f"| {name} | {size:,} | {1e3 * seconds:.2f} | {growth} | {peer} |")
    hops = ", ".join(f"{row['hops']}: {row['weights']}" for row in rows if row["kind"] == "weights")
    return "\n".join([*lines, f"weights of DAGNN by hops: {hops}"])


def main() -> None:
    """Measures all blocks on stars of growing size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="measure the blocks whose name contains this text")
    parser.add_argument("--largest", type=int, default=5, help="power of ten of the largest size")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="no larger size after a pass that took longer")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(arguments.results)
    for hops in HOPS:
        key = {"kind": "weights", "block": "dagnn", "hops": hops}
        if rows.find(key) is None:
            rows.add({**key, "weights": weights_of_dagnn(hops)})
    left = [name for name in BLOCKS if arguments.only in name]
    for power in range(2, arguments.largest + 1):
        keys = {name: {"kind": "star", "block": name, "size": 10**power} for name in left}
        missing = [name for name in left if rows.find(keys[name]) is None]
        for name, taken in measure(10**power, missing, arguments.repeats, arguments.seconds).items():
            rows.add({**keys[name], "seconds": taken, "repeats": arguments.repeats, "machine": machine()})
            print(f"star of {10**power}: {name}: {1e3 * taken:.2f} ms", flush=True)
        left = [name for name in left if (rows.find(keys[name]) or {})["seconds"] <= arguments.seconds]
    print(table(rows.all))


if __name__ == "__main__":
    main()
