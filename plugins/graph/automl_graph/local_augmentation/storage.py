"""Generators on disk: trained once for a graph and shared by all candidates of a search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from automl.atomic_write import write_atomically
from automl.errors import DataError
from automl_graph.local_augmentation.generator import Generator, GeneratorOptions
from automl_graph.local_augmentation.train import train_generator, train_snapshots

__all__ = ["cached_generator", "cached_snapshots", "load_generator", "save_generator"]

_KEY: Final = "local_augmentation"


def save_generator(generator: Generator, options: GeneratorOptions, path: Path) -> None:
    """Writes a generator to a ``.safetensors`` file in one step."""
    metadata = {_KEY: json.dumps({"width": generator.width, "options": asdict(options)})}
    tensors = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    write_atomically(path, save(tensors, metadata))


def load_generator(path: Path) -> Generator:
    """Reads a generator that ``save_generator`` wrote; in evaluation mode, its weights fixed.

    Raises:
        DataError: the file is missing, or is none of these; names it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; 'cached_generator' of automl_graph.local_augmentation writes one.")
    try:
        with safe_open(path, "pt") as file:
            described = json.loads((file.metadata() or {})[_KEY])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        generator = Generator(int(described["width"]), GeneratorOptions(**described["options"]))
        generator.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise DataError(f"{path}: is no generator of local augmentation: {str(error).splitlines()[0]}") from error
    return generator.requires_grad_(False).eval()


def cached_generator(
    x: Tensor,
    edge_index: Tensor,
    folder: Path,
    options: GeneratorOptions | None = None,
    labelled: tuple[Tensor, Tensor] | None = None,
) -> Path:
    """Returns the file of the generator of a graph; trains it if there is none for these features, edges and options.

    Args:
        x: features as networks will see them, ``(nodes, width)``.
        edge_index: ``(2, edges)``.
        folder: where generators are kept; made if it does not exist.
        options: sizes and training.
        labelled: see ``train_generator``.
    """
    options = GeneratorOptions() if options is None else options
    path = _path(folder, options, x, edge_index, *(labelled or ()))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        generator, _ = train_generator(x, edge_index, options, labelled)
        save_generator(generator, options, path)
    return path


def cached_snapshots(
    x: Tensor, edge_index: Tensor, folder: Path, options: GeneratorOptions, steps: Collection[int]
) -> dict[int, Path]:
    """Returns the files of the generators after several numbers of steps; what is missing comes from one training.

    They are the files that ``cached_generator`` keeps for these options with each of the numbers.

    Args:
        x: features as networks will see them, ``(nodes, width)``.
        edge_index: ``(2, edges)``.
        folder: where generators are kept; made if it does not exist.
        options: sizes and training, with the selection ``last``; its own number of steps is not read.
        steps: numbers of steps, at least one of them.
    """
    each = {number: replace(options, steps=number) for number in steps}
    paths = {number: _path(folder, chosen, x, edge_index) for number, chosen in each.items()}
    missing = [number for number, path in paths.items() if not path.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        for number, generator in train_snapshots(x, edge_index, options, missing).items():
            save_generator(generator, each[number], paths[number])
    return paths


def _path(folder: Path, options: GeneratorOptions, *tensors: Tensor) -> Path:
    digest = hashlib.sha256(json.dumps(asdict(options), sort_keys=True).encode())
    for tensor in tensors:
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return folder / f"generator-{digest.hexdigest()[:16]}.safetensors"
