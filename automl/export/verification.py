"""Proof that an exported file reproduces its network: read in a fresh process, without this library, and compared."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from automl.errors import ExportError
from automl.export.exporter import Exporter

__all__ = ["TOLERANCES", "largest_error", "verify_file"]

TOLERANCES: Final[Mapping[torch.dtype, float]] = {
    torch.float64: 1e-10,
    torch.float32: 1e-4,
    torch.float16: 2e-2,
    torch.bfloat16: 1e-1,
}
"""Largest error that may be rounding, as a share of the largest output.

Another runtime adds the same products in another order and folds normalisation into weights. In float32 that has been
measured as 1e-7 to 1e-5 of the largest output, growing with depth; 1e-4 leaves a decade. Faults that matter, such as a wrong
padding, a lost weight or statistics of another network, change outputs by 1e-2 and more.
"""

_RUNNER: Final = Path(__file__).with_name("readers") / "run_reader.py"
_SECONDS: Final = 600
_SMALLEST_SCALE: Final = 1e-3


def verify_file(
    exporter: Exporter, path: Path, model: nn.Module, cases: Sequence[Sequence[Tensor]], folder: Path
) -> float:
    """Compares what the file gives in a fresh process with the network itself.

    Args:
        exporter: wrote the file, and knows how to read it.
        path: the file.
        model: the network that the file must reproduce.
        cases: inputs to compare on.
        folder: place for temporary files, which are removed.

    Returns:
        The largest absolute difference.

    Raises:
        ExportError: the file cannot be read, or the difference is more than rounding.
    """
    inputs, results = folder / "cases.safetensors", folder / "results.safetensors"
    try:
        content = {
            f"{case}/{index}": tensor.detach().cpu().contiguous().clone()
            for case, tensors in enumerate(cases)
            for index, tensor in enumerate(tensors)
        }
        inputs.write_bytes(save(content))
        _run_reader(exporter, path, inputs, results)
        found = load_file(results)
    finally:
        inputs.unlink(missing_ok=True)
        results.unlink(missing_ok=True)
    return largest_error(exporter, exporter.expected(model, cases), found)


def largest_error(exporter: Exporter, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> float:
    """Returns the largest absolute difference of any two tensors of one name.

    Raises:
        ExportError: names, shapes or dtypes differ, an output is not finite, or a difference exceeds the tolerance.
    """
    if expected.keys() != found.keys():
        differing = ", ".join(sorted(expected.keys() ^ found.keys())[:3])
        raise ExportError(f"{exporter.name}: the file gives other tensors than the network: {differing}.")
    largest = 0.0
    for name, wanted in expected.items():
        given = found[name]
        if given.shape != wanted.shape or given.dtype != wanted.dtype:
            raise ExportError(
                f"{exporter.name}: tensor {name} is {given.dtype} {tuple(given.shape)} in the file, but {wanted.dtype} "
                f"{tuple(wanted.shape)} in the network."
            )
        if exporter.exact:
            if not torch.equal(_bits(given), _bits(wanted)):
                raise ExportError(f"{exporter.name}: tensor {name} differs from the network's.")
            continue
        if not wanted.isfinite().all():
            raise ExportError(
                f"{exporter.name}: the network gives outputs that are not finite, so nothing can be compared."
            )
        error = _largest(given.double() - wanted.double())
        allowed = TOLERANCES.get(wanted.dtype, 0.0) * max(_largest(wanted.double()), _SMALLEST_SCALE)
        if not error <= allowed:  # also where the file gives nan
            raise ExportError(
                f"{exporter.name}: the file does not reproduce the network: outputs differ by {error:.3g}, and rounding "
                f"explains {allowed:.3g} at most."
            )
        largest = max(largest, error)
    return largest


def _run_reader(exporter: Exporter, path: Path, inputs: Path, results: Path) -> None:
    files = [file.resolve() for file in (path, inputs, results)]  # the process starts in another folder
    command = [sys.executable, "-I", _RUNNER, exporter.reader, *files, *sorted(_forbidden())]
    try:
        subprocess.run(
            [str(part) for part in command],
            check=True,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd=results.parent,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{exporter.name}: reading the file took more than {_SECONDS} seconds.") from error
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.strip().splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit code {error.returncode}"
        raise ExportError(f"{exporter.name}: the file cannot be used in a fresh process: {reason}") from error


def _forbidden() -> set[str]:
    """Packages that no exported file may need: those of this library and of every installed plugin."""
    plugins = {point.module.partition(".")[0] for point in importlib.metadata.entry_points(group="automl")}
    return {"automl", "automl_cli", "automl_spaces", *plugins}


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8) if tensor.numel() else tensor


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0
