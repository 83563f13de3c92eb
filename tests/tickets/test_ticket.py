from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from automl.errors import RunError
from automl.tickets import Ticket, sparsity_of
from automl.tickets.masks import apply_masks
from automl.tickets.ticket import weights_digest

shapes = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(max_examples=40)
@given(shapes=shapes, seed=st.integers(0, 99))
def test_masks_survive_the_file_bit_by_bit(shapes, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    masks = {f"w{i}": torch.from_numpy(rng.random(shape) < 0.3) for i, shape in enumerate(shapes)}
    ticket = Ticket(masks, "ab" * 32, ("w0",), "", {"run": "r", "id": "m"})
    path = tmp_path_factory.mktemp("ticket") / "t.safetensors"
    ticket.save(path)
    again = Ticket.load(path)
    assert all(torch.equal(mask, again.masks[name]) for name, mask in masks.items())
    assert (again.base, again.names, again.about, again.sparsity) == (
        ticket.base,
        ("w0",),
        ticket.about,
        sparsity_of(masks),
    )


@pytest.fixture
def pair(tmp_path):
    """A network, its ticket, and the files of both."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30), nn.Linear(30, 7))
    masks = {name: torch.rand_like(p) < 0.4 for name, p in network.named_parameters() if p.ndim > 1}
    names = tuple(name for name, _ in network.named_parameters())
    ticket = Ticket(masks, weights_digest(network), names, "", {"run": "mine", "id": "abc"})
    ticket.save(tmp_path / "t.safetensors")
    return network, ticket, tmp_path


def test_a_mask_takes_one_bit_for_each_weight(pair):
    _, ticket, folder = pair
    content = (folder / "t.safetensors").read_bytes()
    header = int.from_bytes(content[:8], "little")
    assert len(content) - 8 - header == sum(-(-mask.numel() // 8) for mask in ticket.masks.values())


def test_applied_ticket_gives_the_masked_network_and_leaves_the_base(pair):
    network, ticket, _ = pair
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    masked = ticket.apply(network.state_dict(), "here")
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    apply_masks(network, ticket.masks)
    x = torch.randn(5, 40)
    twin = nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30), nn.Linear(30, 7))
    twin.load_state_dict(masked)
    assert torch.equal(twin.eval()(x), network.eval()(x))


def test_statistics_of_batch_norm_are_no_part_of_the_base(pair):
    network, ticket, _ = pair
    network(torch.randn(64, 40))
    ticket.check_base(network.state_dict(), "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["2.bias"].add_(1e-6), "here: the ticket belongs to other weights (digest"),
        (
            lambda state: state.pop("2.weight"),
            "here: the ticket belongs to another network: this one has no '2.weight'",
        ),
        (lambda state: state.update({"2.weight": torch.ones(7, 29)}), "this one has '2.weight' in another shape"),
    ],
)
def test_another_base_is_refused_in_one_line(change, message, pair):
    network, ticket, _ = pair
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    change(state)
    with pytest.raises(RunError) as caught:
        ticket.apply(state, "here")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "text", "weights", "format", "short mask"])
def test_damaged_ticket_is_an_error_that_names_the_file(damage, pair):
    _, _, folder = pair
    path = folder / "t.safetensors"
    content = path.read_bytes()
    header = {"format": 1, "base": "", "names": [], "weights": "", "about": {}, "shapes": {"w": [9]}}
    if damage == "missing":
        path.unlink()
    elif damage in ("weights", "format", "short mask"):
        shown = {"weights": None, "format": {**header, "format": 9}, "short mask": header}[damage]
        metadata = None if shown is None else {"automl-ticket": json.dumps(shown)}
        path.write_bytes(safetensors.torch.save({"w": torch.ones(1, dtype=torch.uint8)}, metadata=metadata))
    else:
        path.write_bytes({"truncated": content[:-5], "empty": b"", "text": b"no ticket at all"}[damage])
    with pytest.raises(RunError, match=r"t\.safetensors: "):
        Ticket.load(path)
