"""The contract of a search space file: what a job asks of one, whatever its kind. No torch in here.

A job reads the file once, looks at ``input`` to find a task that fits, checks the data, and builds the supernet each time it
needs one: building twice for the same data and generator state gives the same network. The weights of a trained supernet are
loaded over it, so they need not be kept by the file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from automl.options import parse_options
from automl.space import Scalar
from automl.yaml_file import YamlFile

if TYPE_CHECKING:
    from automl.host import Host
    from automl.supernet.supernet import Supernet
    from automl.tasks.task import Task

__all__ = ["KeptChoices", "SpaceDefinition"]

KeptChoices = dict[str, Annotated[list[Scalar], Field(min_length=1)] | Scalar]
"""What ``only`` of a file holds: for some dimensions one choice or several."""


class SpaceDefinition(BaseModel, ABC):
    """A validated search space file.

    Attributes:
        space: name of the space.
        input: signal kind of the network's input, such as ``"image"``.
        task: task that the space is for, where several give that signal; ``"auto"`` leaves it to the data.
        only: choices that dimensions keep; those left out are whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str
    input: str
    task: str = Field("auto", description="task that the space is for; 'auto': the one that recognises the data")
    only: KeptChoices

    _file: YamlFile | None = PrivateAttr(None)

    @classmethod
    def parse(cls, file: YamlFile) -> Self:
        """Validates the content of a file.

        Raises:
            ConfigError: it is malformed; names file, line and key, and the nearest valid name.
        """
        definition = parse_options(cls, file.data, file.where)
        definition._file = file
        return definition

    @abstractmethod
    def build(self, task: Task, host: Host) -> Supernet:
        """Returns the supernet for a task that gives the signal ``input``.

        Raises:
            ConfigError: a part cannot be built, or parts do not fit each other or the task.
        """

    def check(self, task: Task) -> None:
        """Refuses data that a job must not use with this space; by default none.

        Called by a job before it builds, but not where somebody only looks at the space.

        Raises:
            ConfigError: says what is wrong with the data.
        """

    def where(self, location: Sequence[int | str]) -> str:
        """Returns "file:line: key" for a path of keys, or the space's name where it was not read from a file."""
        return self._file.where(location) if self._file else f"{self.space}: {'.'.join(map(str, location))}"

    @property
    def kept(self) -> dict[str, list[Any]]:
        """The choices that dimensions keep, by name."""
        return {name: values if isinstance(values, list) else [values] for name, values in self.only.items()}
