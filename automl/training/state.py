"""Everything that changes while a supernet is trained, and its way into a checkpoint and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
import torch
from torch import nn

from automl.training.compressor import Compressor
from automl.training.divergence import DivergenceGuard
from automl.training.weight_average import WeightAverage

__all__ = ["TrainingState"]


@final
class TrainingState:
    """The state of a training between two epochs.

    Random numbers come from two generators, one for the order and augmentation of the data and one for the choices of the
    strategy; both are part of the state. The generator of torch, which dropout draws from, is seeded anew for each epoch
    by ``torch_seed``, so it needs no storing.

    Args:
        module: the supernet.
        optimiser: the optimiser of its parameters.
        average: moving average of the weights, or None.
        guard: divergence guard.
        seed: seed of the training.
        compressor: keeps weights at zero, or None.

    Attributes:
        epoch: completed epochs.
        step: completed steps.
        retries: times that training went back after diverging.
        history: one record per completed epoch.
        notes: warnings for the record of the epoch under way.
    """

    def __init__(
        self,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        average: WeightAverage | None,
        guard: DivergenceGuard,
        seed: int,
        compressor: Compressor | None = None,
    ) -> None:
        self._module: Final = module
        self.optimiser: Final = optimiser
        self.average: Final = average
        self.guard: Final = guard
        self._seed: Final = seed
        self._compressor: Final = compressor
        data, strategy = np.random.SeedSequence(seed).spawn(2)
        self.data_rng: Final = np.random.default_rng(data)
        self.strategy_rng: Final = np.random.default_rng(strategy)
        self.epoch = 0
        self.step = 0
        self.retries = 0
        self.history: list[dict[str, Any]] = []
        self.notes: list[str] = []

    @property
    def learning_rate_scale(self) -> float:
        """One half to the power of the retries."""
        return 0.5**self.retries

    def torch_seed(self, rank: int) -> int:
        """Returns the seed of torch's generator for the epoch that comes next, different in each process."""
        words = np.random.SeedSequence(self._seed, spawn_key=(2, self.epoch, rank)).generate_state(2, np.uint32)
        return int(words[0]) << 31 ^ int(words[1])

    def start_anew(self) -> None:
        """Forgets what optimiser and average have gathered, as the weights were set back."""
        self.optimiser.state.clear()
        if self.average is not None:
            self.average.restart()

    def capture(self) -> dict[str, Any]:
        """Returns the state as tensors, numbers and texts."""
        return {
            "model": self._module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "compressor": None if self._compressor is None else self._compressor.state_dict(),
            "generators": json.dumps([self.data_rng.bit_generator.state, self.strategy_rng.bit_generator.state]),
            "first_loss": self.guard.first,
            "epoch": self.epoch,
            "step": self.step,
            "retries": self.retries,
            "history": json.dumps(self.history),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``capture`` returned.

        Raises:
            KeyError, RuntimeError, ValueError: the state is of another network.
        """
        self._module.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self._compressor is not None:
            self._compressor.load_state_dict(state["compressor"])
        data, strategy = json.loads(state["generators"])
        self.data_rng.bit_generator.state = data
        self.strategy_rng.bit_generator.state = strategy
        self.guard.restart(state["first_loss"])
        self.epoch, self.step, self.retries = state["epoch"], state["step"], state["retries"]
        self.history = json.loads(state["history"])
        self.notes = []
