"""Search spaces in YAML: a directed acyclic graph of slots. No torch in here.

space: image/hybrid
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [16, 24, 32], stride: 2}
  stage1: {from: stem,  blocks: ["*"], width: [24, 32, 48], depth: [1, 2, 3]}
output: stage1
head: auto
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import networkx
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from automl.errors import ConfigError, did_you_mean
from automl.options import parse_options
from automl.space import Rule
from automl.supernet.definition import KeptChoices, SpaceDefinition
from automl.yaml_file import YamlFile, read_yaml

if TYPE_CHECKING:
    from automl.host import Host
    from automl.supernet.supernet import Supernet
    from automl.tasks.task import Task

__all__ = ["BlockEntry", "Skeleton", "Slot", "parse_skeleton", "read_skeleton"]

INPUT = "input"
SlotName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
PositiveInt: TypeAlias = Annotated[int, Field(gt=0, strict=True)]
Count: TypeAlias = Annotated[int, Field(ge=0, strict=True)]
BlockEntry: TypeAlias = str | dict[str, dict[str, Any]]
"""A block name, or one block name with options: ``{vision.mbconv: {kernel: [3, 5]}}``."""
Jump: TypeAlias = Literal["last", "max", "mean"]


def _check_names(entries: Sequence[BlockEntry]) -> None:
    for entry in entries:
        if isinstance(entry, dict) and len(entry) != 1:
            raise ValueError(
                "an entry with options holds exactly one block name, such as {vision.mbconv: {kernel: [3, 5]}}"
            )


class Slot(BaseModel):
    """One place of the skeleton that candidate blocks compete for."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: str | Annotated[list[str], Field(min_length=1)] = Field(
        alias="from", description="slot or slots whose output comes in; 'input' is the network's input"
    )
    blocks: Annotated[list[BlockEntry], Field(min_length=1)] = Field(
        description="candidate blocks; '*' stands for every installed block that fits"
    )
    width: PositiveInt | Annotated[list[PositiveInt], Field(min_length=1)] | SlotName | None = Field(
        None,
        description="number of output features, its choices, or an earlier slot whose width is shared; left out: as it comes",
    )
    depth: Count | Annotated[list[Count], Field(min_length=1)] = Field(
        1, description="number of blocks in a row, or choices"
    )
    jump: Jump | Annotated[list[Jump], Field(min_length=1)] = Field(
        "last",
        description="what leaves the slot: the output of the last block, or the mean or maximum of those of all blocks",
    )
    stride: PositiveInt = Field(1, description="down-sampling factor of the first block")
    merge: Literal["sum", "concat"] | None = Field(None, description="how several inputs are joined")

    @field_validator("width", "depth")
    @classmethod
    def _increasing(cls, value: Any) -> Any:
        if isinstance(value, list) and any(a >= b for a, b in pairwise(value)):
            raise ValueError(f"choices must increase; write {sorted(set(value))}")
        return value

    @field_validator("jump")
    @classmethod
    def _different(cls, value: Any) -> Any:
        if isinstance(value, list) and len(set(value)) < len(value):
            raise ValueError(f"choices must differ; write {list(dict.fromkeys(value))}")
        return value

    @field_validator("blocks")
    @classmethod
    def _one_name_each(cls, value: list[BlockEntry]) -> list[BlockEntry]:
        _check_names(value)
        return value

    @property
    def sources(self) -> list[str]:
        """The slots whose output comes in."""
        return [self.source] if isinstance(self.source, str) else self.source


class Skeleton(SpaceDefinition):
    """A whole search space: slots, how they connect, and what is forbidden."""

    space: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]+$")] = Field(description="name of the space")
    description: str = Field("", description="one sentence for lists")
    input: str = Field(description="signal kind of the network's input, such as 'image'")
    slots: Annotated[dict[SlotName, Slot], Field(min_length=1)] = Field(description="the slots by name")
    output: str = Field(description="slot whose output goes to the head")
    head: BlockEntry | Annotated[list[BlockEntry], Field(min_length=1)] = Field(
        "auto", description="'auto' takes the task's own head; or the name of a head block, or several that compete"
    )
    forbid: list[dict[str, Any]] = Field(
        default_factory=list, description="combinations of dimension values not allowed"
    )
    only: KeptChoices = Field(
        default_factory=dict, description="choices that dimensions keep; those left out are whole"
    )

    @field_validator("head")
    @classmethod
    def _one_head_each(cls, value: BlockEntry | list[BlockEntry]) -> BlockEntry | list[BlockEntry]:
        _check_names(value if isinstance(value, list) else [value])
        return value

    @property
    def heads(self) -> list[BlockEntry]:
        """The heads that compete; often one."""
        return self.head if isinstance(self.head, list) else [self.head]

    @classmethod
    def parse(cls, file: YamlFile) -> Skeleton:
        return parse_skeleton(file)

    def build(self, task: Task, host: Host) -> Supernet:
        from automl.supernet.build import build_skeleton  # torch is needed for building only

        return build_skeleton(self, task, host)

    @property
    def rules(self) -> list[Rule]:
        """The forbidden combinations as a space takes them."""
        return list(self.forbid)

    def graph(self) -> networkx.DiGraph[str]:
        """Returns the slots as a graph from ``input`` to ``head``."""
        graph: networkx.DiGraph[str] = networkx.DiGraph()
        graph.add_node(INPUT)
        for name, slot in self.slots.items():
            graph.add_node(name, slot=slot)
            graph.add_edges_from((source, name) for source in slot.sources)
        graph.add_edge(self.output, "head")
        return graph

    def order(self) -> list[str]:
        """Returns the slot names with every slot after its sources."""
        position = {name: i for i, name in enumerate((INPUT, *self.slots, "head"))}
        order = networkx.lexicographical_topological_sort(self.graph(), key=position.__getitem__)
        return [name for name in order if name in self.slots]


def read_skeleton(path: Path) -> Skeleton:
    """Reads and validates a search space file.

    Raises:
        ConfigError: the file is unreadable or malformed; names file, line and key, and the nearest valid name.
    """
    file = read_yaml(path)
    if not isinstance(file.data, dict):
        raise ConfigError(
            f"{path}: a search space is a mapping with the keys space, input, slots, output; got {file.data!r}."
        )
    return parse_skeleton(file)


def parse_skeleton(file: YamlFile) -> Skeleton:
    """Validates the content of a search space file; see ``read_skeleton``."""
    skeleton = parse_options(Skeleton, file.data, file.where)
    names = [INPUT, *skeleton.slots]
    for name, slot in skeleton.slots.items():
        key = ("slots", name)
        if name in (INPUT, "head"):
            raise ConfigError(f"{file.where(key)}: the name {name!r} is taken; give the slot another one.")
        for source in slot.sources:
            if source not in names:
                raise ConfigError(
                    f"{file.where((*key, 'from'))}: no slot is called {source!r}.{did_you_mean(source, names)}"
                )
        if len(slot.sources) > 1 and slot.merge is None:
            raise ConfigError(f"{file.where((*key, 'from'))}: several inputs need 'merge: sum' or 'merge: concat'.")
    if skeleton.output not in skeleton.slots:
        offer = did_you_mean(skeleton.output, skeleton.slots)
        raise ConfigError(f"{file.where(('output',))}: no slot is called {skeleton.output!r}.{offer}")
    graph = skeleton.graph()
    try:
        cycle = [edge[0] for edge in networkx.find_cycle(graph)]
    except networkx.NetworkXNoCycle:
        pass
    else:
        raise ConfigError(
            f"{file.where(('slots', cycle[0], 'from'))}: slots form a cycle: {' → '.join([*cycle, cycle[0]])}."
        )
    for name in skeleton.slots:
        if not networkx.has_path(graph, INPUT, name) or not networkx.has_path(graph, name, "head"):
            raise ConfigError(
                f"{file.where(('slots', name))}: the slot {name!r} is dangling: it does not lie between the input and the "
                f"output {skeleton.output!r}; connect or remove it."
            )
    skeleton._file = file
    return skeleton
