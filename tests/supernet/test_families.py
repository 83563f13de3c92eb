"""Blocks that compete for a slot are families; options inside blocks and heads are not."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from automl.elastic import Choice, Repeat
from automl.host import Host
from automl.job.opened import task_and_supernet
from automl.job.parts import resolve_parts
from automl.job_config import resolve_job
from automl.space import Ordinal, SearchSpace
from automl.supernet import family_slots
from automl.supernet.network import SlotNetwork


def _option() -> nn.Module:
    """A block with a choice between a module and nothing inside."""
    return nn.Sequential(nn.Linear(3, 3), Choice({"off": nn.Identity(), "on": nn.Linear(3, 3)}))


def _slot(block: Callable[[], nn.Module]) -> SlotNetwork:
    depth = Ordinal(1, 2)
    return SlotNetwork(Repeat([block(), block()], depth), width=3, depth=depth, payload=None)  # type: ignore[arg-type]


def test_options_inside_the_blocks_of_a_slot_and_in_a_head_are_no_families() -> None:
    network = nn.ModuleDict(
        {
            "body": _slot(lambda: Choice({"narrow": nn.Linear(3, 3), "optional": _option()})),
            "neck": _slot(_option),
            "head": Choice({"dot": nn.Linear(3, 2), "perceptron": nn.Linear(3, 2)}),
        }
    )
    slots = family_slots(network, SearchSpace.of(network))
    assert list(slots) == ["body"]
    assert slots["body"].families == ["narrow", "optional"]
    assert slots["body"].dimensions == ("body.blocks.0.choice", "body.blocks.1.choice")


def test_families_without_weights_compete_all_the_same() -> None:
    network = nn.Sequential(_slot(lambda: Choice({"mean": nn.Identity(), "tanh": nn.Tanh()})))
    assert family_slots(network, SearchSpace.of(network))["0"].families == ["mean", "tanh"]


def test_in_a_network_without_slots_every_outermost_choice_counts() -> None:
    network = nn.Sequential(Choice({"plain": nn.Linear(3, 3), "optional": _option()}), nn.Linear(3, 3), _option())
    assert list(family_slots(network, SearchSpace.of(network))) == ["0", "2.1"]


def test_squeeze_and_excite_is_no_family_of_an_image_space() -> None:
    host = Host.load()
    job = resolve_job(settings={"space": "image/tiny", "data": "digits"})
    _, supernet = task_and_supernet(job, resolve_parts(job, host), host)
    assert "stage2.blocks.0.squeeze_excite.choice" in supernet.space.dimensions
    assert family_slots(supernet.network, supernet.space) == {}
