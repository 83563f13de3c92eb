"""Running a network up to the end of one of its stages, and choosing what of it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, final

from torch import Tensor, nn

from automl.errors import ConfigError
from automl.space import dimensions_of
from automl.supernet import Stage, Staged
from automl.supernet.calibration import batch_norms

__all__ = ["frozen_statistics", "held_dimensions", "pooled_features", "searched_stages", "stopped_gradient"]


def searched_stages(network: nn.Module) -> list[Stage]:
    """Returns the stages of a network that have something to search; others belong to the next of these.

    Raises:
        ConfigError: the network has no stages, or there is nothing to search in them.
    """
    if not isinstance(network, Staged):
        raise ConfigError(
            f"strategy 'blockwise': {type(network).__name__} has no stages to train one after another; choose a space of "
            "slots."
        )
    stages: list[Stage] = []
    pending: tuple[nn.Module, ...] = ()
    for stage in network.stages():
        pending += stage.modules
        if any(held_dimensions(module) for module in stage.modules):
            stages.append(Stage(stage.end, pending, stage.widths, stage.payload))
            pending = ()
    if not stages:
        raise ConfigError("strategy 'blockwise': no stage of this space has more than one path.")
    return stages


def held_dimensions(module: nn.Module) -> set[Any]:
    """Returns the dimensions with several choices that a module or one inside of it holds."""
    values = (v for m in module.modules() for name, v in vars(m).items() if not name.startswith("_"))
    return {dimension for value in values for dimension in dimensions_of(value) if len(dimension.choices) > 1}


def pooled_features(run: Callable[[], object], stages: Sequence[Stage], number: int) -> Tensor:
    """Returns the output of a stage, averaged over all positions of a sample.

    Args:
        run: runs the network on its inputs; it is left when the stage ends.
        stages: stages of the network.
        number: which one. No gradient reaches the stages before it.

    Shape:
        Returns ``(rows, width)``.
    """
    stage = stages[number]

    def leave(module: nn.Module, inputs: object, output: object) -> None:
        raise _StageEnded(output)

    handle = stage.end.register_forward_hook(leave)
    try:
        with stopped_gradient(stages, number):
            run()
    except _StageEnded as ended:
        features: Tensor = ended.output if stage.payload is None else stage.payload.features(ended.output)
        axis = 1 if stage.payload is None else stage.payload.channel_axis
        return features.movedim(axis, 1).flatten(2).mean(2) if features.dim() > 2 else features
    finally:
        handle.remove()
    raise RuntimeError("the network ended before the stage did")


@contextmanager
def stopped_gradient(stages: Sequence[Stage], number: int) -> Iterator[None]:
    """Inside, no gradient reaches the stages before ``number``, and batch statistics leave no trace in them."""

    def stop(module: nn.Module, inputs: object, output: Any) -> Any:
        payload = stages[number - 1].payload
        return output.detach() if payload is None else payload.with_features(output, payload.features(output).detach())

    if not number:
        yield
        return
    handle = stages[number - 1].end.register_forward_hook(stop)
    try:
        with frozen_statistics([module for stage in stages[:number] for module in stage.modules]):
            yield
    finally:
        handle.remove()


@contextmanager
def frozen_statistics(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, batch normalisations normalise as ever and keep their running statistics as they are."""
    layers: list[Any] = [layer for module in modules for layer in batch_norms(module)]
    kept = [(layer.momentum, layer.num_batches_tracked.clone()) for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, (share, count) in zip(layers, kept, strict=True):
            layer.momentum = share
            layer.num_batches_tracked.copy_(count)


@final
class _StageEnded(Exception):  # noqa: N818  # no error: the stage has run
    """Carries the output of a stage out of a forward pass; torch offers no other way to end one early."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output: Final = output
