"""Options of the runtime ``command``. Light: no torch."""

from __future__ import annotations

import re
import shlex
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["PLACEHOLDERS", "CommandOptions"]

PLACEHOLDERS: Final = ("{model}", "{threads}", "{batch}")


class CommandOptions(BaseModel):
    """How networks get to another device, and how long one may take there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str = Field(
        "",
        description="program with its arguments, run without a shell: {model} stands for the ONNX file, {threads} and {batch} "
        "for numbers; without {model} the file comes on standard input. Left out: ONNX Runtime in a process here",
    )
    timeout: float = Field(120.0, gt=0, description="seconds for one network, after which it has failed")

    @field_validator("command")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"quotes do not match ({error})") from error
        if value and not words:
            raise ValueError("the command is empty")
        unknown = sorted({p for word in words for p in re.findall(r"\{\w*\}", word)} - set(PLACEHOLDERS))
        if unknown:
            raise ValueError(f"unknown placeholder {unknown[0]}; valid: {', '.join(PLACEHOLDERS)}")
        return value
