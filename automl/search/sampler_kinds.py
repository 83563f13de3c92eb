"""Optuna's samplers by name: which there are, what they need, and how one is made from options that JSON can hold."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from automl.errors import ConfigError, MissingExtraError, UnknownNameError, did_you_mean
from automl.search.quiet import quiet_optuna
from automl.space import Scalar, SearchSpace

__all__ = ["SamplerKind", "sampler_kind", "sampler_names"]

_MEMORYLESS: Final = frozenset({"TPESampler", "GPSampler", "RandomSampler"})
_ONLY_RANDOM_STATE: Final = frozenset({"TPESampler", "RandomSampler"})
_ONE_OBJECTIVE: Final = frozenset({"CmaEsSampler"})
_LARGEST_GRID: Final = 100_000
_WHERE: Final = "searcher optuna"

Make: TypeAlias = Callable[[int], BaseSampler]


@dataclass(frozen=True, kw_only=True)
class SamplerKind:
    """A sampler with its options, ready to be made.

    Attributes:
        name: name of the sampler's class.
        make: makes one from a seed.
        memoryless: what it asks follows from the finished trials and its seed alone, so a new one can replace it between
            two trials. The others keep notes in their study and must be replayed.
        only: for some dimensions the values it is confined to.
        reseedable: whether random state is all that it changes while it is used, apart from caches of its study.
    """

    name: str
    make: Make
    memoryless: bool
    only: Mapping[str, Sequence[Scalar]]
    reseedable: bool = False

    def renewed(self, sampler: BaseSampler, seed: int) -> BaseSampler:
        """Returns a sampler that answers like a new one with this seed.

        Where nothing but random state distinguishes the old one from a new one, it is the old one: TPE caches which
        dimensions all trials share, and a new sampler would look through the whole history for them.
        """
        return sampler if self.reseedable and _reseed(sampler, seed) else self.make(seed)


def sampler_names() -> list[str]:
    """Returns the names of all samplers of the installed Optuna."""
    found = []
    for name in optuna.samplers.__all__:
        kind = getattr(optuna.samplers, name)
        if inspect.isclass(kind) and issubclass(kind, BaseSampler) and not inspect.isabstract(kind):
            found.append(name)
    return sorted(found)


def sampler_kind(name: str, options: Mapping[str, Any], space: SearchSpace, objectives: int) -> SamplerKind:
    """Looks up a sampler and checks its options.

    Args:
        name: name of a class in ``optuna.samplers``.
        options: its keyword arguments except the seed. ``GridSampler`` needs none (the grid is the whole space);
            ``PartialFixedSampler`` takes ``fixed_params`` and the name of its ``base_sampler``, all other options being
            the base sampler's.
        space: the search space.
        objectives: number of objectives.

    Raises:
        UnknownNameError: there is no such sampler.
        ConfigError: an option is unknown or unusable, or the sampler cannot do this search.
        MissingExtraError: the sampler needs a package that is not installed.
    """
    names = sampler_names()
    if name not in names:
        raise UnknownNameError("Optuna sampler", name, names, where=_WHERE)
    if name in _ONE_OBJECTIVE and objectives > 1:
        raise ConfigError(
            f"{_WHERE}: {name} handles one objective, not {objectives}; NSGAIISampler handles any number."
        )
    if name == "PartialFixedSampler":
        return _partial_fixed(options, space, objectives)
    given = dict(options)
    only: dict[str, Sequence[Scalar]] = {}
    if name == "GridSampler":
        only = _grid(given.get("search_space"), space)
        given["search_space"] = {n: list(only.get(n, d.choices)) for n, d in space.dimensions.items()}
    kind = SamplerKind(
        name=name,
        make=_maker(name, given),
        memoryless=name in _MEMORYLESS,
        only=only,
        reseedable=name in _ONLY_RANDOM_STATE,
    )
    kind.make(0)
    return kind


def _maker(name: str, options: Mapping[str, Any]) -> Make:
    kind = getattr(optuna.samplers, name)
    parameters = inspect.signature(kind).parameters
    valid = [parameter for parameter in parameters if parameter != "seed"]
    for option in options:
        if option not in valid:
            raise ConfigError(f"{_WHERE}: {name} has no option {option!r}.{did_you_mean(option, valid)}")
    given = dict(options)
    # Independent sampling of conditional dimensions is meant here; a line of log for each of them is not.
    if "warn_independent_sampling" in parameters and parameters["warn_independent_sampling"].default is True:
        given.setdefault("warn_independent_sampling", False)

    def make(seed: int) -> BaseSampler:
        try:
            with quiet_optuna(), warnings.catch_warnings():
                # Options that Optuna is about to retire are still options.
                warnings.simplefilter("ignore", FutureWarning)
                sampler: BaseSampler = kind(seed=seed, **given)
                return sampler
        except ImportError as error:
            raise MissingExtraError(
                f"{_WHERE}: {name} needs a package that is not installed ({error}). Install it with: "
                "pip install 'automl-supernets[samplers]'"
            ) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{_WHERE}: {name} cannot use its options {dict(options)}: {error}") from error

    return make


def _reseed(sampler: BaseSampler, seed: int) -> bool:
    """Seeds every random state that a sampler and the samplers inside it hold; tells whether there is any."""
    found = False
    for part in vars(sampler).values():
        state = getattr(part, "rng", None)
        if isinstance(part, BaseSampler):
            found = _reseed(part, seed) or found
        elif isinstance(state, np.random.RandomState):
            state.seed(seed)
            found = True
    return found


def _grid(given: object, space: SearchSpace) -> dict[str, Sequence[Scalar]]:
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{_WHERE}: search_space must map names of dimensions to lists of values, got {given!r}.")
    for name, values in given.items():
        if not isinstance(values, list | tuple) or not values:
            raise ConfigError(f"{_WHERE}: search_space.{name} must be a list of values, got {values!r}.")
        for value in values:
            _check_choice(space, name, value, "search_space")
    points = math.prod(len(given.get(n, d.choices)) for n, d in space.dimensions.items())
    if points > _LARGEST_GRID:
        raise ConfigError(
            f"{_WHERE}: GridSampler would list {points:.3g} points, at most {_LARGEST_GRID} are possible; name fewer "
            "values in search_space."
        )
    return {name: tuple(values) for name, values in given.items()}


def _partial_fixed(options: Mapping[str, Any], space: SearchSpace, objectives: int) -> SamplerKind:
    given = dict(options)
    fixed = given.pop("fixed_params", None)
    if not isinstance(fixed, Mapping) or not fixed:
        raise ConfigError(
            f"{_WHERE}: PartialFixedSampler needs fixed_params, dimensions with their values; got {fixed!r}."
        )
    for name, value in fixed.items():
        _check_choice(space, name, value, "fixed_params")
    base_name = given.pop("base_sampler", "TPESampler")
    if base_name == "PartialFixedSampler":
        raise ConfigError(f"{_WHERE}: the base_sampler of PartialFixedSampler cannot be another PartialFixedSampler.")
    base = sampler_kind(base_name, given, space, objectives)

    def make(seed: int) -> BaseSampler:
        with quiet_optuna():
            return optuna.samplers.PartialFixedSampler(dict(fixed), base.make(seed))

    only = {**base.only, **{name: (value,) for name, value in fixed.items()}}
    return SamplerKind(
        name="PartialFixedSampler", make=make, memoryless=base.memoryless, only=only, reseedable=base.reseedable
    )


def _check_choice(space: SearchSpace, name: str, value: object, option: str) -> None:
    if name not in space.dimensions:
        raise ConfigError(f"{_WHERE}: {option}: unknown dimension {name!r}.{did_you_mean(name, space.names)}")
    choices = space.dimensions[name].choices
    if value not in choices:
        raise ConfigError(
            f"{_WHERE}: {option}.{name}: {value!r} is not a choice.{did_you_mean(str(value), map(str, choices))}"
        )
