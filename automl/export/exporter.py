"""The contract of an exporter: a file format for extracted networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from automl.objectives.trace import Trace

__all__ = ["Exporter"]


class Exporter(ABC):
    """Writes a network into one file that works without this library.

    ``export_model`` calls ``write`` once, then ``expected``, and runs the ``reader`` on the file in a fresh process. It
    compares what both return and keeps the file only if they agree.

    Attributes:
        name: name on the command line.
        suffix: ending of the file with the dot.
        exact: the reader returns stored tensors, which must agree in every bit; otherwise it returns outputs.
        distributions: installed packages whose versions belong into the manifest.
        reader: a Python script with a function ``replay(file, cases) -> dict[str, Tensor or ndarray]``. It is run by its
            path in an isolated interpreter that refuses to import this library and every plugin. ``cases`` is a
            safetensors file of inputs called ``"<case>/<index>"``; the result maps ``"<case>/<index>"`` to outputs.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    exact: ClassVar[bool] = False
    distributions: ClassVar[tuple[str, ...]] = ()
    reader: ClassVar[Path]

    @abstractmethod
    def write(self, model: nn.Module, trace: Trace, path: Path, *, metadata: Mapping[str, str]) -> int:
        """Writes the file.

        Args:
            model: the extracted network in evaluation mode; must not be changed.
            trace: example inputs, their names and dynamic axes.
            path: the file; does not exist.
            metadata: short texts to store in the file, for formats that can.

        Returns:
            How many operators and tensors the file describes; each of them may take some bytes beside the weights.

        Raises:
            ExportError: the network has no form in this format.
        """

    @abstractmethod
    def how_to_load(self, file: str) -> str:
        """Returns Python lines that load the file called ``file`` and run it, without this library."""

    def expected(self, model: nn.Module, cases: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
        """Returns what the reader has to return: the outputs of ``model`` for each case."""
        with torch.inference_mode():
            return {
                f"{case}/{index}": output.cpu()
                for case, inputs in enumerate(cases)
                for index, output in enumerate(tree_leaves(model(*inputs)))
            }
