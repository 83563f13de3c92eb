"""OpenVINO: the exported ONNX model as Intel's runtime serves it on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, final

from torch import Tensor, nn

from automl.objectives.runtimes.onnx_conversion import part_of_name, to_onnx
from automl.objectives.runtimes.part_session import PartSession
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.trace import Trace

__all__ = ["OpenVino"]


@final
class OpenVino(Runtime):
    """Compiles the exported model for the CPU plugin, for latency, with the shapes that it is measured with, in float32."""

    name: ClassVar[str] = "openvino"
    distributions: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "openvino")

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        fixed = _fixed(trace(), inputs)
        request, feeds = _load(to_onnx(model, fixed).SerializeToString(), fixed, threads)

        def session() -> None:
            request.infer(feeds)

        return session

    def prepare_parts(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        *,
        threads: int,
        trace: Callable[[], Trace],
        parts: Sequence[str],
    ) -> PartSession:
        fixed = _fixed(trace(), inputs)
        return _CountedSession(to_onnx(model, fixed, parts).SerializeToString(), fixed, threads, parts)


@final
class _CountedSession(PartSession):
    """Adds up OpenVINO's performance counters by the part that each node is marked with.

    Nodes that it inserts are named after those whose data they reorder; one without any mark counts for the network.
    """

    def __init__(self, content: bytes, trace: Trace, threads: int, parts: Sequence[str]) -> None:
        self._parts: Final = tuple(parts)
        self._request, self._feeds = _load(content, trace, threads, counted=True)
        plain, feeds = _load(content, trace, threads)
        self._runs: Final[list[dict[str, float]]] = []
        self.whole = lambda: plain.infer(feeds)

    def run(self) -> None:
        self._request.infer(self._feeds)
        times = dict.fromkeys(self._parts, 0.0)
        for node in self._request.get_profiling_info():
            times[self._parts[part_of_name(node.node_name) or 0]] += node.real_time.total_seconds()
        self._runs.append(times)

    def finish(self) -> list[dict[str, float]]:
        return self._runs


def _fixed(trace: Trace, inputs: Sequence[Tensor]) -> Trace:
    return Trace(tuple(inputs), trace.names, tuple({} for _ in inputs))


def _load(content: bytes, trace: Trace, threads: int, *, counted: bool = False) -> tuple[Any, dict[str, Any]]:
    import openvino

    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "CPU_DENORMALS_OPTIMIZATION": True,
        "PERF_COUNT": counted,
    }
    model = openvino.Core().read_model(content, b"")
    known = {name for port in model.inputs for name in port.get_names()}
    feeds = {
        name: tensor.detach().cpu().numpy()
        for name, tensor in zip(trace.names, trace.inputs, strict=True)
        if name in known
    }
    return openvino.Core().compile_model(model, "CPU", settings).create_infer_request(), feeds
