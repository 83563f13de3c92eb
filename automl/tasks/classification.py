"""Metrics of classification, shared by the tasks whose outputs are logits of exclusive classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from automl.tasks.ranking import auc_error
from automl.tasks.task import Batch

__all__ = ["evaluate_classifier", "evaluation_mode", "score_classifier", "wrong_answers"]

_METRICS: Final = ("error", "balanced-error", "auc-error", "loss")


def evaluate_classifier(model: nn.Module, batches: Iterable[Batch], classes: int) -> dict[str, float]:
    """Measures a classifier without leaving a trace on it.

    Args:
        model: maps the inputs of a batch to logits, ``(rows, classes)``.
        batches: what to measure on; samples weigh the same whatever batch they are in.
        classes: number of classes.

    Returns:
        ``"error"``, the share of wrong answers; ``"balanced-error"``, its mean over the classes; ``"auc-error"``, see
        ``auc_error``, left out where all samples are of one class; ``"loss"``, the mean cross entropy in nats. All are
        ``nan`` if an output is not finite, since the largest of such logits means nothing.
    """
    with evaluation_mode(model):
        return score_classifier(((model(*batch.inputs), batch) for batch in batches), classes)


def score_classifier(answers: Iterable[tuple[Tensor, Batch]], classes: int) -> dict[str, float]:
    """Returns the metrics of ``evaluate_classifier`` for given logits.

    Args:
        answers: the logits for each batch, and the batch.
        classes: number of classes.
    """
    accuracy: MulticlassAccuracy | None = None
    seen: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for outputs, batch in answers:
            logits = batch.counted(outputs).float()
            if accuracy is None:
                # each process measures on all batches, so there is nothing to gather from the others
                accuracy = MulticlassAccuracy(classes, average="micro", sync_on_compute=False).to(logits.device)
                balanced = MulticlassAccuracy(classes, average="macro", sync_on_compute=False).to(logits.device)
                # finite logits give no NaN; "disable" would make torchmetrics 1.9 drop the weights
                loss = MeanMetric(nan_strategy="error", sync_on_compute=False).to(logits.device)
            if not bool(torch.isfinite(logits).all()):
                return dict.fromkeys(_METRICS, float("nan"))
            seen.append((logits, batch.target))
            accuracy.update(logits, batch.target)
            balanced.update(logits, batch.target)
            loss.update(F.cross_entropy(logits, batch.target), weight=len(batch.target))
    if accuracy is None:
        return dict.fromkeys(_METRICS, float("nan"))
    metrics = {
        "error": 1 - float(accuracy.compute()),
        "balanced-error": 1 - float(balanced.compute()),
        "auc-error": auc_error(torch.cat([logits for logits, _ in seen]), torch.cat([target for _, target in seen])),
        "loss": float(loss.compute()),
    }
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def wrong_answers(outputs: Tensor, batch: Batch) -> Tensor:
    """Returns for each sample whether its largest logit is not that of its class.

    Shape:
        outputs: ``(samples, classes)``. Returns ``(samples,)`` bool.
    """
    return batch.counted(outputs).argmax(-1) != batch.target


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Puts every module of ``model`` into evaluation mode and gives each its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
