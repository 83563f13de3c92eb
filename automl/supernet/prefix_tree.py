"""Several networks as a tree of segments: what they have in common in front is computed once.

Each network is a path from the root; networks whose first segments are equal bit by bit share these nodes. One pass goes
through the tree in depth, so that at any moment only the values at the forks above the current node are kept. The results
are those of each network alone: the same modules run on the same tensors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, final

from torch import Tensor, nn

from automl.supernet.same_module import same_module
from automl.supernet.segments import cut_network

__all__ = ["PrefixNode", "PrefixTree"]


class PrefixNode:
    """One segment that some networks have in common.

    Attributes:
        segment: the module, taken from the first of these networks.
        members: positions of the networks.
        children: the segments that follow.
        ends: positions of the networks that end here.
    """

    def __init__(self, segment: nn.Module) -> None:
        self.segment: Final = segment
        self.members: Final[list[int]] = []
        self.children: Final[list[PrefixNode]] = []
        self.ends: Final[list[int]] = []
        self.size = 0  # bytes of its value in the largest batch so far


@final
class PrefixTree:
    """Networks joined at their common prefixes.

    Args:
        networks: extracted networks in evaluation mode.
        memory: how many bytes of values may be kept at forks; a value that does not fit is computed again for each
            branch. 0 keeps nothing, so each network is run alone.

    Attributes:
        paths: the nodes of each network, first to last.
        held: most bytes that were kept at one moment so far.
    """

    def __init__(self, networks: Sequence[nn.Module], *, memory: int) -> None:
        self.paths: Final[list[list[PrefixNode]]] = []
        self.held = 0
        self._memory: Final = memory
        self._roots: Final[list[PrefixNode]] = []
        for number, network in enumerate(networks):
            self.paths.append(self._insert(number, cut_network(network)))

    @property
    def shared(self) -> float:
        """Share of all segments that need not be computed, because an earlier network has them."""
        total = sum(map(len, self.paths))
        return 1 - len({id(node) for path in self.paths for node in path}) / total if total else 0.0

    def run(
        self,
        inputs: tuple[Tensor, ...],
        members: Collection[int] | None = None,
        call: Callable[[PrefixNode, Any], Any] | None = None,
    ) -> dict[int, Any]:
        """Returns the output of each network on one batch, or the exception that stood in its way.

        The exception may be due to another network, or to sharing itself: run such a network alone to know.

        Args:
            inputs: the input tensors; they are not changed.
            members: positions of the networks that are wanted; all by default.
            call: runs a segment on a value; by default the segment is called.
        """
        wanted = set(range(len(self.paths)) if members is None else members)
        results: dict[int, Any] = {}
        call = call or _call
        for root in self._roots:
            self._visit(root, inputs, (), wanted, call, results, 0)
        return results

    def _insert(self, number: int, segments: Sequence[nn.Module]) -> list[PrefixNode]:
        path: list[PrefixNode] = []
        level, parent = self._roots, None
        for segment in segments:
            node = None if self._memory <= 0 else next((n for n in level if same_module(n.segment, segment)), None)
            if node is None:
                node = PrefixNode(segment)
                level.append(node)
            node.members.append(number)
            path.append(node)
            level, parent = node.children, node
        if parent is not None:
            parent.ends.append(number)
        return path

    def _visit(
        self,
        node: PrefixNode,
        value: Any,
        pending: tuple[PrefixNode, ...],
        wanted: set[int],
        call: Callable[[PrefixNode, Any], Any],
        results: dict[int, Any],
        held: int,
    ) -> None:
        """Runs a node and all below it; ``pending`` are nodes between ``value`` and this one whose values were not kept."""
        mine = [number for number in node.members if number in wanted]
        branches = [child for child in node.children if any(number in wanted for number in child.members)]
        if not mine:
            return
        pending = (*pending, node)
        forks, ends = len(branches) > 1, any(number in wanted for number in node.ends)
        if ends or not forks or held + node.size <= self._memory:
            try:
                result = value
                for step in pending:
                    result = call(step, result)
            except Exception as error:
                results.update(dict.fromkeys(mine, error))
                return
            results.update({number: result for number in node.ends if number in wanted})
            size = payload_bytes(result) if forks else 0
            node.size = max(node.size, size)
            if held + size <= self._memory or not forks:
                value, pending, held = result, (), held + size
                self.held = max(self.held, held)
            del result
        before = _versions(value) if forks else []
        for child in branches:
            self._visit(child, value, pending, wanted, call, results, held)
        if forks and _versions(value) != before:
            reason = RuntimeError("a block changes its input in place, so nothing in front of it can be shared.")
            results.update(dict.fromkeys(mine, reason))


def payload_bytes(value: Any) -> int:
    """Returns how many bytes the tensors of a value take.

    Example:
        >>> payload_bytes((torch.zeros(3), {"a": torch.zeros(2, dtype=torch.float64)}))
        28
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(value))


def _call(node: PrefixNode, value: Any) -> Any:
    return node.segment(value)


def _versions(value: Any) -> list[int]:
    """How often each tensor was written to; not known of tensors made in inference mode, so that mode is not used."""
    return [tensor._version for tensor in _tensors(value)]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        yield from _tensors(vars(value))
