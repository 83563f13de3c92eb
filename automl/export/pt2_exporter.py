"""``.pt2``: a ``torch.export`` program, for torch itself and everything that takes its programs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from automl.export.exporter import Exporter
from automl.export.pt2_archive import compress_texts, drop_notes, graph_modules, pack_weights
from automl.objectives.inference_copy import inference_copy
from automl.objectives.quiet import quiet
from automl.objectives.trace import Trace

__all__ = ["Pt2Exporter"]


@final
class Pt2Exporter(Exporter):
    """Traces the network with its dynamic axes and stores graph and weights in one archive.

    Only what the traced graph reads is stored: no batch counters, no weights of parts that inference never runs, and shared
    weights once.
    """

    name: ClassVar[str] = "pt2"
    suffix: ClassVar[str] = ".pt2"
    distributions: ClassVar[tuple[str, ...]] = ("torch",)
    reader: ClassVar[Path] = Path(__file__).with_name("readers") / "pt2_reader.py"

    def write(self, model: nn.Module, trace: Trace, path: Path, *, metadata: Mapping[str, str]) -> int:
        plain = inference_copy(model)
        pack_weights(plain)
        program = trace.program(plain)
        unused = _unused_state(program, plain)
        if unused:
            _drop(plain, unused)
            pack_weights(plain)
            program = trace.program(plain)
        drop_notes(program)
        archive = io.BytesIO()  # torch's own errors would not tell a full disk from a network that cannot be stored
        with quiet():
            torch.export.save(program, archive, extra_files=dict(metadata))
        compress_texts(archive, path)
        return sum(len(module.graph.nodes) for module in graph_modules(program))

    def how_to_load(self, file: str) -> str:
        return f"import torch\nmodel = torch.export.load({file!r}).module()\noutput = model(*inputs)  # tensors"


def _unused_state(program: ExportedProgram, model: nn.Module) -> set[str]:
    """Names of parameters and buffers that no operator of the graph reads under any of their names."""
    tensors: dict[str, Tensor] = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    placeholders = {node.name for node in program.graph.nodes if node.op == "placeholder" and node.users}
    named = {
        spec.target: getattr(spec.arg, "name", "")
        for spec in program.graph_signature.input_specs
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and spec.target is not None
    }
    read = {id(tensors[target]) for target, placeholder in named.items() if placeholder in placeholders}
    return {target for target in named if id(tensors[target]) not in read}


def _drop(model: nn.Module, names: set[str]) -> None:
    for name in names:
        owner, _, attribute = name.rpartition(".")
        module = model.get_submodule(owner)
        if attribute in dict(module.named_parameters(recurse=False)):
            module.register_parameter(attribute, None)
        else:
            module.register_buffer(attribute, None)
