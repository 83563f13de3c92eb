"""Random asymmetric weights and comparisons for tests of equality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from automl.testing.check import expect

__all__ = ["assert_close", "randomise"]


def randomise(module: nn.Module, seed: int) -> None:
    """Gives every parameter and batch-norm statistic different random numbers, none of them symmetric around 0.

    Initial weights are often zeros, ones or symmetric, and would hide a slice taken at the wrong end. Values are scaled
    by fan-in, so that activations of deep networks stay near 1. Buffers that are no statistics are left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 4
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_((noise + 0.3) / fan_in**0.5)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator, dtype=torch.float64) * 0.3 + 0.1)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator, dtype=torch.float64) * 2 + 0.5)


def assert_close(found: Tensor, expected: Tensor, *, tolerance: float, what: str) -> None:
    """Asserts that two tensors agree to ``tolerance``, relative to the largest expected magnitude, at least 1.

    Raises:
        AssertionError: shapes, dtypes or values differ, or a value is not finite; the message starts with ``what``.
    """
    expect(found.shape == expected.shape, f"{what}: shape {tuple(found.shape)}, expected {tuple(expected.shape)}.")
    expect(found.dtype == expected.dtype, f"{what}: dtype {found.dtype}, expected {expected.dtype}.")
    expect(bool(torch.isfinite(expected).all()), f"{what}: the expected values are not all finite.")
    if expected.numel() == 0:
        return
    scale = max(1.0, float(expected.abs().max()))
    error = float((found - expected).abs().max()) / scale
    expect(error <= tolerance, f"{what}: values differ by {error:.3g} of their scale, allowed {tolerance:.0e}.")
