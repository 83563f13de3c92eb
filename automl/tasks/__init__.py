"""Tasks: data, split, head, loss and metrics of one kind of problem.

Loaded on first use, so that the options of a task can be validated without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.tasks.classification import evaluate_classifier, score_classifier, wrong_answers
    from automl.tasks.image_classification import ImageClassification
    from automl.tasks.image_options import ImageOptions
    from automl.tasks.splits import check_split, stratified_split
    from automl.tasks.step_scale import StepSample, StepScale
    from automl.tasks.task import Batch, Task

__all__ = [
    "Batch",
    "ImageClassification",
    "ImageOptions",
    "StepSample",
    "StepScale",
    "Task",
    "check_split",
    "evaluate_classifier",
    "score_classifier",
    "stratified_split",
    "wrong_answers",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Batch": "automl.tasks.task",
        "ImageClassification": "automl.tasks.image_classification",
        "ImageOptions": "automl.tasks.image_options",
        "StepSample": "automl.tasks.step_scale",
        "StepScale": "automl.tasks.step_scale",
        "Task": "automl.tasks.task",
        "check_split": "automl.tasks.splits",
        "evaluate_classifier": "automl.tasks.classification",
        "score_classifier": "automl.tasks.classification",
        "stratified_split": "automl.tasks.splits",
        "wrong_answers": "automl.tasks.classification",
    },
)
