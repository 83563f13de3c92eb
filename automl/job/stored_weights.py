"""Weights of one network in a file of a run folder: written whole, and loaded only into the network they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from automl.atomic_write import write_atomically
from automl.errors import RunError
from automl.objectives.size import inference_state

__all__ = ["load_weights", "read_metadata", "write_weights"]


def write_weights(path: Path, model: nn.Module, metadata: Mapping[str, str] | None = None) -> None:
    """Writes what inference needs of a network (safetensors); atomic.

    Args:
        path: the file.
        model: the network.
        metadata: texts that are kept in the file with the weights, so that neither is ever there without the other.
    """
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in inference_state(model).items()}
    write_atomically(path, safetensors.torch.save(state, None if metadata is None else dict(metadata)))


def load_weights(path: Path, model: nn.Module) -> None:
    """Loads the weights of a file into the network that they belong to.

    Raises:
        RunError: the file is missing, damaged, or of another network.
    """
    try:
        model.load_state_dict(safetensors.torch.load_file(path), strict=False)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise RunError(f"{path}: missing, damaged or of another network: {str(error).splitlines()[0]}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """Returns the texts that were written with the weights of a file.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"{path}: missing or damaged: {str(error).splitlines()[0]}") from error
