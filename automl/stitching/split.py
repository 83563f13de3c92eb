"""A trained network as a chain of segments, cut between its blocks.

Networks of slots know their chain. The forward pass of any other module is traced with ``torch.fx``, blocks staying whole, and
cut behind a block wherever that block's output is the only value that the rest still needs. Blocks are found by
the structure of the module, or named by the user.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any, final

from torch import fx, nn

from automl.errors import SpaceError, did_you_mean
from automl.supernet.network import SkeletonNetwork
from automl.supernet.segments import cut_network

__all__ = ["split_network"]


def split_network(network: nn.Module, cuts: Sequence[str] = ()) -> list[nn.Module]:
    """Returns segments that, applied one after another to the tuple of input tensors, are the forward pass.

    Args:
        network: a plain module.
        cuts: names of submodules, or patterns such as ``blocks.*``, behind which the network is cut. Left out, the blocks
            are the members of every ``nn.Sequential`` and ``nn.ModuleList`` that consist of several layers.

    Raises:
        SpaceError: a name fits no submodule, the forward pass cannot be traced, or there are fewer than two places at which
            a single value is alive.

    Example:
        >>> block = lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        >>> len(split_network(nn.Sequential(nn.Linear(3, 4), block(), block(), nn.Linear(4, 2))))
        4
    """
    chain = cut_network(network)
    if len(chain) > 1 and not cuts:
        # The first segment of slots only packs the inputs: nothing could be joined behind it.
        return [nn.Sequential(*chain[:2]), *chain[2:]] if isinstance(network, SkeletonNetwork) else chain
    blocks = _named(network, cuts) if cuts else _blocks(network)
    if not blocks:
        raise SpaceError(
            "it cannot be split into blocks: no nn.Sequential or nn.ModuleList holds blocks of several layers; name "
            "the modules to cut behind with 'cuts', such as [blocks.*]."
        )
    graph = _trace(network, blocks)
    places = _places(graph, blocks)
    if len(places) < 2:
        raise SpaceError(
            f"it cannot be split: of {len(blocks)} blocks only {len(places)} end where a single tensor is alive; name "
            "modules to cut behind with 'cuts'."
        )
    return _segments(network, graph, places)


def _named(network: nn.Module, cuts: Sequence[str]) -> set[str]:
    names = [name for name, _ in network.named_modules() if name]
    found: set[str] = set()
    for cut in cuts:
        fitting = {name for name in names if _fits(name, cut)}
        if not fitting:
            raise SpaceError(f"cuts: no submodule is called {cut!r}.{did_you_mean(cut, names)}")
        found |= fitting
    return found


def _fits(name: str, pattern: str) -> bool:
    """A star stands for one level, so that ``blocks.*`` are the blocks and not what is in them."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _blocks(network: nn.Module) -> set[str]:
    found: set[str] = set()

    def visit(parent: nn.Module, prefix: str) -> None:
        listed = isinstance(parent, nn.Sequential | nn.ModuleList)
        for name, child in parent.named_children():
            path = f"{prefix}{name}"
            if isinstance(child, nn.Sequential | nn.ModuleList) and any(map(_composite, child.children())):
                visit(child, f"{path}.")
            elif _composite(child) and (listed or isinstance(child, nn.Sequential)):
                found.add(path)

    visit(network, "")
    return found


def _composite(module: nn.Module) -> bool:
    return any(True for _ in module.children())


@final
class _Tracer(fx.Tracer):
    """Traces the modules that hold blocks; everything else stays one node."""

    def __init__(self, blocks: Collection[str]) -> None:
        super().__init__()
        self._blocks = blocks

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(block.startswith(f"{module_qualified_name}.") for block in self._blocks)


def _trace(network: nn.Module, blocks: Collection[str]) -> fx.Graph:
    try:
        return _Tracer(blocks).trace(network)
    except Exception as error:  # tracing runs the code of the user
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SpaceError(
            f"it cannot be split: its forward pass cannot be traced ({reason}); split it by hand into an nn.Sequential."
        ) from error


def _places(graph: fx.Graph, blocks: Collection[str]) -> list[fx.Node]:
    """Returns the nodes behind which the graph is cut, in order: behind blocks and in front of the first one."""
    nodes = [
        node for node in graph.nodes if node.op != "get_attr"
    ]  # weights are copied into every segment that reads them
    position = {node: number for number, node in enumerate(nodes)}
    last_use = {node: max((position[user] for user in node.users), default=-1) for node in nodes}
    output = position[next(node for node in nodes if node.op == "output")]
    calls = [node for node in nodes if node.op == "call_module" and node.target in blocks]
    ends = {position[node] for node in calls} | ({position[calls[0]] - 1} if calls else set())
    places = []
    for end in sorted(ends):
        alive = [node for node in nodes[: end + 1] if last_use[node] > end]
        inner = len(alive) == 1 and alive[0].op != "placeholder"
        if inner and not (last_use[alive[0]] == output and end == output - 1):
            places.append(alive[0])
    return list(dict.fromkeys(places))


def _segments(network: nn.Module, graph: fx.Graph, places: Sequence[fx.Node]) -> list[nn.Module]:
    segments: list[nn.Module] = []
    part = _Part(network)
    for node in graph.nodes:
        part.add(node)
        if node in places:
            segments.append(part.end(node, first=not segments))
            part = _Part(network, start=node)
    segments.append(part.module(first=False))
    return segments


class _Part:
    """Nodes of one segment on their way into a graph of their own."""

    def __init__(self, network: nn.Module, start: fx.Node | None = None) -> None:
        self._network = network
        self._graph = fx.Graph()
        self._copies: dict[fx.Node, fx.Node] = {}
        self._nodes: list[fx.Node] = []
        if start is not None:
            self._copies[start] = self._graph.placeholder("x")

    def add(self, node: fx.Node) -> None:
        if node.op not in ("placeholder", "output"):
            self._nodes.append(node)
        self._copies[node] = self._graph.node_copy(node, self._copy)

    def _copy(self, node: fx.Node) -> fx.Node:
        if node not in self._copies:  # a weight that an earlier segment fetched
            self._copies[node] = self._graph.node_copy(node, self._copy)
        return self._copies[node]

    def end(self, node: fx.Node, *, first: bool) -> nn.Module:
        self._graph.output(self._copies[node])
        return self.module(first=first)

    def module(self, *, first: bool) -> nn.Module:
        self._graph.lint()
        nodes = self._nodes
        if len(nodes) == 1 and nodes[0].op == "call_module" and len(nodes[0].args) == 1 and not nodes[0].kwargs:
            segment = self._network.get_submodule(str(nodes[0].target))
        else:
            segment = fx.GraphModule(self._network, self._graph)
        return _Entry(segment) if first else segment


@final
class _Entry(nn.Module):
    """The first segment: takes the tuple of all inputs."""

    def __init__(self, segment: nn.Module) -> None:
        super().__init__()
        self.segment = segment

    def forward(self, inputs: tuple[Any, ...]) -> Any:
        return self.segment(*inputs)
