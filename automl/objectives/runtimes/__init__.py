"""Runtimes: software in which latency is measured. Loaded on first use."""

from automl._lazy import lazy_names

__all__ = ["Eager", "OnnxRuntime", "Runtime"]

__getattr__ = lazy_names(
    __name__,
    {
        "Eager": "automl.objectives.runtimes.eager",
        "OnnxRuntime": "automl.objectives.runtimes.onnx_runtime",
        "Runtime": "automl.objectives.runtimes.runtime",
    },
)
