"""Training of a generator: a conditional variational autoencoder over the edges of a graph."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError, DataError
from automl_graph.local_augmentation.generator import Generator, GeneratorOptions
from automl_graph.local_augmentation.snapshot import SnapshotJudge

__all__ = [
    "Encoder",
    "GeneratorRecord",
    "divergence",
    "neighbour_pairs",
    "reconstruction_loss",
    "train_generator",
    "train_snapshots",
]

_SHOWN: Final = 100
_DRAWS: Final = 8
_EVERY: Final = 20
_EARLIEST: Final = 200


class GeneratorRecord(NamedTuple):
    """How a training went.

    Attributes:
        loss: mean over the last hundred steps, per pair, in nats (squared error for ``mse``).
        kl: its part that is the divergence of the latent numbers.
        deviation: mean standard deviation of a generated feature over draws. Near 0 the decoder ignores the latent numbers, and
            several draws add nothing to one.
    """

    loss: float
    kl: float
    deviation: float


@final
class Encoder(nn.Module):
    """Mean and logarithm of the variance of the latent numbers of a pair."""

    def __init__(self, width: int, options: GeneratorOptions) -> None:
        super().__init__()
        self.enter = nn.Linear(2 * width, options.hidden)
        self.mean = nn.Linear(options.hidden, options.latent)
        self.log_variance = nn.Linear(options.hidden, options.latent)

    def forward(self, neighbour: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Returns two ``(pairs, latent)`` tensors."""
        hidden = torch.relu(self.enter(torch.cat([neighbour, centre], dim=1)))
        return self.mean(hidden), self.log_variance(hidden)


def neighbour_pairs(edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the centres and their neighbours: targets and sources of all edges but self loops."""
    source, target = edge_index[:, edge_index[0] != edge_index[1]]
    return target, source


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Returns for each pair the Kullback-Leibler divergence from normal numbers, ``(pairs,)``."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)


def reconstruction_loss(logits: Tensor, neighbour: Tensor, options: GeneratorOptions) -> Tensor:
    """Returns for each pair the error summed over features, ``(pairs,)``."""
    if options.reconstruction == "mse":
        return (logits - neighbour).square().sum(1)
    return F.binary_cross_entropy_with_logits(logits, neighbour, reduction="none").sum(1)


def train_generator(
    x: Tensor,
    edge_index: Tensor,
    options: GeneratorOptions | None = None,
    labelled: tuple[Tensor, Tensor] | None = None,
) -> tuple[Generator, GeneratorRecord]:
    """Learns what a neighbour of a node looks like, from features and edges alone; labels choose a snapshot at most.

    Args:
        x: features as networks will see them, ``(nodes, width)``.
        edge_index: ``(2, edges)``; the target of an edge is the node, the source its neighbour.
        options: sizes and training.
        labelled: training nodes and their classes, each ``(labelled,)`` int64; read by the selection ``u_score`` only.

    Returns:
        The generator in evaluation mode, its weights fixed, and how the training went.

    Raises:
        DataError: there are no edges, or features outside of 0 to 1 with ``bce``.
        ConfigError: ``u_score`` without labels.

    Source:
        Liu et al. 2022, arXiv:2109.03856, section 3.1. Deviations: a fixed number of steps, of which a snapshot is chosen if
        wanted; rows are normalised in the output if wanted, the condition is what networks see.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> generator, _ = train_generator(torch.eye(3), ring, GeneratorOptions(steps=2, hidden=4))
        >>> generator(torch.eye(3)).shape
        torch.Size([3, 3])
    """
    options = GeneratorOptions() if options is None else options
    _require_trainable(x, edge_index, options)
    if options.selection == "u_score" and labelled is None:
        raise ConfigError(
            "local augmentation: the selection 'u_score' needs 'labelled', training nodes and their classes."
        )
    losses: list[tuple[float, float]] = []
    best: tuple[float, dict[str, Tensor]] | None = None
    with torch.random.fork_rng(devices=()):
        training = _Training(x, edge_index, options)
        generator = training.generator
        judge = SnapshotJudge(x, edge_index, *labelled) if options.selection == "u_score" and labelled else None
        for step in range(1, options.steps + 1):
            losses.append(training.step())
            if judge is not None and (step == options.steps or (step > _EARLIEST and step % _EVERY == 0)):
                with torch.no_grad():
                    generated = generator.train()(x)
                score = judge.score(generated)
                if best is None or score > best[0]:
                    best = score, _state_of(generator)
                    judge.learn(generated)
        if best is not None:
            generator.load_state_dict(best[1])
        generator.requires_grad_(False)
        generator.train()
        deviation = torch.stack([generator(x) for _ in range(_DRAWS)]).std(0).mean().item()
    shown = torch.tensor(losses[-_SHOWN:]).mean(0).tolist()
    return generator.eval(), GeneratorRecord(shown[0], shown[1], deviation)


def train_snapshots(
    x: Tensor, edge_index: Tensor, options: GeneratorOptions, steps: Collection[int]
) -> dict[int, Generator]:
    """Returns the generators after several numbers of steps, all from one training of the largest.

    Each is, bit for bit, what ``train_generator`` gives for that number of steps: the rate is constant, so the first steps
    of a long training are those of a short one.

    Args:
        x: features as networks will see them, ``(nodes, width)``.
        edge_index: ``(2, edges)``.
        options: sizes and training, with the selection ``last``; its own number of steps is not read.
        steps: numbers of steps, at least one of them.

    Raises:
        DataError: there are no edges, or features outside of 0 to 1 with ``bce``.
        ConfigError: another selection, which depends on where a training ends.
    """
    if options.selection != "last":
        raise ConfigError(f"local augmentation: snapshots need the selection 'last', not {options.selection!r}.")
    _require_trainable(x, edge_index, options)
    taken: dict[int, Generator] = {}
    with torch.random.fork_rng(devices=()):
        training = _Training(x, edge_index, options)
        for step in range(1, max(steps) + 1):
            training.step()
            if step in steps:
                # A copy and not a new one, whose first weights would be drawn from the numbers of this training.
                taken[step] = copy.deepcopy(training.generator).requires_grad_(False).eval()
    return taken


@final
class _Training:
    """Generator, encoder and optimiser, from the seed of the options on; the caller keeps the state of random numbers."""

    def __init__(self, x: Tensor, edge_index: Tensor, options: GeneratorOptions) -> None:
        torch.manual_seed(options.seed)
        self._x: Final = x
        self._options: Final = options
        self._centre, self._neighbour = neighbour_pairs(edge_index)
        self.generator: Final = Generator(x.shape[1], options).to(x)
        self._encoder: Final = Encoder(x.shape[1], options).to(x)
        parameters = [*self.generator.parameters(), *self._encoder.parameters()]
        self._optimiser: Final = torch.optim.Adam(parameters, lr=options.learning_rate)

    def step(self) -> tuple[float, float]:
        """Takes a step; returns loss and divergence of its pairs."""
        options = self._options
        drawn = torch.randint(len(self._centre), (options.batch_size,))
        given, wanted = self._x[self._centre[drawn]], self._x[self._neighbour[drawn]]
        mean, log_variance = self._encoder(wanted, given)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl = divergence(mean, log_variance).mean()
        loss = reconstruction_loss(self.generator.logits(z, given), wanted, options).mean()
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + options.kl_weight * kl)
        self._optimiser.step()
        return loss.item() + kl.item(), kl.item()


def _require_trainable(x: Tensor, edge_index: Tensor, options: GeneratorOptions) -> None:
    if not len(neighbour_pairs(edge_index)[0]):
        raise DataError("local augmentation: the graph has no edge between two nodes, so nobody has a neighbour.")
    if options.reconstruction == "bce" and not bool(((x >= 0) & (x <= 1)).all()):
        raise DataError("local augmentation: 'bce' needs features from 0 to 1; take reconstruction 'mse' for these.")


def _state_of(generator: Generator) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in generator.state_dict().items()}
