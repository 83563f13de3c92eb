"""Reads the tensors of a ``.safetensors`` file with nothing but safetensors and numpy, or torch for dtypes numpy lacks."""

from __future__ import annotations

from typing import Any

from safetensors import safe_open

UNKNOWN_TO_NUMPY = frozenset({"BF16", "F8_E4M3", "F8_E5M2"})


def replay(file: str, cases: str) -> dict[str, Any]:
    """Returns the stored tensors; there is nothing to run, so ``cases`` are not read."""
    with safe_open(file, framework="numpy") as stored:
        dtypes = {stored.get_slice(name).get_dtype() for name in stored.keys()}  # noqa: SIM118
        framework = "pt" if dtypes & UNKNOWN_TO_NUMPY else "numpy"
    with safe_open(file, framework=framework) as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
