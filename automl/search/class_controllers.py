"""Controllers that write architectures, one LSTM for each class of dimensions, trained by REINFORCE."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn

from automl.search.unseen import IndexRow
from automl.space.structure import INACTIVE, Structure

__all__ = ["ClassControllers", "Proposal"]

_State: TypeAlias = tuple[Tensor, Tensor]


class Proposal(NamedTuple):
    """An architecture that controllers wrote.

    Attributes:
        row: ``(dimensions,)`` positions, canonical; a forbidden combination may occur.
        entropies: by class that was written, the sum of the entropies of its choices in nats, full distributions.
    """

    row: IndexRow
    entropies: dict[int, float]


@final
class ClassControllers:
    """One LSTM for each class: reads what of an architecture stays, then writes the choices of its class one by one.

    Args:
        structure: counts of choices, and which dimension exists when.
        classes: for each class its dimensions, in topological order; every dimension in one of them.
        hidden: width of LSTMs and embeddings.
        learning_rate: of Adam, one for each class.
        temperature: logits are divided by it, then
        tanh_constant: are ``tanh_constant * tanh(logit)``, so that no choice dies early.
        entropy_weight: how much entropy counts beside the reward.
        seed: of the weights.

    Source:
        Zhou et al. 2019 (Auto-GNN), arXiv:1909.03184, section 4; bounded logits: Bello et al. 2017, arXiv:1611.09940.
    """

    def __init__(
        self,
        structure: Structure,
        classes: Sequence[Sequence[int]],
        *,
        hidden: int,
        learning_rate: float,
        temperature: float,
        tanh_constant: float,
        entropy_weight: float,
        seed: int,
    ) -> None:
        self._structure: Final = structure
        self._classes: Final = [list(members) for members in classes]
        self._class_of: Final = {d: number for number, members in enumerate(classes) for d in members}
        self._entropy_weight: Final = entropy_weight
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.controllers: Final = [
                _Controller(structure.counts, members, hidden, temperature, tanh_constant) for members in classes
            ]
        self._optimisers: Final = [torch.optim.Adam(c.parameters(), lr=learning_rate) for c in self.controllers]

    @torch.no_grad()
    def propose(self, context: IndexRow, acting: Collection[int], rng: np.random.Generator) -> Proposal:
        """Rewrites the choices of some classes.

        Args:
            context: ``(dimensions,)`` canonical positions of the architecture that is changed.
            acting: classes that are written anew. Of the others, dimensions keep their choices; those that begin to exist
                are drawn uniformly.
            rng: source of all draws.
        """
        states = {number: self._read(number, context, acting) for number in acting}
        written: dict[int, int] = {}  # by class, the token before
        entropies = dict.fromkeys(acting, 0.0)
        row: list[int] = []
        for dimension, count in enumerate(self._structure.counts):
            number = self._class_of[dimension]
            if not self._structure.exists(dimension, row):
                row.append(INACTIVE)
            elif number in states:
                controller = self.controllers[number]
                logits, states[number] = controller.step(written.get(number), states[number], dimension)
                chances = torch.softmax(logits, 0).double().numpy()
                entropies[number] += float(-(chances * np.log(chances)).sum())
                row.append(int(np.searchsorted(np.cumsum(chances)[:-1], rng.random(), side="right")))
                written[number] = controller.token(dimension, row[-1])
            elif context[dimension] != INACTIVE:
                row.append(int(context[dimension]))
            else:
                row.append(int(rng.integers(count)))
        return Proposal(np.array(row, dtype=np.int64), entropies)

    def reinforce(self, context: IndexRow, acting: Collection[int], row: IndexRow, advantage: float) -> None:
        """Raises the probability that the acting controllers write ``row`` if ``advantage`` is positive, or lowers it."""
        for number in acting:
            log_chance, entropy = self.log_chance(number, context, acting, row)
            loss = -advantage * log_chance - self._entropy_weight * entropy
            if not loss.requires_grad:
                continue  # nothing of the class was written
            self._optimisers[number].zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimisers[number].step()

    def log_chance(
        self, number: int, context: IndexRow, acting: Collection[int], row: IndexRow
    ) -> tuple[Tensor, Tensor]:
        """Returns log-probability and entropy of what class ``number`` has in ``row``, scalars with gradient."""
        controller = self.controllers[number]
        state, written = self._read(number, context, acting), None
        log_chance, entropy = torch.zeros(()), torch.zeros(())
        for dimension in self._classes[number]:
            if row[dimension] == INACTIVE:
                continue
            logits, state = controller.step(written, state, dimension)
            logs = torch.log_softmax(logits, 0)
            log_chance = log_chance + logs[int(row[dimension])]
            entropy = entropy - (logs.exp() * logs).sum()
            written = controller.token(dimension, int(row[dimension]))
        return log_chance, entropy

    def _read(self, number: int, context: IndexRow, acting: Collection[int]) -> _State:
        controller = self.controllers[number]
        kept = [controller.token(d, int(p)) for d, p in enumerate(context.tolist()) if self._class_of[d] not in acting]
        return controller.read(kept)


@final
class _Controller(nn.Module):
    """Embeddings of all choices, an LSTM, and one linear layer for each dimension of the class."""

    def __init__(
        self, counts: Sequence[int], members: Sequence[int], hidden: int, temperature: float, tanh_constant: float
    ) -> None:
        super().__init__()
        # Each dimension has one token more, for its absence; the last of all is the beginning.
        self._first: Final = np.concatenate([[0], np.cumsum(np.array(counts, dtype=np.int64) + 1)]).tolist()
        self._counts: Final = list(counts)
        self._temperature: Final = temperature
        self._tanh_constant: Final = tanh_constant
        self.embedding = nn.Embedding(self._first[-1] + 1, hidden)
        self.cell = nn.LSTM(hidden, hidden)
        self.decide = nn.ModuleDict({str(d): nn.Linear(hidden, counts[d]) for d in members})

    def token(self, dimension: int, position: int) -> int:
        """Number of a choice, or of the absence of a dimension."""
        return int(self._first[dimension] + (self._counts[dimension] if position == INACTIVE else position))

    def read(self, tokens: Sequence[int]) -> _State:
        """Returns the state after the tokens, two ``(1, hidden)`` tensors."""
        if not tokens:
            nothing = torch.zeros(1, self.cell.hidden_size)
            return nothing, nothing
        _, state = self.cell(self.embedding(torch.tensor(tokens)))
        return state  # type: ignore[no-any-return]

    def step(self, written: int | None, state: _State, dimension: int) -> tuple[Tensor, _State]:
        """Returns the logits ``(choices,)`` of a dimension after the choice that was written before it, and the next state."""
        token = self._first[-1] if written is None else written
        output, state = self.cell(self.embedding(torch.tensor([token])), state)
        logits: Tensor = self.decide[str(dimension)](output[0])
        return self._tanh_constant * torch.tanh(logits / self._temperature), state
