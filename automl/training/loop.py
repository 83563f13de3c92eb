"""The training loop of supernets, on Lightning Fabric: device, precision and processes are its business."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast, final

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from automl.atomic_write import write_atomically
from automl.errors import RunError, TrainingError
from automl.supernet import Supernet
from automl.tasks.classification import evaluation_mode
from automl.tasks.task import Batch, Task
from automl.training.checkpoint import read_checkpoint, write_checkpoint
from automl.training.compressor import Compressor, TrainingPlan
from automl.training.config import TrainingConfig
from automl.training.divergence import DivergedError, DivergenceGuard
from automl.training.dropout_rate import dropout_rate
from automl.training.family_count import FamilyCount
from automl.training.family_turns import FamilyTurns
from automl.training.identity import training_identity
from automl.training.memory_order import order_weights, strided_pointwise_guarded
from automl.training.optimisers import build_optimiser
from automl.training.progress import Progress
from automl.training.schedule import learning_rate
from automl.training.state import TrainingState
from automl.training.strategy import StepContext, Strategy
from automl.training.untouched import untouched_weights_kept
from automl.training.validation import AnchorValidation, is_new
from automl.training.weight_average import WeightAverage

__all__ = ["train"]

CHECKPOINT: Final = "training.ckpt"
HISTORY: Final = "training.json"

_log = logging.getLogger(__name__)


def train(
    supernet: Supernet,
    task: Task,
    config: TrainingConfig,
    *,
    strategy: Strategy,
    folder: Path,
    seed: int,
    device: str = "auto",
    observer: Callable[[int, Mapping[str, Any]], None] | None = None,
    progress: Progress | None = None,
    fabric: Fabric | None = None,
    measure: Callable[[int], None] | None = None,
    compressor: Compressor | None = None,
) -> list[dict[str, Any]]:
    """Trains a supernet, or continues a training that was interrupted.

    After each epoch everything that the rest of the training depends on is written to ``training.ckpt``, so a training
    that was killed at any moment and is called again ends with the same bits as one that was not. A training that is
    finished is not repeated: its result is loaded. If a loss or weight is not finite, or the loss explodes, training
    goes back to the last checkpoint and continues with half the learning rate.

    Args:
        supernet: trained in place; ends on the device of the training, in the mode it came in, with the largest
            subnetwork active and the averaged weights in place if ``config.ema`` is on.
        task: data, loss and metrics; its tensors are moved to the device.
        config: optimiser, schedule, validation.
        strategy: chooses the subnetworks of each step.
        folder: an existing folder; gets ``training.ckpt`` and ``training.json`` (the history), each atomically.
        seed: decides order, augmentation, subnetworks and dropout.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        observer: called with the number of an epoch, from 1, and its record, after the record is safe on disk.
        progress: shown the steps.
        fabric: a launched Fabric for training in several processes; replaces ``device`` and ``config.precision``.
        measure: called in every process with the number of an epoch, from 1, while the supernet has the weights that would
            be the result if this epoch were the last. The epoch is not on disk then, so one that is has been measured,
            and after an interruption the call comes again with the same weights. It leaves supernet and task as they
            are; torch's generators are its own.
        compressor: makes weights zero while they are trained; a fresh object.

    Returns:
        One record per epoch: ``epoch`` (from 1), ``loss`` and further ``losses`` (means over the steps), ``seconds``,
        ``learning_rate`` (of the last step), ``validation`` (see ``AnchorValidation``), ``retries`` and ``warnings``; with
        a compressor also ``compression``, and where families compete ``families``: how many blocks of each ran, by slot.

    Raises:
        ConfigError: the compressor does not fit the network or the length of the training.
        RunError: the checkpoint is damaged or of another training, or the folder cannot be written.
        TrainingError: training diverged more than ``config.max_retries`` times.
    """
    if fabric is None:
        fabric = Fabric(accelerator=device, devices=1, precision=config.precision)
    return _Training(
        supernet, task, config, strategy, folder, seed, fabric, observer, progress, measure, compressor
    ).run()


@final
class _Training:
    """One call of ``train``: its parts, wired together."""

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        config: TrainingConfig,
        strategy: Strategy,
        folder: Path,
        seed: int,
        fabric: Fabric,
        observer: Callable[[int, Mapping[str, Any]], None] | None,
        progress: Progress | None,
        measure: Callable[[int], None] | None,
        compressor: Compressor | None,
    ) -> None:
        self._supernet: Final = supernet
        self._task: Final = task
        self._config: Final = config
        self._strategy: Final = strategy
        self._folder: Final = folder
        self._fabric: Final = fabric
        self._observer: Final = observer
        self._progress: Final = progress
        self._measure: Final = measure
        self._compressor: Final = compressor

        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            strategy.prepare(supernet, config)
        self._identity: Final = training_identity(supernet, task, config, strategy, seed, fabric.world_size, compressor)
        fabric.to_device(supernet)
        if config.channels_last:
            order_weights(supernet, torch.channels_last)
        dtype = next((p.dtype for p in supernet.parameters() if p.is_floating_point()), torch.float32)
        task.to(fabric.device, dtype)
        optimiser = build_optimiser(supernet, config)
        self._optimiser: Final = cast(torch.optim.Optimizer, fabric.setup_optimizers(optimiser))
        steps = task.steps_per_epoch(config.batch_size)
        self._plan: Final = TrainingPlan(
            config.epochs * steps, steps, seed, self._learning_rate, config.weight_decay, averaged=config.ema > 0
        )
        strategy.check_length(supernet, self._plan.total_steps)
        notes = [] if compressor is None else compressor.attach(supernet.network, self._plan)
        average = WeightAverage(supernet, config.ema) if config.ema else None
        guard = DivergenceGuard(config.divergence_factor * strategy.loss_range)
        self._state: Final = TrainingState(supernet, optimiser, average, guard, seed, compressor)
        self._schedule_notes: Final = notes
        self._families: Final = FamilyCount(supernet)
        self._validation: Final = AnchorValidation(supernet, task, config, seed)
        self._turns: Final = FamilyTurns(supernet)

    def run(self) -> list[dict[str, Any]]:
        state, config = self._state, self._config
        if not (self._folder / CHECKPOINT).exists():
            self._save()  # so that there is something to go back to in the first epoch, too
        self._fabric.barrier()
        self._go_back()  # every process starts from the weights of the first
        if not state.epoch:
            state.notes = list(self._schedule_notes)
        self._write_history()
        self._show_start()
        with (
            _own_torch_generator(self._fabric.device),
            _modes_kept(self._supernet),
            strided_pointwise_guarded(self._supernet),
            dropout_rate(self._supernet, config.dropout),
        ):
            while state.epoch < config.epochs:
                try:
                    self._epoch()
                except DivergedError as error:
                    self._retry(error)
        if state.average is not None:
            state.average.apply()
        if config.channels_last:
            # Weights read from a file are in the usual order, and kernels of the two orders round differently.
            order_weights(self._supernet, torch.contiguous_format)
        self._supernet.activate(self._turns.largest)
        return state.history

    def _epoch(self) -> None:
        state, started = self._state, time.perf_counter()
        torch.manual_seed(state.torch_seed(self._fabric.global_rank))
        self._supernet.train()
        self._families.take()  # what an epoch counted that was given up
        sums: dict[str, float] = {}
        steps, rate = 0, 0.0
        for batch in self._task.train_batches(state.data_rng, self._config.batch_size):
            shard = self._task.shard(batch, self._fabric.global_rank, self._fabric.world_size)
            losses, rate = self._step(shard)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            steps += 1
        if not steps:
            raise TrainingError(
                f"the task gave no batch of {self._config.batch_size} samples to train on; lower 'batch_size'."
            )
        state.guard.check_weights(self._supernet.named_parameters())

        validation, warnings = self._validate()
        means = {name: total / steps for name, total in sums.items()}
        for warning in (*state.notes, *(w for w in warnings if is_new(w, state.history))):
            _log.warning("epoch %d: %s", state.epoch + 1, warning)
        state.epoch += 1
        record: dict[str, Any] = {
            "epoch": state.epoch,
            "loss": means["loss"],
            "losses": means,
            "seconds": time.perf_counter() - started,
            "learning_rate": rate,
            "validation": validation,
            "retries": state.retries,
            "warnings": [*state.notes, *warnings],
        }
        families = self._families.take()
        if families:
            record["families"] = families
        if self._compressor is not None:
            record["compression"] = self._compressor.record()
        state.history.append(record)
        state.notes.clear()
        self._save()
        self._write_history()
        if self._fabric.is_global_zero:
            if self._progress is not None:
                self._progress.epoch_ended(record)
            if self._observer is not None:
                self._observer(state.epoch, record)

    def _step(self, batch: Any) -> tuple[dict[str, float], float]:
        state, config, fabric = self._state, self._config, self._fabric
        rate = state.learning_rate_scale * self._learning_rate(state.step)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.optimiser.zero_grad(set_to_none=True)
        context = StepContext(
            supernet=self._supernet,
            task=self._task,
            batch=batch,
            rng=state.strategy_rng,
            turn=self._turns.draw(state.strategy_rng),
            label_smoothing=config.label_smoothing,
            progress=self._plan.progress(state.step),
            validation=lambda: self._validation_batches,
            forward=self._forward,
            backward=fabric.backward,
            ran=self._families.add,
        )
        losses = dict(self._strategy.step(context))
        if fabric.world_size > 1:
            losses = {name: float(self._mean(torch.tensor(value))) for name, value in losses.items()}
            self._average_gradients()
        if state.step and self._phase(state.step) != self._phase(state.step - 1):
            state.guard.restart(None)  # a phase has a loss of its own, which may be many times that of the one before
        state.guard.check_losses(losses)
        if self._compressor is not None:
            self._compressor.mask_gradients()
        if config.clip_norm:
            fabric.clip_gradients(self._supernet, self._optimiser, max_norm=config.clip_norm, error_if_nonfinite=False)
        with untouched_weights_kept(self._supernet) if config.skip_inactive else nullcontext():
            self._optimiser.step()
        state.step += 1
        if self._compressor is not None and self._compressor.weights_updated(state.step):
            state.start_anew()
        if state.average is not None:
            state.average.update(state.step)
            if self._compressor is not None:
                averages = state.average.state_dict()
                self._compressor.mask_average({n.removeprefix("network."): a for n, a in averages.items()})
        if self._progress is not None and fabric.is_global_zero:
            self._progress.advance()
        return losses, rate

    def _learning_rate(self, step: int) -> float:
        config, plan = self._config, self._plan
        warmup_steps = round(config.warmup_epochs * plan.steps_per_epoch)
        begin, end = self._phase(step)
        step, total = self._position(step)
        if (begin, end) != (0.0, 1.0):
            first, last = math.ceil(begin * total), math.ceil(end * total)
            warmup_steps = round(warmup_steps * (last - first) / total)
            step, total = step - first, last - first
        return learning_rate(
            step,
            highest=config.learning_rate,
            warmup_steps=warmup_steps,
            total_steps=total,
            schedule=config.schedule,
        )

    def _phase(self, step: int) -> tuple[float, float]:
        """Begin and end of the strategy's phase in which a step lies, as shares of the training."""
        position, total = self._position(step)
        return self._strategy.phase(self._supernet, position / total)

    def _position(self, step: int) -> tuple[int, int]:
        """Place of a step, and length, of the training as the strategy sees it: a compressor may begin it anew."""
        if self._compressor is None:
            return step, self._plan.total_steps
        return self._compressor.position(step, self._plan)

    def _forward(self, *inputs: Tensor) -> Tensor:
        with self._fabric.autocast():
            outputs: Tensor = self._supernet(*inputs)
        return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs

    @cached_property
    def _validation_batches(self) -> list[Batch]:
        """For strategies that ask; a batch of a single sample has no batch statistics."""
        batches = list(self._task.batches("validation", self._config.batch_size, self._config.validation_samples))
        return [batch for batch in batches if len(batch.target) > 1] or batches

    def _average_gradients(self) -> None:
        """Averages over the processes.

        All processes draw the same subnetworks, so the same parameters have gradients in each. DistributedDataParallel
        instead expects one backward pass that reaches every parameter, which a step of a supernet is not.
        """
        for parameter in self._supernet.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(self._mean(parameter.grad))

    def _mean(self, value: Tensor) -> Tensor:
        return cast(Tensor, self._fabric.all_reduce(value, reduce_op="mean"))

    def _validate(self) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Validates in every process, as metrics may gather from all of them."""
        average = self._state.average
        with nullcontext() if average is None else average.applied():
            found = self._validation.measure()
            if self._measure is not None:
                with _own_torch_generator(self._fabric.device):
                    self._measure(self._state.epoch + 1)
            return found

    def _retry(self, error: DivergedError) -> None:
        state, config = self._state, self._config
        epoch, retries = state.epoch + 1, state.retries + 1
        if retries > config.max_retries:
            raise TrainingError(
                f"training diverged in epoch {epoch} ({error}), after {state.retries} retries from the last good epoch "
                f"with half the learning rate each. Lower 'learning_rate' (now {config.learning_rate:g}) or 'clip_norm' "
                f"(now {config.clip_norm:g}), or raise 'warmup_epochs' (now {config.warmup_epochs:g})."
            ) from error
        notes = state.notes
        self._go_back()
        state.retries = retries
        note = f"diverged in epoch {epoch} ({error}); went back to the end of epoch {state.epoch} and halved the learning rate"
        state.notes = [*notes, note]
        self._show_start()

    def _go_back(self) -> None:
        """Restores the last checkpoint."""
        path = self._folder / CHECKPOINT
        stored = read_checkpoint(path, self._identity, self._fabric.device)
        try:
            self._state.restore(stored)
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise RunError(
                f"{path}: does not fit this network ({type(error).__name__}: {str(error).splitlines()[0]}). Remove the "
                f"file to train from the beginning."
            ) from error

    def _save(self) -> None:
        if self._fabric.is_global_zero:
            write_checkpoint(self._folder / CHECKPOINT, self._state.capture(), self._identity)

    def _write_history(self) -> None:
        if self._fabric.is_global_zero:
            text = json.dumps(self._state.history, indent=1, ensure_ascii=False) + "\n"
            write_atomically(self._folder / HISTORY, text)

    def _show_start(self) -> None:
        if self._progress is not None and self._fabric.is_global_zero:
            self._progress.start(self._plan.total_steps, self._state.step)


@contextmanager
def _own_torch_generator(device: torch.device) -> Iterator[None]:
    """Leaves torch's global generators as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def _modes_kept(module: nn.Module) -> Iterator[None]:
    with evaluation_mode(module):
        yield
