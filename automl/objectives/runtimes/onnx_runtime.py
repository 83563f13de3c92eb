"""ONNX Runtime: the model as its exported ONNX file is served on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, final

from torch import Tensor, nn

from automl.objectives.runtimes.onnx_conversion import to_onnx
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.timing import flushed_denormals
from automl.objectives.trace import Trace

__all__ = ["OnnxRuntime"]


@final
class OnnxRuntime(Runtime):
    """Exports the model with its dynamic axes, as ``automl export --to onnx`` does, and runs it on the CPU provider."""

    name: ClassVar[str] = "onnxruntime"
    distributions: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript")

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        import onnxruntime

        traced = trace()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        content = to_onnx(model, traced).SerializeToString()
        with flushed_denormals():  # its own threads are started here
            program = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        known = {value.name for value in program.get_inputs()}  # an input that the network ignores is not in the file
        feeds = {
            name: tensor.detach().cpu().numpy()
            for name, tensor in zip(traced.names, inputs, strict=True)
            if name in known
        }

        def session() -> None:
            program.run(None, feeds)

        return session
