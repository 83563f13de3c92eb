"""The checkpoint file of a training: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from automl.atomic_write import write_atomically
from automl.errors import RunError

__all__ = ["read_checkpoint", "write_checkpoint"]

_FORMAT: Final = 1


def write_checkpoint(path: Path, state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Writes the state of a training.

    Args:
        path: the file; replaced only when the new one is complete.
        state: tensors, numbers, texts, and lists and dictionaries of them.
        identity: what a training must agree in to continue from this file, as JSON values.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "identity": dict(identity), "state": dict(state)}, buffer)
    write_atomically(path, buffer.getvalue())


def read_checkpoint(path: Path, identity: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Returns the state that ``write_checkpoint`` wrote.

    Args:
        path: the file.
        identity: as given to ``write_checkpoint``.
        device: where the tensors go.

    Raises:
        RunError: the file is missing, truncated or foreign, or of another training; names what differs.
    """
    way_out = "Remove the file to train from the beginning."
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        found, stored, state = content["format"], content["identity"], content["state"]
    except Exception as error:  # torch reports damage by exceptions of any kind
        reason = str(error).strip().splitlines()
        raise RunError(
            f"{path}: damaged or no checkpoint of a training ({type(error).__name__}: {reason[0] if reason else ''}). "
            f"{way_out}"
        ) from error
    if found != _FORMAT:
        raise RunError(f"{path}: has format {found!r}; this version reads format {_FORMAT}. {way_out}")
    different = [key for key in {**stored, **identity} if stored.get(key) != identity.get(key)]
    if different:
        shown = "; ".join(f"{key} was {stored.get(key)!r}, is {identity.get(key)!r}" for key in different)
        raise RunError(f"{path}: is of another training ({shown}). {way_out}")
    return dict(state)
