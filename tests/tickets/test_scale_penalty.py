"""Channels that die in a training: what makes them cost, when they die, and that nothing changes when they are taken out."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.errors import ConfigError
from automl.job.pruned_network import without_channels
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.tickets import Gradual, SuperTickets, find_channel_groups, prune_network, sparsity_of
from automl.tickets.channels import prove_removal
from automl.tickets.scale_penalty import ScaledChannels, ScalePenalty, find_scaled_channels
from automl.training import SinglePath, TrainingPlan, train


class MultiKernel(nn.Module):
    """A sum of inverted residuals, one for each kernel, under one normalisation."""

    def __init__(self, channels: int, hidden: int, kernels: tuple[int, ...] = (1, 3, 5)) -> None:
        super().__init__()
        self.paths = nn.ModuleList(self._path(channels, Ordinal(hidden), kernel) for kernel in kernels)
        self.norm = elastic.BatchNorm2d(channels)

    @staticmethod
    def _path(channels: int, hidden: Ordinal, kernel: int) -> nn.Module:
        return nn.Sequential(
            elastic.Conv2d(channels, hidden, 1),
            elastic.BatchNorm2d(hidden),
            nn.ReLU(),
            elastic.Conv2d(hidden, hidden, kernel, depthwise=True),
            elastic.BatchNorm2d(hidden),
            nn.ReLU(),
            elastic.Conv2d(hidden, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.norm(sum(path(x) for path in self.paths))
        return x + total


class Stack(nn.Module):
    """Some blocks of 8 channels, pooled to 10 logits; ``(n, 64)`` pixels or an image in."""

    def __init__(self, hidden: int = 6, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.blocks = nn.Sequential(*(MultiKernel(8, hidden) for _ in range(blocks)))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(torch.relu(self.stem(x))).mean((2, 3)))
        return logits


def built(build: Callable[[], nn.Module], size: tuple[int, int] = (8, 8)):
    """A supernet, its only subnetwork with weights and statistics that all differ, its channel groups and inputs."""
    torch.manual_seed(4)
    supernet = Supernet(build())
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    for _ in range(3):
        supernet.train()(torch.randn(9, 1, *size))
    architecture, inputs = supernet.space.largest(), (torch.randn(5, 1, *size),)
    model = supernet.extract(architecture)
    return model, find_channel_groups(supernet, architecture, model, inputs), inputs


@pytest.fixture(scope="module")
def tried():
    model, groups, inputs = built(Stack)
    return model, groups, inputs, find_scaled_channels(model, groups, inputs)


@pytest.fixture
def stack(tried):
    """Model, channel groups, inputs."""
    model, groups, inputs, _ = tried
    return copy.deepcopy(model), groups, inputs


@pytest.fixture
def channels(tried):
    return tried[3]


def penalty_of(model, channels, **options):
    return ScalePenalty(channels, model, **{"strength": 0.3, "warmup_steps": 8, "threshold": 1e-3, **options})


def test_the_normalisation_before_the_projection_is_what_silences_a_hidden_channel(channels):
    assert [one.norms for one in channels] == [(f"blocks.{b}.paths.{p}.4",) for b in range(2) for p in range(3)]
    assert all(one.bypassed for one in channels)


def test_a_width_that_several_layers_have_in_common_needs_all_of_their_normalisations():
    class Chain(nn.Module):
        def __init__(self, *, normed: bool) -> None:
            super().__init__()
            width = Ordinal(7)
            self.stem, self.norm0 = elastic.Conv2d(1, width, 3), elastic.BatchNorm2d(width)
            self.conv, self.norm1 = elastic.Conv2d(width, width, 3), elastic.BatchNorm2d(width)
            self.head, self.normed = elastic.Linear(width, 3), normed

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm0(self.stem(x)) if self.normed else self.stem(x)
            logits: Tensor = self.head((x + torch.relu(self.norm1(self.conv(x)))).mean((2, 3)))
            return logits

    model, groups, inputs = built(lambda: Chain(normed=True))
    (one,) = find_scaled_channels(model, groups, inputs)
    assert one.norms == ("norm0", "norm1")
    assert not one.bypassed
    model, groups, inputs = built(lambda: Chain(normed=False))
    assert len(groups) == 1
    assert not find_scaled_channels(model, groups, inputs)  # the head reads what no scale reaches


def test_mean_cost_of_all_channels_is_one_and_a_larger_kernel_costs_more(stack, channels):
    penalty = penalty_of(stack[0], channels)
    units = [one.group.units for one in channels]
    assert sum(c * u for c, u in zip(penalty.costs, units, strict=True)) / sum(units) == pytest.approx(1)
    assert penalty.costs[0] < penalty.costs[1] < penalty.costs[2]
    # Expand and project have 8 weights for a channel, the depthwise convolution k²; on 64 positions of 5 samples.
    assert [one.macs for one in channels[:3]] == [320 * (16 + k * k) for k in (1, 3, 5)]


def test_doubling_the_resolution_quadruples_the_cost_of_a_channel():
    found = []
    for size in ((4, 6), (8, 12)):
        model, groups, inputs = built(lambda: Stack(blocks=1), size)
        found.append([one.macs for one in find_scaled_channels(model, groups, inputs)])
    assert found[1] == [4 * macs for macs in found[0]]


def test_strength_is_zero_at_first_linear_in_the_warm_up_and_full_after_it(stack, channels):
    model, _, _ = stack
    penalty = penalty_of(model, channels)
    assert [penalty.strength(step) for step in (0, 2, 4, 8, 9, 1000)] == pytest.approx([0, 0.075, 0.15, 0.3, 0.3, 0.3])
    one = penalty_of(model, channels, warmup_steps=0)
    assert one.strength(0) == 0
    assert one.strength(1) == 0.3


def scales_of(model, channels):
    return [dict(model.named_parameters())[f"{one.norms[0]}.weight"] for one in channels]


def test_the_gradient_is_that_of_the_weighted_sum_of_scales_and_at_zero_only_what_exceeds_it(stack, channels):
    model = stack[0]
    zeroed_scales(model, channels, [[0, 3]] * 6)
    penalty = penalty_of(model, channels, warmup_steps=2)
    for strength in (0.0, 0.15, 0.3, 0.3):
        before = []
        for scale in scales_of(model, channels):
            scale.grad = 0.3 * torch.randn_like(scale)
            before.append(scale.grad.clone())
        penalty.pull()
        for cost, scale, gradient in zip(penalty.costs, scales_of(model, channels), before, strict=True):
            pulled = gradient + strength * cost * scale.detach().sign()
            pulled[[0, 3]] = gradient[[0, 3]].sign() * (gradient[[0, 3]].abs() - strength * cost).clamp(min=0)
            torch.testing.assert_close(scale.grad, pulled)
        penalty.settle()


def test_a_step_is_lengthened_and_ends_at_zero_where_it_would_cross_it(stack, channels):
    model = stack[0]
    penalty = penalty_of(model, channels, rate=4.0, warmup_steps=0)
    penalty.settle()  # the penalty is at work from the second step on
    scale = scales_of(model, channels)[0]
    with torch.no_grad():
        scale.copy_(torch.tensor([1.0, -1.0, 0.2, -0.2, 0.0, 0.0]))
    scale.grad = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.01, -9.0])
    penalty.pull()
    with torch.no_grad():  # the last but one is moved by momentum alone
        scale.add_(torch.tensor([-0.1, 0.1, -0.1, 0.1, 0.1, 0.1]))
    penalty.settle()
    torch.testing.assert_close(scale.detach(), torch.tensor([0.6, -0.6, 0.0, 0.0, 0.0, 0.4]))
    assert (penalty.silent, penalty.woken) == (3, 1)
    again = penalty_of(model, channels)
    again.load_state_dict(penalty.state_dict())
    assert again.state_dict()["penalty steps"] == 2
    assert again.woken == 1


def zeroed_scales(model, channels, dead):
    """Zeroes scale and shift of some channels of each group."""
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        for one, positions in zip(channels, dead, strict=True):
            for part in ("weight", "bias"):
                parameters[f"{one.norms[0]}.{part}"][positions] = 0


def test_taking_out_channels_without_scale_and_shift_changes_no_output(stack, channels):
    model, groups, inputs = stack
    zeroed_scales(model, channels, [[0, 3], [], [1], [5], [2, 3, 4], [0, 1, 2, 3, 4]])
    penalty = penalty_of(model, channels)
    masks = {name: torch.ones_like(p, dtype=torch.bool) for name, p in model.named_parameters() if p.ndim > 1}
    masks |= {name: ~lost for name, lost in penalty.bury().items()}
    assert (penalty.alive, penalty.total) == (36 - 12, 36)
    small = without_channels(model, groups, masks)
    assert prove_removal(model, small, inputs) < 1e-12
    assert [small.blocks[b].paths[p][3].groups for b in range(2) for p in range(3)] == [4, 6, 5, 5, 3, 1]


def test_a_block_whose_paths_are_all_dead_adds_a_constant_to_what_bypasses_it(stack, channels):
    model, groups, inputs = stack
    zeroed_scales(model, channels, [[0, 1, 2, 3, 4, 5]] * 3 + [[]] * 3)
    penalty = penalty_of(model, channels)
    masks = {name: torch.ones_like(p, dtype=torch.bool) for name, p in model.named_parameters() if p.ndim > 1}
    masks |= {name: ~lost for name, lost in penalty.bury().items()}
    assert penalty.alive == 18
    small = without_channels(model, groups, masks)
    assert prove_removal(model, small, inputs) < 1e-12
    x = torch.randn(3, 8, 5, 7)
    added = small.blocks[0](x) - x
    torch.testing.assert_close(added, added[:1, :, :1, :1].expand_as(added), atol=1e-5, rtol=0)


def test_the_strongest_channel_of_a_group_that_nothing_bypasses_lives_on(stack, channels):
    model, _, _ = stack
    channels = [
        ScaledChannels(one.group, one.norms, one.macs, bypassed=number > 0) for number, one in enumerate(channels)
    ]
    penalty = penalty_of(model, channels, threshold=100.0)
    strongest = int(dict(model.named_parameters())[f"{channels[0].norms[0]}.weight"].abs().argmax())
    penalty.bury()
    assert penalty.alive == 1
    assert not penalty.dead[0][strongest]


def test_a_channel_dies_only_if_its_scale_is_small_in_every_reading(stack, channels):
    model, channels = stack[0], channels[:1]
    penalty, name = penalty_of(model, channels), f"{channels[0].norms[0]}.weight"
    one, other = torch.tensor([0, 2e-3, -1e-3, 1, 1, 1]), torch.tensor([0, 0, 1e-3, 0, 1, 1])
    penalty.bury({name: one}, {name: other})
    assert penalty.dead[0].tolist() == [True, False, True, False, False, False]
    penalty.bury({name: torch.ones(6)})
    assert penalty.alive == 4  # the dead stay dead


def supertickets(model, groups, inputs, **options):
    pruner = SuperTickets(**{"sparsity": 0.0, "penalty": 0.1, **options})
    pruner.couple(groups, model, inputs)
    return pruner


def test_lost_weights_never_come_back_and_count_as_the_first_that_a_draw_drops(stack, channels):
    model, groups, inputs = stack
    pruner = supertickets(model, groups, inputs, sparsity=0.4, interval=1, increment=0.1, penalty=1e-6)
    zeroed_scales(model, channels, [[1, 2]] + [[]] * 5)
    pruner.attach(model, TrainingPlan(8, 1, 0, lambda step: 0.1, 0.0))
    name = "blocks.0.paths.0.0.weight"
    entries = sum(mask.numel() for mask in pruner.masks.values())
    for step in range(1, 9):
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:  # not the scales
                    parameter.add_(0.2 * torch.randn_like(parameter))
        pruner.mask_gradients()
        pruner.weights_updated(step)
        assert not pruner.masks[name][[1, 2]].any()
        assert not dict(model.named_parameters())[name][[1, 2]].any()
        assert pruner.masks[name][[0, 3, 4, 5]].any()
        if step > 1:  # the first draw came before the channels died
            kept = sum(int(mask.sum()) for mask in pruner.masks.values())
            assert kept == entries - round(min(step / 10, 0.4) * entries)
    assert pruner.record()["alive"] == 34


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": -0.1}, "penalty: -0.1 is not valid: must be a number, 0 or more"),
        ({"penalty": "strong"}, "penalty: 'strong' is not valid"),
        ({"penalty": 1, "penalty_warmup": -1}, "penalty_warmup: -1 is not valid: must be a number of epochs"),
        ({"penalty": 1, "dead_below": float("inf")}, "dead_below: inf is not valid"),
        ({"penalty": 1, "scale_rate": 0}, "scale_rate: 0 is not valid: must be more than 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        SuperTickets(**options)
    assert message in str(caught.value)


def test_supernets_and_networks_without_such_channels_are_refused(stack):
    model, groups, inputs = stack
    plan = TrainingPlan(10, 1, 0, lambda step: 0.1, 0.0)
    with pytest.raises(ConfigError, match="penalty: needs one subnetwork, but here a whole supernet is pruned"):
        SuperTickets(penalty=0.1).attach(copy.deepcopy(model), plan)
    with pytest.raises(ConfigError, match="penalty: finds no channel in this network"):
        supertickets(model, groups, inputs, exclude="blocks.*").attach(model, plan)


def prune(model, groups, inputs, task, config, folder, **options):
    folder.mkdir(exist_ok=True)
    pruner = supertickets(model, groups, inputs, **options)
    return prune_network(model, task, config, compressor=pruner, folder=folder, seed=5, device="cpu")


def test_without_penalty_and_sparsity_a_training_stays_as_it_is_to_the_bit(digits, config, tmp_path):
    config = config.model_copy(update={"epochs": 1})
    plain, pruned = built(Stack)[0], built(Stack)
    for name in ("plain", "pruned"):
        (tmp_path / name).mkdir()
    train(Supernet(plain), digits, config, strategy=SinglePath(), folder=tmp_path / "plain", seed=5, device="cpu")
    pruner = supertickets(*pruned, penalty=0.0)
    train(
        Supernet(pruned[0]),
        digits,
        config,
        strategy=SinglePath(),
        folder=tmp_path / "pruned",
        seed=5,
        device="cpu",
        compressor=pruner,
    )
    states = plain.state_dict().values(), pruned[0].state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    assert "alive" not in pruner.record()
    assert "penalty" not in pruner.describe()


def weak():
    """A network in which two of six channels of each group begin with scales of nearly zero."""
    model, groups, inputs = built(lambda: Stack(blocks=1))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".4.weight"):
                parameter[[1, 4]] = 0.03
    return model, groups, inputs


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_penalty_alone_is_a_search_of_channels_that_goes_on_exactly_after_a_kill(ema, digits, config, tmp_path):
    """Masks hold dead channels and nothing else; taken out, they change nothing; scales and averages are exactly zero."""
    config = config.model_copy(update={"epochs": 2, "ema": ema})
    options = {"penalty": 0.02, "dead_below": 0.1}
    model, groups, inputs = weak()
    whole = prune(model, groups, inputs, digits, config, tmp_path / "whole", **options)
    record = whole.history[-1]["compression"]
    assert 0 < record["alive"] < record["channels"] == 18
    dead = sum(len(group.dead(whole.masks)) for group in groups)
    assert dead == record["channels"] - record["alive"]
    kept = {name: torch.ones_like(mask) for name, mask in whole.masks.items()}
    for group in groups:
        for name, axis in group.weights:
            kept[name].index_fill_(axis, group.dead(whole.masks), False)
    assert all(torch.equal(mask, whole.masks[name]) for name, mask in kept.items())
    small = without_channels(whole.model, groups, whole.masks)
    assert prove_removal(whole.model, small, digits.example_inputs(5)) < 1e-12
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in whole.model.parameters())

    class Killing:
        def __init__(self, after: int) -> None:
            self.left = after

        def start(self, total, completed):
            pass

        def advance(self, steps=1):
            self.left -= 1
            if not self.left:
                raise Killed

        def epoch_ended(self, record):
            pass

    folder = tmp_path / "killed"
    folder.mkdir()
    for moment in (9, 20):
        model, groups, inputs = weak()
        with pytest.raises(Killed):
            prune_network(
                model,
                digits,
                config,
                compressor=supertickets(model, groups, inputs, **options),
                folder=folder,
                seed=5,
                device="cpu",
                progress=Killing(moment),
            )
    model, groups, inputs = weak()
    again = prune(model, groups, inputs, digits, config, folder, **options)
    assert all(torch.equal(mask, again.masks[name]) for name, mask in whole.masks.items())
    states = whole.model.state_dict().values(), again.model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    assert [r["compression"] for r in again.history] == [r["compression"] for r in whole.history]


def test_gradual_pruning_loses_nothing_for_good(new_mlp, digits, config, tmp_path):
    pruned = prune_network(
        new_mlp(),
        digits,
        config.model_copy(update={"epochs": 1}),
        compressor=Gradual(sparsity=0.5),
        folder=tmp_path,
        seed=5,
        device="cpu",
    )
    assert sparsity_of(pruned.masks) == pytest.approx(0.5, abs=1e-3)
    assert "alive" not in pruned.history[-1]["compression"]


def test_in_a_short_training_channels_fall_silent_come_back_and_die_and_other_weights_come_back(
    digits, config, tmp_path
):
    model, groups, inputs = built(Stack)
    pruned = prune(model, groups, inputs, digits, config, tmp_path / "run", penalty=0.1, sparsity=0.5)
    records = [record["compression"] for record in pruned.history]
    alive = [record["alive"] for record in records]
    assert alive == sorted(alive, reverse=True)
    assert 0 < alive[-1] < records[-1]["channels"] == 36
    assert records[-1]["woken"] > 0
    assert records[-1]["revived"] > 0
    small = without_channels(pruned.model, groups, pruned.masks)
    assert prove_removal(pruned.model, small, digits.example_inputs(5)) < 1e-12
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in pruned.model.parameters())


@pytest.mark.slow
def test_a_stronger_penalty_leaves_fewer_channels_at_about_the_same_accuracy(digits, config, tmp_path):
    config = config.model_copy(update={"epochs": 10, "learning_rate": 0.03})
    alive, accuracies = [], []
    for number, strength in enumerate((1e-4, 0.05)):
        model, groups, inputs = built(lambda: Stack(hidden=4, blocks=1))
        options = {"penalty": strength, "scale_rate": 3}
        pruned = prune(model, groups, inputs, digits, config, tmp_path / str(number), **options)
        alive.append(pruned.history[-1]["compression"]["alive"])
        accuracies.append(1 - digits.evaluate(pruned.model, "test", 512)["error"])
    assert alive[0] > alive[1]
    assert accuracies[1] > accuracies[0] - 0.1, (alive, accuracies)
