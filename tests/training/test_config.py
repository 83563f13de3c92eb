"""Options of training: ranges, near names, no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from automl.errors import ConfigError
from automl.options import parse_options
from automl.training import TrainingConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": -3}, "training.epochs: -3 is not valid: input should be greater than or equal to 1."),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"epochs": 2.5}, "input should be a valid integer"),
        ({"batch_size": 1}, "greater than or equal to 2"),
        ({"learning_rate": -0.1}, "training.learning_rate: -0.1 is not valid: input should be greater than 0."),
        ({"learning_rate": float("nan")}, "finite number"),
        ({"weight_decay": -1}, "greater than or equal to 0"),
        ({"warmup_epochs": -1}, "greater than or equal to 0"),
        ({"label_smoothing": 1}, "less than 1"),
        ({"ema": 1.0}, "less than 1"),
        ({"clip_norm": -1}, "greater than or equal to 0"),
        ({"max_retries": -1}, "greater than or equal to 0"),
        ({"divergence_factor": 1}, "greater than 1"),
        ({"optimiser": "adan"}, "input should be 'adamw', 'adam' or 'sgd'"),
        ({"precision": "8"}, "'32-true', '16-mixed' or 'bf16-mixed'"),
        ({"lerning_rate": 0.1}, "training.lerning_rate: unknown option 'lerning_rate'. Did you mean 'learning_rate'?"),
    ],
)
def test_option_that_is_unknown_or_out_of_range_is_named(values, message):
    with pytest.raises(ConfigError) as caught:
        parse_options(TrainingConfig, values, "training")
    assert message in str(caught.value)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_options(TrainingConfig, {"epochs": 0, "emma": 0.1}, "job.yaml: training")
    assert len(str(caught.value).splitlines()) == 2


def test_every_option_is_described():
    assert all(field.description for field in TrainingConfig.model_fields.values())


def test_options_are_validated_without_importing_torch():
    code = (
        "import sys; from automl.training.config import TrainingConfig; TrainingConfig(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
