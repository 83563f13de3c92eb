"""Options of supernet training. Torch-free, so that a job is validated without importing it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainingConfig"]


class TrainingConfig(BaseModel):
    """How a supernet is trained; the strategy that chooses the subnetworks has options of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(40, ge=1, description="passes over the training part")
    batch_size: int = Field(64, ge=2, description="samples per step, over all processes together")
    optimiser: Literal["adamw", "adam", "sgd"] = Field(
        "adamw",
        description="AdamW; Adam, whose decay is a part of the gradient, as the recipes of graph networks have it; or stochastic "
        "gradient descent with Nesterov momentum",
    )
    learning_rate: float = Field(0.02, gt=0, description="highest learning rate, reached after the warm-up")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine",
        description="what becomes of the learning rate after the warm-up: a cosine takes it to zero, or it stays",
    )
    weight_decay: float = Field(0.02, ge=0, description="decay of weights; biases and scales are not decayed")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of 'sgd'")
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="rate of all dropout layers that drop anything and whose rate is not searched; null: what the blocks say",
    )
    warmup_epochs: float = Field(2, ge=0, description="epochs in which the learning rate rises linearly from zero")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target spread over all classes")
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="decay per step of the moving average of the weights that becomes the result; 0 turns it off",
    )
    clip_norm: float = Field(1.0, ge=0, description="largest norm of all gradients together; 0 turns clipping off")
    skip_inactive: bool = Field(
        False,
        description="leave weights alone in steps whose gradient does not reach them; otherwise decay and momentum move "
        "those of subnetworks that did not run, too",
    )
    evaluation_batch_size: int = Field(256, ge=1, description="samples per forward pass in validation")
    validation_samples: int | None = Field(
        1024, ge=1, description="validation samples used after each epoch; null uses all"
    )
    validation_subnets: int = Field(3, ge=1, description="random subnetworks validated after each epoch")
    calibration_samples: int = Field(
        256, ge=2, description="training samples that set the batch-norm statistics of a validated subnetwork"
    )
    max_retries: int = Field(
        3,
        ge=0,
        description="how often a diverged training goes back to the last good epoch with half the learning rate",
    )
    divergence_factor: float = Field(
        5.0,
        gt=1,
        description="recent loss over first loss, of the phase, beyond which training counts as diverged",
    )
    channels_last: bool = Field(
        False,
        description="keep convolution weights with the channels last while training: often faster, but some blocks "
        "that reshape without copying cannot work with it",
    )
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(
        "32-true", description="number format of the forward pass; 'mixed' keeps weights in 32 bits"
    )
