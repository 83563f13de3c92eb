"""``.safetensors``: the weights by name, with the architecture in the header, for those who have the network's code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

from safetensors.torch import save
from torch import Tensor, nn

from automl.export.exporter import Exporter
from automl.objectives.size import inference_state
from automl.objectives.trace import Trace

__all__ = ["SafetensorsExporter"]


@final
class SafetensorsExporter(Exporter):
    """Stores every tensor that inference needs once; the header lists further names of shared tensors as ``shared``."""

    name: ClassVar[str] = "safetensors"
    suffix: ClassVar[str] = ".safetensors"
    exact: ClassVar[bool] = True
    distributions: ClassVar[tuple[str, ...]] = ("safetensors",)
    reader: ClassVar[Path] = Path(__file__).with_name("readers") / "safetensors_reader.py"

    def write(self, model: nn.Module, trace: Trace, path: Path, *, metadata: Mapping[str, str]) -> int:
        header = {"format": "pt", **metadata, "shared": json.dumps(_further_names(model))}
        state = self.expected(model, ())
        path.write_bytes(save(state, metadata=header))
        return len(state)

    def how_to_load(self, file: str) -> str:
        return (
            "from safetensors import safe_open\n"
            f"with safe_open({file!r}, framework='pt') as file:\n"
            "    architecture = file.metadata()['architecture']  # JSON\n"
            "    state = {name: file.get_tensor(name) for name in file.keys()}"
        )

    def expected(self, model: nn.Module, cases: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
        return {name: tensor.cpu().contiguous().clone() for name, tensor in inference_state(model).items()}


def _further_names(model: nn.Module) -> dict[str, str]:
    """Further names of shared tensors, each with the name that the tensor is stored under."""
    named = [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]
    first: dict[int, str] = {}
    return {name: kept for name, tensor in named if (kept := first.setdefault(id(tensor), name)) != name}
