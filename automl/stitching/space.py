"""The space kind ``stitched``: a search space file that lists trained networks instead of slots.

kind: stitched
space: digits/stitched
anchors:
  - run:small#0
  - {module: "nets:large", weights: large.safetensors, cuts: ["blocks.*"]}
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from torch import nn

from automl.errors import ConfigError, SpaceError
from automl.host import Host
from automl.stitching.anchor import Anchor
from automl.stitching.assembly import Joining, SplitAnchor, assemble, split_anchor
from automl.stitching.loading import check_split, load_anchor
from automl.stitching.split import split_network
from automl.supernet import Supernet
from automl.supernet.build import restricted_supernet
from automl.supernet.definition import KeptChoices, SpaceDefinition
from automl.tasks.task import Task

__all__ = ["StitchedSpace"]

PositiveInt = Annotated[int, Field(gt=0, strict=True)]


class StitchedSpace(SpaceDefinition):
    """Trained networks and how they are joined; its one dimension, ``stitch``, lists anchors and joins, the cheapest first."""

    kind: Literal["stitched"] = Field(description="always 'stitched'")
    space: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]+$")] = Field(description="name of the space")
    description: str = Field("", description="one sentence for lists")
    input: str = Field("image", description="signal kind of the networks' input")
    anchors: Annotated[list[Anchor], Field(min_length=2)] = Field(
        description="trained networks in any order: run:NAME#MEMBER, module:factory=WEIGHTS, an exported folder, or a mapping"
    )
    kernel: PositiveInt = Field(2, description="blocks in a window of networks of equal depth; more give more joins")
    stride: PositiveInt = Field(1, description="blocks between windows")
    nearest: bool = Field(True, description="join only anchors next to each other in cost")
    last_stage: bool | None = Field(
        None, description="join inside the last stage, too; left out: only where no other stage can be joined"
    )
    initialisation: Literal["least-squares", "random"] = Field(
        "least-squares", description="how stitching layers start: fitted to the anchors' features, or at random"
    )
    samples: PositiveInt = Field(100, description="training samples on which stitching layers are fitted")
    train_anchors: bool = Field(True, description="let training change the anchors, too, not only the stitching layers")
    adapters: list[Literal["resize", "tokens"]] = Field(
        default_factory=list,
        description="what may be done between different forms: 'resize' maps, convert maps from and to 'tokens'",
    )
    only: KeptChoices = Field(default_factory=dict, description="choices that are kept; left out: all")

    def check(self, task: Task) -> None:
        for number, anchor in enumerate(self.anchors):
            try:
                check_split(anchor, task)
            except ConfigError as error:
                raise ConfigError(f"{self.where(('anchors', number))}: {error}") from error

    def build(self, task: Task, host: Host) -> Supernet:
        (batch,) = list(task.calibration_batches(0, self.samples, self.samples))[:1]
        inputs, one = tuple(t.cpu() for t in batch.inputs), tuple(t.cpu() for t in task.example_inputs(1))
        split: list[tuple[Anchor, SplitAnchor]] = []
        for number, anchor in enumerate(self.anchors):
            try:
                network = load_anchor(anchor, task, host)
                split.append((anchor, split_anchor(split_network(network, anchor.cuts), inputs, one)))
            except SpaceError as error:
                raise ConfigError(f"{self.where(('anchors', number))}: {anchor}: {error}") from error
            except ConfigError as error:
                raise ConfigError(f"{self.where(('anchors', number))}: {error}") from error
        options = Joining(
            kernel=self.kernel,
            stride=self.stride,
            nearest=self.nearest,
            last_stage=self.last_stage,
            least_squares=self.initialisation == "least-squares",
            train_anchors=self.train_anchors,
            adapters=self.adapters,
        )
        try:
            network = assemble(self._named(split), options)
        except SpaceError as error:
            raise ConfigError(f"{self.where(('anchors',))}: {error}") from error
        return restricted_supernet(self, network)

    def _named(self, anchors: list[tuple[Anchor, SplitAnchor]]) -> dict[str, SplitAnchor]:
        """Names anchors from cheap to expensive: by letters, where the file gives no name."""
        named: dict[str, SplitAnchor] = {}
        given = {anchor.name for anchor in self.anchors}
        letters = (name for n in range(1, 100) for c in "abcdefghijklmnopqrstuvwxyz" if (name := c * n) not in given)
        for anchor, split in sorted(anchors, key=lambda entry: entry[1].cost):
            name = anchor.name or next(letters)
            if name in named or hasattr(nn.ModuleDict, name):
                raise ConfigError(f"{self.where(('anchors',))}: the name {name!r} is taken; rename an anchor.")
            named[name] = split
        return named
