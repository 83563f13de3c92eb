"""How a job names a trained network that is to be stitched. No torch in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from automl.export.manifest import MANIFEST_NAME

__all__ = ["Anchor", "read_anchor"]

KNEE = "knee"


class Anchor(BaseModel):
    """A trained network: a member of a run, an exported folder, or a module of the user's with its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="name in the choices; left out: a letter, by cost"
    )
    run: str | None = Field(None, description="an earlier run: its folder, or its name in 'runs'")
    member: str = Field(
        KNEE,
        description="member of the run's front: an id, knee, best:OBJECTIVE, or its position in what 'automl front' prints",
    )
    architecture: dict[str, Any] | None = Field(
        None, description="choices of any subnetwork of the run, instead of a member of its front"
    )
    export: str | None = Field(None, description="folder of an exported model with its safetensors file")
    module: str | None = Field(
        None, pattern=r"^[\w.]+:\w+$", description="factory of a module, as 'package.module:function'"
    )
    weights: str | None = Field(None, description="safetensors file with the weights of the module")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the factory")
    cuts: list[str] = Field(
        default_factory=list, description="submodules to cut behind, such as blocks.*; left out: by structure"
    )
    sha256: str | None = Field(None, description="digest of the file of weights, which must not have changed")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return read_anchor(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("run", "export", "module") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError("an anchor has exactly one of 'run', 'export' and 'module'")
        if (self.module is None) != (self.weights is None):
            raise ValueError("'module' and 'weights' belong together")
        return self

    def __str__(self) -> str:
        if self.run is not None:
            return f"run:{self.run}#{self.member}"
        return self.export if self.export is not None else f"{self.module}={self.weights}"


def read_anchor(text: str) -> dict[str, Any]:
    """Returns an anchor from its short form: ``run:NAME#MEMBER``, ``module:factory=WEIGHTS``, or an exported folder.

    Raises:
        ValueError: the text is none of these; says what each looks like.
    """
    if text.startswith("run:"):
        name, _, member = text.removeprefix("run:").partition("#")
        if name:
            return {"run": name, "member": member or KNEE}
    module, equals, weights = text.partition("=")
    if equals and ":" in module and weights:
        return {"module": module, "weights": weights}
    folder = Path(text)
    if folder.name == MANIFEST_NAME:
        folder = folder.parent
    if (folder / MANIFEST_NAME).is_file():
        return {"export": str(folder)}
    raise ValueError(
        f"{text!r} is no anchor: write run:NAME#MEMBER for a member of a run, module:factory=FILE.safetensors for a module of "
        f"your own, or an exported folder, which has a {MANIFEST_NAME}"
    )
