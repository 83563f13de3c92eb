"""Options of image classification. Torch-free, so that a job is validated without loading the data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from automl.tasks.splits import check_shares

__all__ = ["ImageOptions"]


class ImageOptions(BaseModel):
    """How images are read, split and augmented."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(0.2, gt=0, lt=1, description="share of the samples that the search measures on")
    test: float = Field(0.2, gt=0, lt=1, description="share of the samples kept for the reported front")
    augment: Literal["none", "shift", "shift-flip"] = Field(
        "shift",
        description="random change of every training image: integer shifts, or shifts and mirror images",
    )
    shift: int | None = Field(
        None, ge=0, description="largest shift in pixels; default: an eighth of the shorter side, between 1 and 4"
    )
    resize: tuple[int, int] | None = Field(
        None, description="height and width in pixels that images of a folder are resized to; default: as they are"
    )
    layout: Literal["auto", "NHW", "NCHW", "NHWC"] = Field(
        "auto", description="order of the axes of 'x' in a .npz file; 'auto' looks for an axis of 1 to 4 channels"
    )
    channels: Literal[1, 3] | None = Field(
        None, description="grey (1) or colour (3) images from a folder; default: colour if any image is"
    )
    classes: int | None = Field(
        None, ge=2, description="number of classes; default: the highest label of a .npz file plus one"
    )
    on_bad_file: Literal["fail", "skip"] = Field(
        "fail",
        description="a corrupt or giant image of a folder stops the job, or is left out, listed and warned about",
    )
    max_skipped: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="with 'on_bad_file: skip': share of bad files beyond which the job stops all the same",
    )
    max_pixels: int = Field(
        16_777_216, ge=1, description="pixels of one image beyond which it is refused before it is decoded"
    )
    max_bytes: int = Field(4_294_967_296, ge=1, description="memory in bytes that all images may take as float32")

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> ImageOptions:
        check_shares(self.validation, self.test)
        if self.resize is not None and min(self.resize) < 1:
            raise ValueError(f"resize {list(self.resize)} must be two positive numbers, height and width")
        return self
