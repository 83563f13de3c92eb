"""Few networks that together hold every block of a space in every setting of its own dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from torch import nn

from automl.errors import SpaceError
from automl.space import Architecture, SearchSpace, restrict
from automl.supernet import Supernet
from automl.supernet.network import SkeletonNetwork, SlotNetwork

__all__ = ["covering_architectures"]

_MOST_SETTINGS: Final = 4096
Setting = tuple[tuple[str, Any], ...]


def covering_architectures(supernet: Supernet) -> Iterator[Architecture]:
    """Yields architectures until every block was in one of them in every setting of the dimensions that it reads.

    Each architecture takes a new setting at as many places as possible at once, so their number is about that of the
    settings of the block with the most of them. Dimensions that places share, such as widths, may need some more. A
    setting that no allowed architecture has is given up. Of a block with more than 4096 settings the first so many are
    covered.

    The order is fixed; nothing is random.
    """
    space = supernet.space
    largest = dict(space.largest())
    defaults = {name: dimension.choices[-1] for name, dimension in space.dimensions.items()} | largest
    open_settings = _settings(supernet)
    while any(open_settings.values()):
        chosen: dict[str, Any] = {}
        wanted: list[tuple[str, Setting]] = []
        for place, settings in open_settings.items():
            fitting = next((s for s in settings if all(chosen.get(name, value) == value for name, value in s)), None)
            if fitting is not None:
                chosen.update(fitting)
                wanted.append((place, fitting))
        architecture = _architecture(space, defaults, chosen)
        covered = 0 if architecture is None else _cross_off(open_settings, architecture)
        if architecture is not None and covered:
            yield architecture
            continue
        # what was wanted cannot stand together: try the first alone, and give it up if it cannot stand at all
        place, setting = wanted[0]
        architecture = _architecture(space, defaults, dict(setting))
        if architecture is not None and _cross_off(open_settings, architecture):
            yield architecture
        open_settings[place].pop(setting, None)


def _settings(supernet: Supernet) -> dict[str, dict[Setting, None]]:
    """For each place of a block all settings of its dimensions, by their names in the space, in order.

    Where the space keeps only some choices of a network, settings with others are left out.
    """
    names = {dimension: name for name, dimension in supernet.module_dimensions.items()}
    found = {}
    for path, module in _places(supernet.network).items():
        local = SearchSpace.of(module)
        kept = {
            name: [
                choice for choice in dimension.choices if choice in supernet.space.dimensions[names[dimension]].choices
            ]
            for name, dimension in local.dimensions.items()
            if dimension in names
        }
        settings: dict[Setting, None] = {}
        for architecture in restrict(local, kept).enumerate():
            # A dimension that is not in the space can no longer be active in it.
            if all(local.dimensions[name] in names for name in architecture):
                settings[tuple((names[local.dimensions[name]], value) for name, value in architecture.items())] = None
            if len(settings) >= _MOST_SETTINGS:
                break
        found[path] = settings
    return found


def _places(network: nn.Module) -> dict[str, nn.Module]:
    if not isinstance(network, SkeletonNetwork):
        return {"": network}
    places = {}
    for name in network.sources:
        slot = cast(SlotNetwork, network.get_submodule(name))
        places.update({f"{name}.blocks.{i}": block for i, block in slot.blocks.named_children()})
    return {**places, "head": network.head}


def _architecture(space: SearchSpace, defaults: Mapping[str, Any], chosen: Mapping[str, Any]) -> Architecture | None:
    try:
        return space.canonical({**defaults, **chosen})
    except SpaceError:  # a forbidden combination
        return None


def _cross_off(open_settings: dict[str, dict[Setting, None]], architecture: Architecture) -> int:
    covered = 0
    for settings in open_settings.values():
        done = [s for s in settings if all(architecture.get(name) == value for name, value in s)]
        for setting in done:
            del settings[setting]
        covered += len(done)
    return covered
