"""Batch-norm calibration of several networks at once: statistics of a common prefix are gathered once.

The statistics of a layer depend on the batches and on what lies in front of it, so networks with equal prefixes have equal
statistics there after equally many batches. All networks go through the batches together, each until it has settled by
itself, and takes the statistics of that moment. The results are those of ``calibrate``, bit by bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from automl.supernet.calibration import (
    DEFAULT_TOLERANCE,
    CalibrationReport,
    Moments,
    Settling,
    batch_norms,
    calibration_mode,
    write_statistics,
)
from automl.supernet.prefix_tree import PrefixNode, PrefixTree
from automl.supernet.segments import cut_network

__all__ = ["calibrate_group"]


@torch.no_grad()
def calibrate_group(
    networks: Sequence[nn.Module],
    batches: Iterable[tuple[Tensor, ...]],
    *,
    memory: int,
    tolerance: float = DEFAULT_TOLERANCE,
    patience: int = 2,
) -> list[CalibrationReport | Exception]:
    """Sets the statistics of every batch normalisation of several extracted networks; see ``calibrate``.

    Args:
        networks: the networks; no module may belong to two of them.
        batches: input tensors of each batch.
        memory: bytes of activations that may be kept while they are shared; 0 shares nothing.
        tolerance: see ``calibrate``.
        patience: see ``calibrate``.

    Returns:
        For each network its report, or the exception that stood in its way, perhaps because of another network: calibrate
        such a network alone, from a new extraction.

    Raises:
        AutomlError: there are batch normalisations and not a single batch.
    """
    reports: list[CalibrationReport | Exception] = [
        CalibrationReport(layers=0, batches=0, samples=0, change=0.0, settled=True) for _ in networks
    ]
    calibrated = [number for number, network in enumerate(networks) if batch_norms(network)]
    if not calibrated:
        return reports
    chosen = [networks[number] for number in calibrated]
    watched = _Watched(chosen, memory)
    settling = {position: Settling(tolerance, patience) for position in range(len(chosen))}
    running = set(settling)
    statistics: dict[int, list[tuple[nn.Module, Moments]]] = {}
    with watched, calibration_mode(chosen):
        for inputs in batches:
            outputs = watched.run(inputs, running)
            for position in sorted(running):
                output = outputs[position]
                if isinstance(output, Exception):
                    reports[calibrated[position]] = output
                    running.discard(position)
                    continue
                settling[position].add(len(inputs[0]), [m for _, m in watched.statistics(position)])
                if settling[position].settled:
                    statistics[position] = watched.statistics(position)
                    running.discard(position)
            if not running:
                break
        statistics.update({position: watched.statistics(position) for position in running})
    for position, layers in statistics.items():
        reports[calibrated[position]] = settling[position].report([m for _, m in layers])
        for layer, moments in layers:
            write_statistics(layer, moments)
    return reports


class _Watched:
    """Networks joined at their prefixes, whose batch normalisations are watched, each common one once.

    Args:
        networks: the networks.
        memory: bytes of activations that may be kept.
    """

    def __init__(self, networks: Sequence[nn.Module], memory: int) -> None:
        self._tree: Final = PrefixTree(networks, memory=memory)
        self._segments: Final = [cut_network(network) for network in networks]
        self._moments: Final[dict[nn.Module, Moments]] = {}
        self._done: Final[set[PrefixNode]] = set()
        self._recording = False
        self._handles: Final[list[RemovableHandle]] = []

    def __enter__(self) -> None:
        for node in {node: None for path in self._tree.paths for node in path}:
            self._handles.extend(layer.register_forward_pre_hook(self._watch) for layer in batch_norms(node.segment))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def run(self, inputs: tuple[Tensor, ...], members: Collection[int]) -> dict[int, Any]:
        """Runs some of the networks on one batch."""
        self._done.clear()
        return self._tree.run(inputs, members, self._call)

    def statistics(self, member: int) -> list[tuple[nn.Module, Moments]]:
        """Returns the layers of one network that were reached, with their moments as they are now."""
        found = []
        for node, segment in zip(self._tree.paths[member], self._segments[member], strict=True):
            for layer, common in zip(batch_norms(segment), batch_norms(node.segment), strict=True):
                if common in self._moments:
                    found.append((layer, self._moments[common].copy()))
        return found

    def _call(self, node: PrefixNode, value: Any) -> Any:
        # A segment whose value could not be kept runs once for each branch; its statistics count once.
        self._recording = node not in self._done
        result = node.segment(value)
        self._done.add(node)
        return result

    def _watch(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._recording:
            self._moments.setdefault(layer, Moments()).add(inputs[0])
