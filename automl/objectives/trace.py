"""Tracing a network for export: example inputs with names and dynamic axes, and the program that torch makes of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from automl.errors import ExportError
from automl.objectives.quiet import quiet

if TYPE_CHECKING:
    from automl.tasks import Task

__all__ = ["TRACE_BATCH", "Trace"]

TRACE_BATCH: Final = 3
"""Samples in the traced batch: not 1, as tracers treat a length of 0 or 1 as a constant even where it may vary."""


@dataclass(frozen=True)
class Trace:
    """Example inputs with names and dynamic axes.

    Attributes:
        inputs: positional inputs of the network; every dynamic axis is longer than 1.
        names: name of each input in the exported file.
        dynamic_axes: for each input, axes of variable length and their names; equal names have equal length.
    """

    inputs: tuple[Tensor, ...]
    names: tuple[str, ...]
    dynamic_axes: tuple[dict[int, str], ...]

    @classmethod
    def of(cls, task: Task) -> Trace:
        """Takes inputs, names and axes from a task."""
        return cls(task.example_inputs(TRACE_BATCH), task.input_names, task.dynamic_axes)

    def dynamic_shapes(self, model: nn.Module) -> tuple[Any, ...]:
        """Returns the axes as ``torch.export`` wants them for a model: a ``Dim`` for each name, None for a fixed input.

        A ``forward(*inputs)`` gets them as one tuple, since to the tracer it has a single argument.
        """
        names = {name for axes in self.dynamic_axes for name in axes.values()}
        dims = {name: Dim(name) for name in names}
        shapes = tuple({axis: dims[name] for axis, name in axes.items()} or None for axes in self.dynamic_axes)
        first = next(iter(inspect.signature(model.forward).parameters.values()), None)
        return (shapes,) if first is not None and first.kind is first.VAR_POSITIONAL else shapes

    def program(self, model: nn.Module) -> ExportedProgram:
        """Returns ``model`` as an exported program whose dynamic axes really may have any length.

        Raises:
            ExportError: the network cannot be traced, or fixes the length of a dynamic axis.
        """
        try:
            with quiet():
                return torch.export.export(model, self.inputs, dynamic_shapes=self.dynamic_shapes(model), strict=False)
        except Exception as error:
            text = str(error).strip() or type(error).__name__
            if text.startswith("Constraints violated"):
                axes = text[text.find("(") + 1 : text.find(")")]
                raise ExportError(
                    f"the network works for one length of the axis {axes!r} only (the traced one); its forward must not "
                    "depend on that length, for instance through a fixed number in 'reshape'."
                ) from error
            raise ExportError(f"the network cannot be traced by torch.export: {text.splitlines()[0]}") from error
