"""Tasks: data, split, head, loss and metrics of one kind of problem.

Loaded on first use, so that the options of a task can be validated without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.tasks.classification import evaluate_classifier
    from automl.tasks.image_classification import ImageClassification
    from automl.tasks.image_options import ImageOptions
    from automl.tasks.splits import check_split, stratified_split
    from automl.tasks.task import Batch, Task

__all__ = [
    "Batch",
    "ImageClassification",
    "ImageOptions",
    "Task",
    "check_split",
    "evaluate_classifier",
    "stratified_split",
]

_HOMES = {
    "Batch": "task",
    "ImageClassification": "image_classification",
    "ImageOptions": "image_options",
    "Task": "task",
    "check_split": "splits",
    "evaluate_classifier": "classification",
    "stratified_split": "splits",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
