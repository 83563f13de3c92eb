"""Small ``.pt2`` archives: weights in one block, no debugging notes, compressed text.

As ``torch.export.save`` writes it, an archive of a network with many small tensors is up to twice as large as its weights:
every tensor becomes a padded file, every node of the graph carries the source lines and paths it came from, and the text is
stored as it is. All three are avoided here, and ``torch.export.load`` reads the result as any other archive.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Final

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

__all__ = ["compress_texts", "drop_notes", "graph_modules", "pack_weights"]

_ALIGNMENT: Final = 64
_KEPT_NOTES: Final = frozenset({"val", "unbacked_bindings"})


def pack_weights(model: nn.Module) -> None:
    """Moves all parameters and buffers into few blocks of memory, each tensor at a multiple of 64 bytes.

    Archives store a block once, whatever number of tensors look into it. There is one block per dtype and device; buffers
    outside the state dict get their own, since archives keep those apart and would store a common block twice. Shared tensors
    stay shared.
    """
    stored = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    blocks: dict[tuple[torch.dtype, torch.device, bool], list[Tensor]] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        blocks.setdefault((tensor.dtype, tensor.device, id(tensor) in stored), []).append(tensor)
    for (dtype, device, _), tensors in blocks.items():
        step = max(1, _ALIGNMENT // dtype.itemsize)
        starts = [0]
        for tensor in tensors:
            starts.append(starts[-1] + -(-tensor.numel() // step) * step)
        # the last tensor is not padded: an archive ends its block with the last tensor that looks into it
        block = torch.zeros(starts[-2] + tensors[-1].numel(), dtype=dtype, device=device)
        for start, tensor in zip(starts, tensors, strict=False):
            place = block[start : start + tensor.numel()].view(tensor.shape)
            place.copy_(tensor.detach())
            tensor.data = place


def drop_notes(program: ExportedProgram) -> None:
    """Removes what only helps debugging: source lines and paths of the exporting machine, and the example inputs."""
    for module in graph_modules(program):
        for node in module.graph.nodes:
            node.meta = {key: value for key, value in node.meta.items() if key in _KEPT_NOTES}
    program._example_inputs = None


def graph_modules(program: ExportedProgram) -> list[torch.fx.GraphModule]:
    """Returns the graph of a program and those of its branches and loops."""
    return [module for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]


def compress_texts(archive: IO[bytes], path: Path) -> None:
    """Writes an archive with compressed JSON files; tensors stay as they are, since compression hardly shrinks weights."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            method = zipfile.ZIP_DEFLATED if entry.filename.endswith(".json") else zipfile.ZIP_STORED
            # a fresh entry has a fixed date, so equal networks give equal files
            target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry), compress_type=method)
