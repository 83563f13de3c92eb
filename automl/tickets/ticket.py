"""Ticket files: masks packed to one bit for each weight, and the digest of the weights that they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from automl.atomic_write import write_atomically
from automl.errors import RunError
from automl.tickets.masks import Masks, sparsity_of

__all__ = ["Ticket", "weights_digest"]

_HEADER: Final = "automl-ticket"
_FORMAT: Final = 1


@dataclass(frozen=True)
class Ticket:
    """Which weights of a network are kept.

    Attributes:
        masks: masks by parameter name.
        base: digest of the weights before pruning, ``weights_digest``.
        names: names of all parameters that the digest covers.
        weights: digest of the trained, pruned weights; empty where there are none.
        about: architecture, method, run and the like, as JSON.
    """

    masks: Masks
    base: str
    names: tuple[str, ...]
    weights: str = ""
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def sparsity(self) -> float:
        """Share of the masked tensors' entries that are not kept."""
        return sparsity_of(self.masks)

    def save(self, path: Path) -> None:
        """Writes the ticket (safetensors); atomic.

        Raises:
            RunError: the disk is full, or the folder cannot be written.
        """
        header = {
            "format": _FORMAT,
            "base": self.base,
            "names": list(self.names),
            "weights": self.weights,
            "shapes": {name: list(mask.shape) for name, mask in self.masks.items()},
            "about": self.about,
        }
        packed = {
            name: torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1))) for name, mask in self.masks.items()
        }
        write_atomically(path, safetensors.torch.save(packed, metadata={_HEADER: json.dumps(header, sort_keys=True)}))

    @classmethod
    def load(cls, path: Path) -> Ticket:
        """Reads a ticket.

        Raises:
            RunError: the file is missing, damaged, or no ticket.
        """
        try:
            with safetensors.safe_open(str(path), framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get(_HEADER, "null"))
                packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError:
            raise RunError(f"{path}: no such file.") from None
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise RunError(f"{path}: damaged, or no ticket: {error}.") from error
        if not isinstance(header, dict):
            raise RunError(f"{path}: no ticket; 'automl prune' writes one as 'ticket.safetensors'.")
        if header.get("format") != _FORMAT:
            raise RunError(f"{path}: has format {header.get('format')!r}; this version reads format {_FORMAT}.")
        try:
            masks = {name: _unpacked(packed[name], shape) for name, shape in header["shapes"].items()}
            return cls(masks, header["base"], tuple(header["names"]), header["weights"], header["about"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: damaged ticket: {type(error).__name__}: {error}.") from error

    def check_base(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Checks that weights are those that the ticket was drawn from, or those that were trained with it.

        Raises:
            RunError: they are of another network, or have other values.
        """
        missing = [name for name in self.names if name not in tensors]
        wrong = [n for n, mask in self.masks.items() if n in tensors and tensors[n].shape != mask.shape]
        if missing or wrong:
            what = f"has no {missing[0]!r}" if missing else f"has {wrong[0]!r} in another shape"
            raise RunError(f"{where}: the ticket belongs to another network: this one {what}.")
        found = weights_digest(tensors, self.names)
        if found not in (self.base, self.weights):
            raise RunError(
                f"{where}: the ticket belongs to other weights (digest {self.base[:16]}, here {found[:16]}); it is of the run "
                f"{self.about.get('run')!r}, member {self.about.get('id')!r}."
            )

    def apply(self, tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
        """Returns copies of weights with zeros where the ticket keeps nothing.

        Raises:
            RunError: the ticket is for another base.
        """
        self.check_base(tensors, where)
        return {
            name: tensor.masked_fill(~self.masks[name].to(tensor.device), 0.0) if name in self.masks else tensor.clone()
            for name, tensor in tensors.items()
        }


def weights_digest(tensors: Mapping[str, Tensor] | nn.Module, names: Sequence[str] | None = None) -> str:
    """Returns the SHA-256 of names, types, shapes and values of weights, in hexadecimal digits.

    Args:
        tensors: tensors by name, or a network for its parameters.
        names: which of them; None: all. Statistics of normalisation layers do not belong here: they are set by calibration.
    """
    found = dict(tensors.named_parameters()) if isinstance(tensors, nn.Module) else dict(tensors)
    digest = hashlib.sha256()
    for name in sorted(found if names is None else names):
        tensor = found[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():
            digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _unpacked(packed: np.ndarray[Any, np.dtype[np.uint8]], shape: Sequence[int]) -> Tensor:
    entries = int(np.prod(shape))
    if packed.dtype != np.uint8 or packed.size != -(-entries // 8):
        raise ValueError(f"{packed.size} bytes cannot hold a mask of {tuple(shape)}")
    return torch.from_numpy(np.unpackbits(packed, count=entries).astype(bool).reshape(shape))
