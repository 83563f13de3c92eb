"""Registers the shared search spaces: one line each, sorted by name."""

from __future__ import annotations

from pathlib import Path

from automl.host import Space, hookimpl

__all__ = ["automl_spaces"]

_HERE = Path(__file__).parent


@hookimpl
def automl_spaces() -> list[Space]:
    """Spaces that any installed family with a fitting block takes part in."""
    return [
        Space(
            name="image/hybrid", summary="Every installed image block in every slot", path=_HERE / "image/hybrid.yaml"
        ),
        Space(
            name="image/hytra",
            summary="Convolution or attention, and where to down-sample: 16 layers in 4 stages",
            path=_HERE / "image/hytra.yaml",
        ),
        Space(name="image/mobile", summary="MobileNetV3-like, 45 dimensions", path=_HERE / "image/mobile.yaml"),
        Space(
            name="image/pooling",
            summary="Where a ResNet20 pools: 36 networks of equal size",
            path=_HERE / "image/pooling.yaml",
        ),
        Space(name="image/tiny", summary="Small grey images on two cores, in minutes", path=_HERE / "image/tiny.yaml"),
    ]
