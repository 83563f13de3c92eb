"""A network with a search space: activate a subnetwork in place, or extract it as a plain model."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
from torch import Tensor, nn

from automl.elastic import specialise
from automl.errors import RunError, SpaceError
from automl.space import Architecture, Dimension, Kept, Rule, SearchSpace, restrict
from automl.space.walk import read_dimensions
from automl.supernet.calibration import CalibrationReport, calibrate
from automl.supernet.dimension_kinds import DimensionKind, dimension_kinds
from automl.supernet.weight_sets import WeightSets

__all__ = ["Supernet"]

_HEADER: Final = "automl"


class Supernet(nn.Module):
    """Any module with dimensions in it, and the space that they span.

    A supernet has one set of weights, or several after ``multiply``. Then every architecture is assigned to one of them, which it
    is activated, extracted, and so measured and exported with.

    Args:
        network: a module of elastic layers; its ``forward`` defines the inputs. The space is read off it.
        forbidden: combinations of dimension values that no architecture may have.
        only: for some dimensions the choices that architectures may have. The network keeps the weights of the others,
            which no subnetwork uses.

    Attributes:
        network: the module, and the first of several weight sets.
        more: copies of it with the further weight sets; empty for one set.
        weight_sets: which set an architecture uses; None for one set.
        companion: what a training strategy learns beside the network; None for nothing. Files and checkpoints hold it,
            extracted subnetworks do not.

    Shape:
        As ``network``.

    Example:
        >>> from automl import elastic
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 8)
        >>> net = nn.Sequential(elastic.Linear(3, width), nn.ReLU(), elastic.Linear(width, 2))
        >>> supernet = Supernet(net)
        >>> model = supernet.extract(supernet.space.smallest())
        >>> model[0]
        Linear(in_features=3, out_features=4, bias=True)
    """

    def __init__(self, network: nn.Module, *, forbidden: Iterable[Rule] = (), only: Kept | None = None) -> None:
        super().__init__()
        self.network: Final = network
        self.more: Final = nn.ModuleList()
        self.weight_sets: WeightSets | None = None
        self.companion: nn.Module | None = None
        self._active_set = 0
        whole = SearchSpace.of(network, forbidden=forbidden)
        self.space: Final = restrict(whole, only) if only else whole
        # Those of the modules. A narrower space has dimensions of its own, with fewer choices.
        self._dimensions: Final = {name: whole.dimensions[name] for name in self.space.names}
        for name, dimension in self.space.dimensions.items():
            self._dimensions[name].set_index(self._dimensions[name].position(dimension.choices[dimension.index]))

    def forward(self, *inputs: Tensor) -> Any:
        """Runs the active subnetwork."""
        return self.network_of(self._active_set)(*inputs)

    def multiply(self, sets: int) -> None:
        """Gives the supernet several weight sets, all equal to the present one; does nothing if it has so many.

        The copies hold the same dimensions, so there is still one space. Architectures are assigned to sets by ``weight_sets``.

        Args:
            sets: number of weight sets, at least 1.

        Raises:
            SpaceError: the supernet has another number of sets already.
        """
        have = len(self.more) + 1
        if sets == have:
            return
        if have > 1:
            raise SpaceError(f"the supernet has {have} weight sets already, it cannot get {sets}.")
        shared = {id(dimension): dimension for dimension in read_dimensions(self.network)[1]}
        self.more.extend(copy.deepcopy(self.network, dict(shared)) for _ in range(sets - 1))
        self.weight_sets = WeightSets(self.space, sets)

    def network_of(self, weight_set: int) -> nn.Module:
        """Returns the network with the weights of a set."""
        return self.more[weight_set - 1] if weight_set else self.network

    def set_of(self, architecture: Architecture) -> int:
        """Returns the number of the weight set that an architecture is assigned to, from 0."""
        return 0 if self.weight_sets is None else self.weight_sets.set_of(architecture)

    def activate(self, architecture: Architecture, weight_set: int | None = None) -> None:
        """Makes a subnetwork the active one; sets values, copies nothing.

        Args:
            architecture: the subnetwork.
            weight_set: number of the weight set to use; left out, the one that the architecture is assigned to.

        Raises:
            SpaceError: the architecture is of another space.
        """
        dimensions = self._dimensions
        try:
            for name, value in architecture.items():
                dimensions[name].value = value  # type: ignore[attr-defined]
        except KeyError as error:
            raise SpaceError(f"the architecture is of another space: unknown dimension {error}.") from None
        if self.weight_sets is not None:
            self._active_set = self.weight_sets.set_of(architecture) if weight_set is None else weight_set

    @property
    def active(self) -> Architecture:
        """The active subnetwork."""
        return self.space.canonical({name: d.choices[d.index] for name, d in self._dimensions.items()})

    @property
    def active_set(self) -> int:
        """Number of the weight set that the active subnetwork uses."""
        return self._active_set

    @property
    def module_dimensions(self) -> Mapping[str, Dimension]:
        """The dimensions that modules hold, by their names in the space; all their choices, where the space has only some."""
        return self._dimensions

    @cached_property
    def kinds(self) -> Mapping[str, DimensionKind]:
        """Kind of each dimension of the space: ``"depth"``, ``"width"`` or ``"other"``; see ``dimension_kinds``."""
        return dimension_kinds(self.network, self._dimensions)

    def extract(self, architecture: Architecture, weight_set: int | None = None) -> nn.Module:
        """Returns a subnetwork as a plain module with copied weights, in evaluation mode; the active one stays active.

        Args:
            architecture: the subnetwork.
            weight_set: as for ``activate``.

        Raises:
            SpaceError: the architecture is of another space.
        """
        before, before_set = [d.index for d in self._dimensions.values()], self._active_set
        try:
            self.activate(architecture, weight_set)
            return specialise(self.network_of(self._active_set)).eval()
        finally:
            self._active_set = before_set
            for dimension, index in zip(self._dimensions.values(), before, strict=True):
                dimension.set_index(index)

    def calibrate(self, batches: Iterable[tuple[Tensor, ...]], **options: float) -> CalibrationReport:
        """Sets the batch-norm statistics of the active subnetwork; see ``automl.supernet.calibrate``."""
        return calibrate(self.network_of(self._active_set), batches, **options)  # type: ignore[arg-type]

    def save(self, path: Path) -> None:
        """Writes weights to ``path`` (safetensors) with the space in its header; atomic.

        Args:
            path: file to write; an existing one is replaced.
        """
        # One entry only: the order of several would differ between runs, and equal weights should be equal files.
        header = {_HEADER: json.dumps({"space_digest": self.space.digest, "space": self.space.describe()})}
        partial = path.with_name(path.name + ".partial")
        safetensors.torch.save_model(self._stored, str(partial), metadata=header)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Reads what ``save`` wrote into this supernet.

        Raises:
            RunError: the file is missing, damaged, or of another space.
        """
        try:
            with safetensors.safe_open(str(path), framework="pt") as file:
                digest = json.loads((file.metadata() or {}).get(_HEADER, "{}")).get("space_digest")
            if digest != self.space.digest:
                raise RunError(
                    f"{path}: these weights belong to another search space (digest {digest}, here {self.space.digest}). "
                    "Did the space or the installed plugins change since the training?"
                )
            safetensors.torch.load_model(self._stored, str(path))
        except FileNotFoundError:
            raise RunError(f"{path}: no such file.") from None
        except (safetensors.SafetensorError, RuntimeError, OSError) as error:
            raise RunError(f"{path}: damaged or foreign weights file: {error}.") from error

    @property
    def _stored(self) -> nn.Module:
        """What files hold: the network, or all weight sets and what assigns them, and a companion."""
        return self.network if self.weight_sets is None and self.companion is None else self
