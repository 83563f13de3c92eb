"""How the time of scans and of Graph Mamba grows, as ratios.

python benchmarks/graph/gmn_scaling.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from automl_graph.blocks import GMN
from automl_graph.signal import Graph
from automl_graph.ssm import chunked_scan, doubling_scan, sequential_scan


def medians(subjects: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns median seconds of CPU of each call, interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, call in subjects.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def scans(length: int = 4096, channels: int = 64, states: int = 8, repeats: int = 5) -> dict[str, float]:
    """Returns the times of the three scans as ratios to the chunked one."""
    a, b = torch.rand(1, length, channels, states), torch.randn(1, length, channels, states)
    found = medians(
        {scan.__name__: (lambda scan=scan: scan(a, b)) for scan in (chunked_scan, sequential_scan, doubling_scan)},
        repeats,
    )
    return {name: seconds / found["chunked_scan"] for name, seconds in found.items()}


def nodes(
    sizes: tuple[int, ...] = (1000, 2000, 4000), degree: int = 8, repeats: int = 3, **options: object
) -> dict[str, float]:
    """Returns the times of an inference pass at fixed degree as ratios to the smallest graph."""
    block = GMN(16, 16, hidden=32, layers=2, expand=1, states=8, direction="bi", mpnn="none", **options).eval()  # type: ignore[arg-type]

    def run(size: int) -> Callable[[], object]:
        graph = Graph(torch.randn(size, 16), torch.randint(size, (2, degree * size)))

        def call() -> object:
            with torch.no_grad():
                return block(graph)

        return call

    found = medians({str(size): run(size) for size in sizes}, repeats)
    return {name: seconds / found[str(sizes[0])] for name, seconds in found.items()}


def main() -> None:
    """Prints all ratios."""
    print("scans of 4096 steps:", {name: round(ratio, 2) for name, ratio in scans().items()})
    print("nodes, m = 0:", {name: round(ratio, 2) for name, ratio in nodes().items()})
    print("nodes, m = 1:", {name: round(ratio, 2) for name, ratio in nodes(m=1, walks=4).items()})


if __name__ == "__main__":
    main()
