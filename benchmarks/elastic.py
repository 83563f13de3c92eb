"""Supernet budgets: activate, extract, forward of the active subnetwork, sampling; each beside a peer in the same run.

    python benchmarks/elastic.py [--image 224 32] [--threads 1 2] [--repeats 30] [--seconds 10]

The network is the shared space ``image/mobile`` (MobileNetV3-Large as in once-for-all, 45 dimensions) with 1000 classes and
random weights. Times are taken in turns (A B C A B C) in one process; a row of the table is a median with its 95 %
interval, and ratios are medians of the ratios within a turn. Once-for-all itself is not installed; its published way is
rebuilt here as the peer: layers that slice weights in every forward pass, and a subnetwork that is built by ordinary
constructors and then filled with ``copy_``. On a machine that does other work, the time of the processor tells more than
the wall clock; ratios within a turn suffer least. All samples go to ``benchmarks/results/elastic.json``.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from automl_vision.mobile_head import MobileHead
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.host import Host
from automl.objectives.context import cpu_name, versions
from automl.objectives.timing import interleaved_times, median_interval, steady_machine
from automl.space import Architecture, SearchSpace
from automl.supernet import Supernet, build_supernet, load_skeleton

RESULTS: Final = Path(__file__).parent / "results" / "elastic.json"
CLASSES: Final = 1000


class SlicedConv2d(nn.Module):
    """Peer: a convolution that cuts its weight in every forward pass, as once-for-all does."""

    def __init__(self, layer: elastic.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        inp, out, kernel, groups = (
            int(layer.in_channels),
            int(layer.out_channels),
            int(layer.kernel_size),
            int(layer.groups),
        )
        start = (layer.weight.shape[2] - kernel) // 2
        weight = layer.weight[:out, : inp // groups, start : start + kernel, start : start + kernel].contiguous()
        bias = None if layer.bias is None else layer.bias[:out]
        return F.conv2d(x, weight, bias, layer.stride, (kernel - 1) // 2, 1, groups)


class SlicedBatchNorm2d(nn.Module):
    """Peer: a batch normalisation that cuts its vectors in every forward pass."""

    def __init__(self, layer: elastic.BatchNorm2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer, n = self.layer, x.shape[1]
        mean, variance = layer.running_mean[:n], layer.running_var[:n]
        return F.batch_norm(x, mean, variance, layer.weight[:n], layer.bias[:n], self.training, 0.1, layer.eps)


class SlicedLinear(nn.Module):
    """Peer: a linear layer that cuts its weight in every forward pass."""

    def __init__(self, layer: elastic.Linear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        inp, out = int(layer.in_features), int(layer.out_features)
        return F.linear(x, layer.weight[:out, :inp].contiguous(), layer.bias[:out])


SLICED: Final[Mapping[type[nn.Module], Callable[[Any], nn.Module]]] = {
    elastic.Conv2d: SlicedConv2d,
    elastic.BatchNorm2d: SlicedBatchNorm2d,
    elastic.Linear: SlicedLinear,
}


def sliced(module: nn.Module) -> nn.Module:
    """Returns the network with peers in place of elastic layers; dimensions and weights are shared with it."""
    if type(module) in SLICED:
        return SLICED[type(module)](module).train(module.training)
    result = copy.copy(module)
    result._modules = {name: sliced(child) for name, child in module._modules.items() if child is not None}
    return result


def built_and_filled(plain: nn.Module) -> list[nn.Module]:
    """Peer of extraction: builds every layer by its constructor, initial weights and all, then copies weights in."""
    layers: list[nn.Module] = []
    for layer in plain.modules():
        match layer:
            case nn.Conv2d():
                new: nn.Module = nn.Conv2d(
                    layer.in_channels,
                    layer.out_channels,
                    layer.kernel_size,
                    layer.stride,
                    layer.padding,
                    groups=layer.groups,
                    bias=layer.bias is not None,
                )
            case nn.BatchNorm2d():
                new = nn.BatchNorm2d(layer.num_features)
            case nn.Linear():
                new = nn.Linear(layer.in_features, layer.out_features)
            case _:
                continue
        new.load_state_dict(layer.state_dict())
        layers.append(new)
    return layers


class ImageNet:
    """What the skeleton needs to know of a task."""

    signal = "image"
    input_width = 3
    outputs = CLASSES

    def head(self, width: Any) -> nn.Module:
        return MobileHead(width, CLASSES)


def build(seed: int) -> Supernet:
    """Returns the supernet of ``image/mobile`` in evaluation mode, with random weights and statistics."""
    torch.manual_seed(seed)
    host = Host.load()
    supernet = build_supernet(load_skeleton("image/mobile", host), ImageNet(), host)  # type: ignore[arg-type]
    for layer in supernet.modules():
        if isinstance(layer, elastic.BatchNorm):
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return supernet.eval()


class Report:
    """Collects rows, prints them as they come, and writes all samples at the end."""

    def __init__(self, context: dict[str, Any]) -> None:
        self.context = context
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, samples: list[float], unit: str, budget: float | None = None, **setting: Any) -> None:
        median, low, high, _ = median_interval(samples)
        row = {"what": what, **setting, "unit": unit, "median": median, "low": low, "high": high, "budget": budget}
        if budget is not None:  # undecided: the interval holds the budget
            row["verdict"] = "met" if high <= budget else "NOT MET" if low > budget else "undecided"
        self.rows.append({**row, "samples": samples})
        verdict = "" if budget is None else f"  budget ≤ {budget:g}  {row['verdict']}"
        words = " ".join(f"{key}={value}" for key, value in setting.items())
        print(f"{what:46s} {words:44s} {median:9.3f} {unit:3s} [{low:.3f}, {high:.3f}]{verdict}", flush=True)

    def ratio(
        self, what: str, ours: list[float], peer: list[float], budget: float | None = None, **setting: Any
    ) -> None:
        """Adds the ratio of two functions that were timed in turns."""
        self.add(what, [a / b for a, b in zip(ours, peer, strict=True)], "×", budget, **setting)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"context": self.context, "rows": self.rows}, indent=1) + "\n", encoding="utf-8")


def in_turns(
    repeats: int,
    seconds: float,
    *functions: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Times functions in turns; an exception of one of them ends the benchmark."""
    results = []
    for samples in interleaved_times(functions, repeats=repeats, warmup=2, budget=seconds, clock=clock):
        if isinstance(samples, Exception):
            raise samples
        results.append(samples)
    return results


def scaled(samples: list[float], factor: float) -> list[float]:
    return [sample * factor for sample in samples]


def measure_space(report: Report, supernet: Supernet, repeats: int, seconds: float, seed: int) -> None:
    """Activation and sampling, which run no tensor operation."""
    space: SearchSpace = supernet.space
    rng = np.random.default_rng(seed)
    architectures = [space.sample(rng) for _ in range(64)]
    position = iter(range(10**9))
    layers = [{"value": None} for _ in range(len(space.dimensions))]
    names = dict(zip(space.dimensions, layers, strict=True))
    values = [dict(a) for a in architectures]
    choices = {name: dimension.choices for name, dimension in space.dimensions.items()}

    def activate() -> None:
        supernet.activate(architectures[next(position) % 64])

    def plain_activate() -> None:
        for name, value in values[next(position) % 64].items():
            names[name]["value"] = value

    def sample() -> Architecture:
        return space.canonical(dict(space.sample(rng)))

    def plain_sample() -> dict[str, Any]:
        return {name: options[int(rng.random() * len(options))] for name, options in choices.items()}

    dimensions = len(space.dimensions)
    ours, peer = in_turns(repeats, seconds, activate, plain_activate)
    report.add("activate", scaled(ours, 1e6), "µs", 20, dimensions=dimensions)
    report.ratio("activate ÷ writing 45 dictionary entries", ours, peer)
    ours, peer = in_turns(repeats, seconds, sample, plain_sample)
    report.add("sample + canonicalise", scaled(ours, 1e6), "µs", 100, dimensions=dimensions)
    report.ratio("sample + canonicalise ÷ independent draws", ours, peer)


def measure_extraction(report: Report, supernet: Supernet, repeats: int, seconds: float, seed: int) -> None:
    """Extraction beside building the same layers by their constructors, and beside ``deepcopy`` of the result."""
    for name, architecture in anchors(supernet, seed).items():
        plain = supernet.extract(architecture)
        convolutions = sum(isinstance(m, nn.Conv2d) for m in plain.modules())
        ours, built, copied = in_turns(
            repeats,
            seconds,
            lambda a=architecture: supernet.extract(a),  # type: ignore[misc]
            lambda p=plain: built_and_filled(p),  # type: ignore[misc]
            lambda p=plain: copy.deepcopy(p),  # type: ignore[misc]
        )
        megabytes = round(sum(p.nbytes for p in plain.parameters()) / 1e6, 1)
        setting = {"architecture": name, "convolutions": convolutions, "MB": megabytes}
        report.add("extract", scaled(ours, 1e3), "ms", 20, **setting)
        report.ratio("extract ÷ constructors and copy_", ours, built, architecture=name)
        report.ratio("extract ÷ deepcopy of the result", ours, copied, architecture=name)


def measure_new_extractions(report: Report, supernet: Supernet, repeats: int, seconds: float, seed: int) -> None:
    """Extraction of another random architecture each time, as in a search."""
    rng = np.random.default_rng(seed + 1)
    architectures = iter([supernet.space.sample(rng) for _ in range(100 * repeats)])
    for name, clock in {"extract": time.perf_counter, "extract, time of the processor": time.thread_time}.items():
        (times,) = in_turns(repeats, seconds, lambda: supernet.extract(next(architectures)), clock=clock)
        report.add(name, scaled(times, 1e3), "ms", 20, architecture="another random one each time")


def measure_forward(
    report: Report, supernet: Supernet, image: int, batch: int, threads: int, repeats: int, seconds: float, seed: int
) -> None:
    """Forward of the active subnetwork beside the extracted one and the peer that slices in every pass."""
    peer_network = sliced(supernet.network)
    budget = 1.10 if batch == 1 else 1.03
    for name, architecture in anchors(supernet, seed).items():
        supernet.activate(architecture)
        plain = supernet.extract(architecture)
        x = torch.randn(batch, 3, image, image, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(supernet(x), plain(x)), "the active subnetwork differs from the extracted one"
        torch.testing.assert_close(peer_network(x), plain(x), rtol=1e-3, atol=1e-3)
        active, extracted, peer = in_turns(
            repeats,
            seconds,
            lambda x=x: supernet.network(x),  # type: ignore[misc]
            lambda x=x, p=plain: p(x),  # type: ignore[misc]
            lambda x=x: peer_network(x),  # type: ignore[misc]
        )
        setting = {"architecture": name, "image": image, "batch": batch, "threads": threads}
        report.add("extracted forward", scaled(extracted, 1e3), "ms", **setting)
        report.ratio("active ÷ extracted forward", active, extracted, budget, **setting)
        report.ratio("peer (slices every pass) ÷ extracted forward", peer, extracted, **setting)
        if batch == 1:
            first = first_passes(supernet, architecture, x, min(repeats, 10))
            report.ratio(
                "first forward after activate ÷ extracted",
                first,
                [float(np.median(extracted))] * len(first),
                **setting,
            )


def first_passes(supernet: Supernet, architecture: Architecture, x: Tensor, repeats: int) -> list[float]:
    """Times the first forward pass after another subnetwork was active, which makes the dense slices."""
    others = [supernet.space.smallest(), supernet.space.largest()]
    times = []
    for _ in range(repeats):
        for other in others:
            supernet.activate(other)
            supernet.network(x)
        supernet.activate(architecture)
        start = time.perf_counter()
        supernet.network(x)
        times.append(time.perf_counter() - start)
    return times


def anchors(supernet: Supernet, seed: int) -> dict[str, Architecture]:
    """The architectures that are measured."""
    space = supernet.space
    return {
        "smallest": space.smallest(),
        "random": space.sample(np.random.default_rng(seed)),
        "largest": space.largest(),
    }


def main() -> None:
    """Measures, prints the table and writes the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=int, nargs="+", default=[224, 32], help="edges of the image, in pixels")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], help="images in a batch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of torch threads")
    parser.add_argument("--repeats", type=int, default=30, help="turns of each comparison")
    parser.add_argument("--seconds", type=float, default=10.0, help="longest time for one function in a comparison")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    supernet = build(options.seed)
    report = Report(
        {
            "cpu": cpu_name(),
            "load": os.getloadavg(),
            "versions": versions("torch", "numpy"),
            "space": "image/mobile",
            "dtype": "float32",
            "runtime": "eager, gradients off",
            "parameters": sum(p.numel() for p in supernet.parameters()),
            "options": {k: str(v) for k, v in vars(options).items() if k != "output"},
        }
    )
    print(json.dumps(report.context), flush=True)
    with torch.no_grad():
        with steady_machine(1):
            measure_space(report, supernet, options.repeats, options.seconds, options.seed)
        for threads in options.threads:
            with steady_machine(threads):
                if threads == 1:
                    measure_new_extractions(report, supernet, options.repeats, options.seconds, options.seed)
                    measure_extraction(report, supernet, options.repeats, options.seconds, options.seed)
                for image in options.image:
                    for batch in options.batch:
                        measure_forward(
                            report, supernet, image, batch, threads, options.repeats, options.seconds, options.seed
                        )
    report.context["load at the end"] = os.getloadavg()
    report.write(options.output)


if __name__ == "__main__":
    main()
