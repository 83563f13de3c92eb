"""Runtimes: software in which latency is measured. Loaded on first use."""

from automl._lazy import lazy_names

__all__ = ["Command", "Compile", "Eager", "OnnxRuntime", "OpenVino", "PartSession", "Runtime"]

__getattr__ = lazy_names(
    __name__,
    {
        "Command": "automl.objectives.runtimes.command",
        "Compile": "automl.objectives.runtimes.compile",
        "Eager": "automl.objectives.runtimes.eager",
        "OnnxRuntime": "automl.objectives.runtimes.onnx_runtime",
        "OpenVino": "automl.objectives.runtimes.openvino_runtime",
        "PartSession": "automl.objectives.runtimes.part_session",
        "Runtime": "automl.objectives.runtimes.runtime",
    },
)
