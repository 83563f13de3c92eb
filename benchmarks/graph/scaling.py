"""How the time of a graph block grows with the size of a graph: stars, where one node hears of all others.

    python benchmarks/graph/scaling.py [--only TEXT] [--largest 5] [--repeats 5] [--seconds 60]

Every row is one block on one graph: a forward pass without gradients, on one thread, median of the repeats, blocks
interleaved. ``growth`` is the time against that of the row before, at a tenth of the size: 10 is linear, 1 is independent of the
size. Sizes of a block end where one pass takes longer than ``--seconds``. Rows go to ``benchmarks/results/graph_scaling.json``
as they are measured; rows of the same block, graph and size are replaced. Another block is one more entry of ``BLOCKS``,
another graph one of ``GRAPHS``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from automl_graph.blocks import LCM, SAGE
from automl_graph.signal import Graph
from torch import nn

from automl.atomic_write import write_atomically
from automl.objectives.context import cpu_name

RESULTS: Final = Path(__file__).parents[1] / "results" / "graph_scaling.json"
WIDTH: Final = 16


@dataclass(frozen=True)
class Row:
    """One block on one graph."""

    graph: str
    block: str
    size: int
    seconds: float
    growth: float | None
    context: dict[str, Any]


def star(leaves: int) -> Graph:
    """Returns a star: every leaf sends to the centre, node 0."""
    source = torch.arange(1, leaves + 1)
    return Graph(torch.randn(leaves + 1, WIDTH), torch.stack([source, torch.zeros_like(source)]))


def lcm(aggregation: str, **options: Any) -> Callable[[], nn.Module]:
    """Returns a builder of a block whose aggregation takes all messages."""
    return lambda: LCM(WIDTH, WIDTH, aggregation=aggregation, max_degree=10**7, residual=False, **options)


GRAPHS: Final[dict[str, Callable[[int], Graph]]] = {"star": star}
BLOCKS: Final[dict[str, Callable[[], nn.Module]]] = {
    "sage, sum": lambda: SAGE(WIDTH, WIDTH, aggregation="sum", residual=False),
    "lcm, balanced tree": lcm("lcm"),
    "lcm, left fold": lcm("lcm", tree="left_fold"),
    "lcm, exact": lcm("lcm_exact"),
    "gru": lcm("gru"),
}


def seconds_of(block: nn.Module, graph: Graph) -> float:
    """Returns the time of one forward pass."""
    started = time.perf_counter()
    with torch.no_grad():
        block(graph)
    return time.perf_counter() - started


def measure(graph_name: str, size: int, names: list[str], repeats: int, limit: float) -> dict[str, float]:
    """Returns the median time of each block, measured in turns; a block slower than the limit is measured once."""
    graph = GRAPHS[graph_name](size)
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


def main() -> None:
    """Measures all blocks on graphs of growing size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="measure the blocks whose name contains this text")
    parser.add_argument("--largest", type=int, default=5, help="power of ten of the largest size")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="no larger size after a pass that took longer")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    context = {"cpu": cpu_name(), "threads": 1, "python": platform.python_version(), "torch": torch.__version__}
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []
    for graph in GRAPHS:
        left = [name for name in BLOCKS if arguments.only in name]
        before: dict[str, float] = {}
        for power in range(2, arguments.largest + 1):
            found = measure(graph, 10**power, left, arguments.repeats, arguments.seconds)
            for name, taken in found.items():
                growth = taken / before[name] if name in before else None
                row = Row(graph, name, 10**power, taken, growth, context)
                key = (row.graph, row.block, row.size)
                rows = [r for r in rows if (r["graph"], r["block"], r["size"]) != key] + [asdict(row)]
                shown = "" if growth is None else f", {growth:.1f} times the row before"
                print(f"{graph} of {row.size}: {name}: {1e3 * taken:.2f} ms{shown}", flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            write_atomically(RESULTS, json.dumps({"rows": rows}, indent=1) + "\n")
            before = found
            left = [name for name in left if found[name] <= arguments.seconds]


if __name__ == "__main__":
    main()
