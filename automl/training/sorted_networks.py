"""SortedNet: nested subnetworks drawn at random, with accumulated gradients.

For each update ``accumulation`` times: draw a subnetwork ``b`` from the nested family, take a mini-batch, add the gradient
of its loss divided by ``accumulation``; then one step of the optimiser. No distillation, no second phase, no sandwich.

Source:
    Valipour et al. 2023, SortedNet, arXiv:2309.00255, section 3, with uniform probabilities. Deviations: the mini-batches of one
    update are the equal parts of one batch of the loop, so an epoch shows every sample once; dimensions without order, which the
    paper does not have, are drawn uniformly beside the nested ones.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, final
from weakref import WeakKeyDictionary

from automl.errors import ConfigError, SpaceError, did_you_mean
from automl.space import NestedFamily
from automl.supernet import Supernet
from automl.training.config import TrainingConfig
from automl.training.option_checks import check_whole
from automl.training.strategy import StepContext, Strategy

__all__ = ["SortedNetworks"]


@final
class SortedNetworks(Strategy):
    """Trains members of a nested family, each on its share of the batch.

    Every update trains the units that all members share, and those at the end of each dimension only when a large member is
    drawn: the first units become the most important ones, and cutting off the last ones costs little. So a subnetwork for a
    budget is looked up, not searched.

    Args:
        sub_models: most members of the family, 2 to 1000.
        family: ``"grid"``: every depth with every width (and every level of other ordered dimensions); ``"chain"``: all
            dimensions grow together, and each member is a part of the next.
        accumulation: members drawn for each update, each on an equal part of the batch.

    Raises:
        ConfigError: a number is out of its range, or the family is unknown.
    """

    name: ClassVar[str] = "sorted"

    def __init__(
        self, *, sub_models: int = 160, family: Literal["grid", "chain"] = "grid", accumulation: int = 2
    ) -> None:
        if family not in ("grid", "chain"):
            raise ConfigError(
                f"strategy_options.family: {family!r} is not valid.{did_you_mean(str(family), ('chain', 'grid'))}"
            )
        self._sub_models: Final = check_whole("sub_models", sub_models, at_least=2, at_most=1000)
        self._family: Final[str] = family
        self._accumulation: Final = check_whole("accumulation", accumulation, at_least=1)
        self._known: Final[WeakKeyDictionary[Supernet, NestedFamily]] = WeakKeyDictionary()

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        if config.batch_size < 2 * self._accumulation:
            raise ConfigError(
                f"strategy_options.accumulation: {self._accumulation} parts of a batch of {config.batch_size} have fewer than "
                f"the 2 samples that batch statistics need; lower it to {config.batch_size // 2}, or raise "
                "training.batch_size."
            )
        self.nested_family(supernet)

    def nested_family(self, supernet: Supernet) -> NestedFamily:
        """Returns the family that is trained, the same for the same space.

        Raises:
            ConfigError: no dimension of the space has an order.
        """
        if supernet not in self._known:
            kinds = supernet.kinds
            ordered = supernet.space.ordered
            groups = [[n for n in ordered if kinds[n] == kind] for kind in ("depth", "width", "other")]
            if self._family == "chain":
                groups = [ordered]
            try:
                self._known[supernet] = NestedFamily(supernet.space, groups, limit=self._sub_models)
            except SpaceError as error:
                raise ConfigError(f"strategy 'sorted': {error}") from error
        return self._known[supernet]

    def step(self, context: StepContext) -> dict[str, float]:
        family = self.nested_family(context.supernet)
        shares = context.shares(self._accumulation)
        losses = []
        for share in shares:
            loss = share.loss(share.forward(family.sample(share.rng)))
            share.backward(loss / len(shares))
            losses.append(loss.item())
        return {"loss": sum(losses) / len(losses)}

    def describe(self) -> dict[str, Any]:
        return {"sub_models": self._sub_models, "family": self._family, "accumulation": self._accumulation}

    def __repr__(self) -> str:
        return (
            f"SortedNetworks(sub_models={self._sub_models}, family={self._family!r}, accumulation={self._accumulation})"
        )
