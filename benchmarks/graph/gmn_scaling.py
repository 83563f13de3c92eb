"""How time and memory of Graph Mamba grow with the number of nodes, against attention of all nodes to all, and three scans.

    python benchmarks/graph/gmn_scaling.py [--largest 8000] [--repeats 3]

Inference on one thread at eight neighbours a node, width 16: processor time, median of the repeats, networks interleaved, and the
largest number of bytes that are alive at one time. Attention is timed as torch's fused operator; its bytes are those of the plain
one, which holds all scores. In the table, growth is the value against half of the nodes: 2 is linear, 4 quadratic. Rows go to
``benchmarks/results/graph/gmn_scaling.jsonl`` as they are measured, and those that are there are not repeated.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from automl_graph.blocks import GMN
from automl_graph.signal import Graph
from automl_graph.ssm import chunked_scan, doubling_scan, sequential_scan
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from automl.objectives.peak_memory import peak_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "gmn_scaling.jsonl"
WIDTH: Final = 16
DEGREE: Final = 8
SCANS: Final = (chunked_scan, sequential_scan, doubling_scan)
STEPS, CHANNELS, STATES = 4096, 64, 8


class FullAttention(nn.Module):
    """Two layers of attention of every node to all nodes, as wide as the layers of Graph Mamba."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(WIDTH, 32)
        layer = nn.TransformerEncoderLayer(32, 4, dim_feedforward=32, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the features of all nodes."""
        found: Tensor = self.layers(self.enter(x)[None])[0]
        return found


class OnTensors(nn.Module):
    """Graph Mamba between tensors.

    Args:
        tokens: longest walk of the tokens of a node.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.block = GMN(
            WIDTH, WIDTH, hidden=32, layers=2, expand=1, states=8, direction="bi", mpnn="none", m=tokens, walks=4
        )

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the features of all nodes."""
        found: Tensor = self.block(Graph(x, edge_index)).x
        return found


NETWORKS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "GMN, m = 0": lambda: OnTensors(0),
    "GMN, m = 1": lambda: OnTensors(1),
    "full attention": FullAttention,
}


def medians(subjects: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns median seconds of processor time of each call, interleaved, after one call that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for turn in range(repeats + 1):
        for name, call in subjects.items():
            started = time.process_time()
            call()
            if turn:
                seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


@torch.no_grad()
def measure(nodes: int, names: Sequence[str], repeats: int) -> dict[str, tuple[float, int]]:
    """Returns seconds and bytes of one inference pass of each network."""
    torch.manual_seed(0)
    inputs = torch.randn(nodes, WIDTH), torch.randint(nodes, (2, DEGREE * nodes))
    networks = {name: NETWORKS[name]().eval() for name in names}
    calls = {name: (lambda network=network: network(*inputs)) for name, network in networks.items()}
    seconds = medians(calls, repeats)  # type: ignore[arg-type]
    with sdpa_kernel(SDPBackend.MATH):
        return {name: (seconds[name], peak_bytes(network, inputs)) for name, network in networks.items()}


def scans(repeats: int) -> dict[str, float]:
    """Returns the seconds of each scan of the same sequence."""
    torch.manual_seed(0)
    a, b = torch.rand(1, STEPS, CHANNELS, STATES), torch.randn(1, STEPS, CHANNELS, STATES)
    return medians({scan.__name__: (lambda scan=scan: scan(a, b)) for scan in SCANS}, repeats)  # type: ignore[misc]


def table(rows: Sequence[Row]) -> str:
    """Returns times and bytes with their growth, then the scans, as Markdown."""
    found = {(r["network"], r["nodes"]): (r["seconds"], r["bytes"]) for r in rows if r["kind"] == "nodes"}
    lines = ["| network | nodes | ms | growth | MB | growth |", "|---|---|---|---|---|---|"]
    for (name, nodes), values in sorted(found.items(), key=lambda item: (list(NETWORKS).index(item[0][0]), item[0][1])):
        half = found.get((name, nodes // 2))
        growth = [f"{value / before:.2f}" for value, before in zip(values, half, strict=True)] if half else ["", ""]
        lines.append(
            f"| {name} | {nodes:,} | {1e3 * values[0]:.1f} | {growth[0]} | {values[1] / 1e6:.1f} | {growth[1]} |"
        )
    times = ", ".join(f"{row['scan']} {1e3 * row['seconds']:.0f} ms" for row in rows if row["kind"] == "scan")
    return "\n".join([*lines, f"scans of {STEPS} steps: {times}"])


def main() -> None:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--largest", type=int, default=8000, help="nodes of the largest graph")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole layer, at inference only
    rows = Rows(arguments.results)
    if rows.find({"kind": "scan"}) is None:
        for name, seconds in scans(arguments.repeats).items():
            rows.add({"kind": "scan", "scan": name, "seconds": seconds, "machine": machine()})
    nodes = 1000
    while nodes <= arguments.largest:
        keys = {name: {"kind": "nodes", "network": name, "nodes": nodes} for name in NETWORKS}
        missing = [name for name, key in keys.items() if rows.find(key) is None]
        for name, (seconds, size) in measure(nodes, missing, arguments.repeats).items():
            rows.add({**keys[name], "seconds": seconds, "bytes": size, "machine": machine()})
            print(f"{nodes} nodes: {name}: {1e3 * seconds:.1f} ms, {size / 1e6:.1f} MB", flush=True)
        nodes *= 2
    print(table(rows.all))


if __name__ == "__main__":
    main()
