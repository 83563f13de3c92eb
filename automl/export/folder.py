"""Export folders: written beside their place, proven file by file, and renamed into it only when everything holds."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from automl.atomic_write import disk_errors, write_atomically
from automl.errors import ExportError, RunError
from automl.export.exporter import Exporter
from automl.export.manifest import FORMAT, MANIFEST_NAME, VERSION, file_digest, load_manifest
from automl.export.verification import TOLERANCES, verify_file
from automl.objectives.context import versions
from automl.objectives.params import count_params
from automl.objectives.size import inference_state, state_bytes
from automl.objectives.trace import TRACE_BATCH, Trace

if TYPE_CHECKING:
    from automl.host import Host
    from automl.space import Architecture
    from automl.tasks import Task

__all__ = ["ExportResult", "export_model", "size_limit"]

CHECKED_BATCHES: Final = (1, 2, 5)
"""Batches on which files are compared; none is the traced one."""
SIZE_FACTOR: Final = 1.02
OVERHEAD_BYTES: Final = 16 * 1024
OVERHEAD_BYTES_PER_ENTRY: Final = 128


@dataclass(frozen=True)
class ExportResult:
    """Files that were written and proven.

    Attributes:
        folder: the export folder.
        paths: file of each format that was asked for.
        manifest: content of ``manifest.json`` in the folder.
    """

    folder: Path
    paths: dict[str, Path]
    manifest: dict[str, Any]


def export_model(
    model: nn.Module,
    task: Task,
    architecture: Architecture | None,
    folder: Path,
    formats: Sequence[str],
    *,
    metadata: Mapping[str, Any],
    host: Host,
) -> ExportResult:
    """Writes an extracted network in several formats, and keeps the files only if each of them reproduces it.

    Every file is read in a fresh process that can import neither this library nor a plugin, and run on real inputs in batches
    of 1, 2 and 5. The folder appears by one rename at the end. Files of other formats that an earlier export of the same
    weights left there are kept.

    Args:
        model: the extracted, calibrated network.
        task: gives real inputs.
        architecture: where the network stands in its space; None for a network from elsewhere.
        folder: the export folder.
        formats: names of exporters.
        metadata: what the manifest shall say beside what is measured here, as JSON: space digest, task, metrics, seed.
        host: knows the installed exporters.

    Raises:
        UnknownNameError: there is no such exporter.
        MissingExtraError: an exporter needs a package that is not installed.
        ExportError: a file cannot be written, does not reproduce the network, or is too large; nothing is left behind.
        RunError: the disk is full, or the folder cannot be written.
    """
    exporters = [host.find("exporter", name, where="export").load()() for name in dict.fromkeys(formats)]
    name = architecture.id if architecture is not None else "model"
    plain = copy.deepcopy(model).cpu().eval()
    trace = _on_cpu(Trace.of(task))
    cases = [tuple(tensor.cpu() for tensor in task.example_inputs(batch)) for batch in CHECKED_BATCHES]
    texts = {
        "architecture": json.dumps(dict(architecture or {})),
        "space_digest": str(metadata.get("space_digest", "")),
    }
    manifest = _describe(plain, task, architecture, metadata, trace, cases)

    partial = folder.with_name(f".{folder.name}.partial")
    with disk_errors(folder):
        _clean_up(folder)
        partial.mkdir(parents=True)
    try:
        with disk_errors(folder):
            manifest["files"] = _keep_other_formats(folder, partial, manifest, exporters)
            for exporter in exporters:
                path = partial / f"{name}{exporter.suffix}"
                entries = _write(exporter, copy.deepcopy(plain), trace, path, texts)  # compared with `plain` below
                error = verify_file(exporter, path, plain, cases, partial)
                manifest["files"][exporter.name] = _file_entry(exporter, path, plain, entries, error)
                manifest["versions"] |= versions(*exporter.distributions)
            write_atomically(partial / MANIFEST_NAME, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
            _put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    paths = {exporter.name: folder / manifest["files"][exporter.name]["file"] for exporter in exporters}
    return ExportResult(folder, paths, manifest)


def size_limit(state: int, entries: int) -> int:
    """Returns the most bytes that a file may have for ``state`` bytes of weights and a number of operators and tensors.

    1.02 times the weights, 16 KiB, and 128 bytes for each operator or tensor, which is about twice what names and graphs have
    been measured to need. That allowance matters for small networks only: those of a million parameters and more have been
    measured to stay within 1.02 without it.
    """
    return int(SIZE_FACTOR * state) + OVERHEAD_BYTES + OVERHEAD_BYTES_PER_ENTRY * entries


def _write(exporter: Exporter, model: nn.Module, trace: Trace, path: Path, texts: Mapping[str, str]) -> int:
    try:
        return exporter.write(model, trace, path, metadata=texts)
    except ExportError as error:
        raise ExportError(f"{exporter.name}: {error}") from error


def _on_cpu(trace: Trace) -> Trace:
    return Trace(tuple(tensor.cpu() for tensor in trace.inputs), trace.names, trace.dynamic_axes)


def _describe(
    model: nn.Module,
    task: Task,
    architecture: Architecture | None,
    metadata: Mapping[str, Any],
    trace: Trace,
    cases: Sequence[Sequence[Tensor]],
) -> dict[str, Any]:
    measured: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "id": architecture.id if architecture is not None else None,
        "architecture": dict(architecture or {}),
        "inputs": [
            {
                "name": name,
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "shape": [axes.get(axis, length) for axis, length in enumerate(tensor.shape)],
            }
            for name, tensor, axes in zip(trace.names, trace.inputs, trace.dynamic_axes, strict=True)
        ],
        "traced_batch": TRACE_BATCH,
        "checked_inputs": [[list(tensor.shape) for tensor in case] for case in cases],
        "parameters": count_params(model),
        "state_bytes": state_bytes(model),
        "state_sha256": _state_digest(model),
        "versions": versions("automl-supernets", "torch"),
        "files": {},
    }
    taken = measured.keys() & metadata.keys()
    if taken:
        raise ValueError(f"metadata must not hold {', '.join(sorted(taken))}: the export measures that itself.")
    return {**measured, "task": task.describe(), **metadata}


def _file_entry(exporter: Exporter, path: Path, model: nn.Module, entries: int, error: float) -> dict[str, Any]:
    size, state = path.stat().st_size, state_bytes(model)
    limit = size_limit(state, entries)
    if size > limit:
        raise ExportError(
            f"{exporter.name}: the file has {size} bytes, but {state} bytes of weights explain {limit} at most; "
            "something is stored twice or does not belong there."
        )
    floating = next((t.dtype for t in inference_state(model).values() if t.is_floating_point()), torch.float32)
    return {
        "file": path.name,
        "bytes": size,
        "predicted_bytes": state,
        "limit_bytes": limit,
        "sha256": file_digest(path),
        "max_abs_error": error,
        "relative_tolerance": 0.0 if exporter.exact else TOLERANCES.get(floating, 0.0),
        "how_to_load": exporter.how_to_load(path.name),
    }


def _state_digest(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in inference_state(model).items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _keep_other_formats(
    folder: Path, partial: Path, manifest: Mapping[str, Any], exporters: Sequence[Exporter]
) -> dict[str, Any]:
    """Copies files that are still true: same architecture, same weights, another format."""
    if not folder.exists():
        return {}
    try:
        earlier = load_manifest(folder, check_files=True)
    except RunError:
        return {}
    if any(earlier[key] != manifest[key] for key in ("architecture", "state_sha256")):
        return {}
    replaced = {exporter.name for exporter in exporters}
    kept = {name: entry for name, entry in earlier["files"].items() if name not in replaced}
    for entry in kept.values():
        shutil.copyfile(folder / entry["file"], partial / entry["file"])
    return kept


def _clean_up(folder: Path) -> None:
    """Undoes what an export that was killed has left."""
    shutil.rmtree(folder.with_name(f".{folder.name}.partial"), ignore_errors=True)
    replaced = folder.with_name(f".{folder.name}.replaced")
    if replaced.exists():
        if folder.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(folder)


def _put_in_place(partial: Path, folder: Path) -> None:
    replaced = folder.with_name(f".{folder.name}.replaced")
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)
