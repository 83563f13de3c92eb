"""Masks in a real training: zeros stay zeros, resume is exact, and pruning learns."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from automl.errors import ConfigError
from automl.supernet import Supernet
from automl.tickets import (
    Gradual,
    Iterative,
    KeptMask,
    OneShot,
    SuperTickets,
    masks_of_zeros,
    prune_network,
    sparsity_of,
)
from automl.training import SinglePath, TrainingPlan, train

PRUNERS = {
    "gradual": lambda: Gradual(sparsity=0.83, frequency=3),
    "gradual, by gradient": lambda: Gradual(sparsity=0.83, criterion="gradient", scope="layer"),
    "one-shot": lambda: OneShot(sparsity=0.7, start=1.5, exclude="6.*"),
    "iterative": lambda: Iterative(sparsity=0.8, rounds=2, rewind=0.3),
    "supertickets": lambda: SuperTickets(sparsity=0.6, interval=0.4),
    "2:4": lambda: SuperTickets(granularity="2:4", increment=0.25, interval=0.9),
}


class Killed(BaseException):
    """Stands for the end of the process."""


class Steps:
    """Looks at the network after each step, and ends the process after some."""

    def __init__(self, look=lambda: None, kill_after=None):
        self.look, self.kill_after, self.seen = look, kill_after, 0

    def start(self, total, completed):
        pass

    def advance(self, steps=1):
        self.seen += 1
        self.look()
        if self.seen == self.kill_after:
            raise Killed

    def epoch_ended(self, record):
        pass


def prune(model, task, config, pruner, folder, **options):
    return prune_network(model, task, config, compressor=pruner, folder=folder, seed=5, device="cpu", **options)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("name", PRUNERS)
def test_masked_weights_and_their_averages_are_zero_after_every_step(
    name, optimiser, new_mlp, digits, config, tmp_path
):
    config = config.model_copy(update={"optimiser": optimiser, "weight_decay": 0.1, "epochs": 3})
    pruner, model, sparsities = PRUNERS[name](), new_mlp(), []

    def look():
        weights = dict(model.named_parameters())
        assert all(not weights[n][~mask].any() for n, mask in pruner.masks.items())
        sparsities.append(sparsity_of(pruner.masks))

    pruned = prune(model, digits, config, pruner, tmp_path, progress=Steps(look))
    assert len(sparsities) == 3 * 17
    assert sparsities[-1] == pytest.approx(pruner.choices.sparsity, abs=0.001)
    found = masks_of_zeros(pruned.model, list(pruned.masks))  # the averaged weights
    assert all(torch.equal(found[n], mask) for n, mask in pruned.masks.items())
    assert all(not n.startswith("6.") for n in pruned.masks) == (name == "one-shot")
    if name == "one-shot":
        assert pruned.model[6].weight.all()
    assert all(record["compression"]["sparsity"] <= 0.84 for record in pruned.history)


@pytest.mark.parametrize("name", PRUNERS)
def test_pruning_killed_in_every_epoch_ends_with_the_same_masks_and_weights(name, new_mlp, digits, config, tmp_path):
    folders = [tmp_path / word for word in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    whole = prune(new_mlp(), digits, config, PRUNERS[name](), folders[0])
    for moment in (5, 20, 23, 33, 17):  # in an epoch, and at its last step
        model = new_mlp() if moment == 5 else new_mlp(seed=9)  # later on, all weights come from the checkpoint
        with pytest.raises(Killed):
            prune(model, digits, config, PRUNERS[name](), folders[1], progress=Steps(kill_after=moment))
    again = prune(new_mlp(seed=9), digits, config, PRUNERS[name](), folders[1])
    assert all(torch.equal(mask, again.masks[n]) for n, mask in whole.masks.items())
    for n, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[n]), n
    untimed = [[{**record, "seconds": 0} for record in pruned.history] for pruned in (whole, again)]
    assert untimed[0] == untimed[1]


def test_sparsity_zero_leaves_a_training_as_it_is_to_the_bit(new_mlp, digits, config, tmp_path):
    folders = [tmp_path / word for word in ("dense", "pruned")]
    for folder in folders:
        folder.mkdir()
    dense, pruned = new_mlp(), new_mlp()
    train(Supernet(dense), digits, config, strategy=SinglePath(), folder=folders[0], seed=5, device="cpu")
    train(
        Supernet(pruned),
        digits,
        config,
        strategy=SinglePath(),
        folder=folders[1],
        seed=5,
        device="cpu",
        compressor=Gradual(sparsity=0.0),
    )
    assert all(
        torch.equal(a, b) for a, b in zip(dense.state_dict().values(), pruned.state_dict().values(), strict=True)
    )


def attached(pruner, layer, steps=10, **options):
    plan = TrainingPlan(steps, 1, 0, lambda step: options.get("rate", 0.5), options.get("decay", 0.0))
    pruner.attach(layer, plan)
    return layer


def test_gradients_of_masked_weights_are_zero_and_of_others_untouched():
    layer = attached(pruner := OneShot(sparsity=0.5), nn.Linear(6, 7))
    layer(torch.randn(4, 6)).square().sum().backward()
    before = layer.weight.grad.clone()
    pruner.mask_gradients()
    assert torch.equal(layer.weight.grad, before * pruner.masks["weight"])
    assert layer.weight.grad.any()


def test_forward_equals_that_of_a_copy_with_zeros_written_in():
    layer, x = nn.Linear(6, 7), torch.randn(3, 6)
    dense = copy.deepcopy(layer)
    attached(pruner := OneShot(sparsity=0.4), layer)
    with torch.no_grad():
        dense.weight.mul_(pruner.masks["weight"])
    assert torch.equal(layer(x), dense(x))


def test_weight_behind_a_mask_comes_back_when_others_have_become_smaller():
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 3.0, 2.0, 1.0]]))
    pruner = SuperTickets(sparsity=0.5, interval=1, increment=0.25)
    attached(pruner, layer, rate=0.1, decay=0.5)
    pruner.weights_updated(1)
    assert layer.weight.tolist() == [[4, 3, 2, 0]]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 0.1, 0.2, 7.0]]))  # a masked weight that an optimiser moved
    pruner.weights_updated(2)
    # The hidden 1 has decayed by 1 − 0.1 · 0.5, once.
    assert layer.weight[0].tolist() == pytest.approx([4, 0, 0, 0.95])
    assert pruner.record() == {"sparsity": 0.5, "revived": 1}


def test_frozen_weights_never_come_back():
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 3.0, 2.0, 1.0]]))
    attached(pruner := SuperTickets(sparsity=0.5, interval=1, increment=0.25, reactivation=False), layer)
    pruner.weights_updated(1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 0.1, 0.2, 0.0]]))
    pruner.weights_updated(2)
    assert pruner.masks["weight"].tolist() == [[True, False, True, False]]
    assert pruner.record()["revived"] == 0


def test_iterative_sets_kept_weights_back_to_their_early_values():
    layer = nn.Linear(5, 6)
    pruner = Iterative(sparsity=0.5, rounds=1, rewind=2)
    attached(pruner, layer, steps=8)
    early = None
    for step in range(1, 6):
        with torch.no_grad():
            layer.weight.add_(torch.randn_like(layer.weight))
            layer.bias.add_(1)
        last = layer.weight.detach().clone()
        assert pruner.weights_updated(step) == (step == 4)
        if step == 2:
            early = copy.deepcopy(layer)
        if step == 4:
            mask = pruner.masks["weight"]
            assert torch.equal(layer.weight, early.weight * mask)
            assert torch.equal(layer.bias, early.bias)
            assert bool(last[mask].abs().min() >= last[~mask].abs().max())  # ranked by the late values


def test_recurrent_weights_are_masked_as_whole_matrices_and_biases_stay_dense():
    cell = attached(pruner := OneShot(sparsity=0.5, scope="layer"), nn.LSTM(5, 4))
    assert {name: tuple(mask.shape) for name, mask in pruner.masks.items()} == {
        "weight_ih_l0": (16, 5),
        "weight_hh_l0": (16, 4),
    }
    assert [int(mask.sum()) for mask in pruner.masks.values()] == [40, 32]
    assert cell.bias_ih_l0.all()


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (lambda: Gradual(sparsity=1.0), "sparsity: 1.0 is not valid: must be at least 0 and less than 1"),
        (lambda: Gradual(sparsity=-0.1), "sparsity: -0.1 is not valid"),
        (lambda: OneShot(sparsity=float("nan")), "sparsity: nan is not valid"),
        (lambda: OneShot(sparsity="much"), "sparsity: 'much' is not valid"),
        (lambda: Gradual(criterion="magnitud"), "unknown criterion 'magnitud'. Did you mean 'magnitude'?"),
        (lambda: Gradual(granularity="chanel"), "unknown granularity 'chanel'. Did you mean 'channel'?"),
        (lambda: Gradual(granularity="4:4"), "'4:4' must keep some but not all of a group"),
        (lambda: Gradual(granularity="0:4"), "'0:4' must keep some but not all of a group"),
        (
            lambda: Gradual(granularity="2:4", sparsity=0.9),
            "0.9 contradicts the granularity '2:4', which leaves out 0.5",
        ),
        (lambda: Gradual(scope="layers"), "unknown scope 'layers'. Did you mean 'layer'?"),
        (lambda: Gradual(start=3, end=2), "end: 2 is not valid: must be after start, 3"),
        (lambda: Gradual(start=-1), "start: -1 is not valid"),
        (lambda: Gradual(frequency=0), "frequency: 0 is not valid"),
        (lambda: Gradual(initial=0.95), "initial: 0.95 is not valid"),
        (lambda: Gradual(power=0), "power: 0 is not valid"),
        (lambda: Iterative(rounds=0), "rounds: 0 is not valid"),
        (lambda: SuperTickets(increment=0), "increment: 0 is not valid"),
    ],
)
def test_wrong_options_are_refused_with_the_option_and_the_way_out(pruner, message):
    with pytest.raises(ConfigError) as caught:
        pruner()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (Gradual(granularity="2:4"), "'2:4' does not divide the 6 inputs of '0.weight'; exclude that weight"),
        (Gradual(exclude=["0.wieght"]), "'0.wieght' matches no prunable weight. Did you mean '0.weight'"),
        (Gradual(exclude=["0.*", "1.*"]), "'0.*', '1.*' leaves no weight to prune; all 2 are excluded"),
        (Gradual(granularity="channel"), "'channel' needs one subnetwork, but here a whole supernet is pruned"),
        (OneShot(criterion="gradient"), "'gradient' needs gradients, and there are none before the first step"),
    ],
)
def test_options_that_do_not_fit_the_network_are_refused(pruner, message):
    with pytest.raises(ConfigError) as caught:
        attached(pruner, nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)))
    assert message in str(caught.value)


def test_two_of_four_works_where_the_odd_layer_is_excluded():
    network = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))
    attached(pruner := OneShot(granularity="2:4", exclude="0.*"), network)
    assert sparsity_of(pruner.masks) == 0.5
    assert network[0].weight.all()


def test_masks_of_another_network_are_refused():
    with pytest.raises(ConfigError, match="has a mask for 'weight' of \\(2, 3\\), the network has no such weight"):
        attached(KeptMask({"weight": torch.ones(2, 3, dtype=torch.bool)}), nn.Linear(4, 2))


@pytest.mark.slow
def test_gradual_beats_random_from_the_start_which_beats_one_shot_without_fine_tuning(
    new_mlp, digits, config, tmp_path
):
    """Also: what pruning costs at 95 % is little, and at 80 % progressive pruning is far ahead of one shot at the end."""
    config = config.model_copy(update={"epochs": 16, "ema": 0.0})

    def accuracy(pruner, name):
        (tmp_path / name).mkdir()
        pruned = prune(new_mlp(width=64), digits, config, pruner, tmp_path / name)
        return 1 - digits.evaluate(pruned.model, "test", 512)["error"], pruned.history[-1]["compression"]

    dense, _ = accuracy(OneShot(sparsity=0), "dense")
    gradual, _ = accuracy(Gradual(sparsity=0.95), "gradual")
    random, _ = accuracy(OneShot(sparsity=0.95, criterion="random"), "random")
    shot, _ = accuracy(OneShot(sparsity=0.95, start=16), "shot")
    tickets, record = accuracy(SuperTickets(sparsity=0.95), "tickets")
    assert dense > 0.95
    assert gradual > random + 0.03 > shot + 0.1
    assert tickets > shot + 0.3
    assert record["revived"] > 0
