"""ONNX Runtime: the model as its exported ONNX file is served on a CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, final

from torch import Tensor, nn

from automl.objectives.runtimes.onnx_conversion import part_of_name, to_onnx
from automl.objectives.runtimes.part_session import PartSession
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
        traced = trace()
        program = _load(to_onnx(model, traced).SerializeToString(), threads)
        return _runner(program, traced, inputs)

    def prepare_parts(
        self,
        model: nn.Module,
        inputs: Sequence[Tensor],
        *,
        threads: int,
        trace: Callable[[], Trace],
        parts: Sequence[str],
    ) -> PartSession:
        traced = trace()
        return _ProfiledSession(to_onnx(model, traced, parts).SerializeToString(), traced, inputs, threads, parts)


@final
class _ProfiledSession(PartSession):
    """Adds up the kernel times that ONNX Runtime's own profiler writes, by the part that each node is marked with.

    Nodes that the runtime inserts to reorder data have no mark; they count for the part of the next node that has one,
    which is what they reorder for. The profiled program has weights and buffers of its own, so each visit runs it twice: the
    first time brings them into the caches, the second counts.
    """

    def __init__(
        self, content: bytes, trace: Trace, inputs: Sequence[Tensor], threads: int, parts: Sequence[str]
    ) -> None:
        self._parts: Final = tuple(parts)
        self._folder: Final = tempfile.TemporaryDirectory(prefix="automl-profile-")
        self._program: Final = _load(content, threads, profile=str(Path(self._folder.name) / "profile"))
        self._run: Final = _runner(self._program, trace, inputs)
        self.whole = _runner(_load(content, threads), trace, inputs)

    def run(self) -> None:
        self._run()
        self._run()

    def finish(self) -> list[dict[str, float]]:
        with self._folder:
            events = json.loads(Path(self._program.end_profiling()).read_text(encoding="utf-8"))
        runs: list[dict[str, float]] = []
        waiting = 0.0
        # an event is written when it ends: all nodes of a run come before the run itself
        times = dict.fromkeys(self._parts, 0.0)
        for event in events:
            name, seconds = event.get("name", ""), 1e-6 * event.get("dur", 0)
            if event.get("cat") == "Node" and name.endswith("_kernel_time"):
                waiting += seconds
                position = part_of_name(name)
                if position is not None:
                    times[self._parts[position]] += waiting
                    waiting = 0.0
            elif name == "model_run":
                times[self._parts[0]] += waiting
                runs.append(times)
                times, waiting = dict.fromkeys(self._parts, 0.0), 0.0
        return runs[1::2]


def _load(content: bytes, threads: int, profile: str = "") -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    with flushed_denormals():  # its own threads are started here
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _runner(program: Any, trace: Trace, inputs: Sequence[Tensor]) -> Callable[[], None]:
    known = {value.name for value in program.get_inputs()}  # an input that the network ignores is not in the file
    feeds = {
        name: tensor.detach().cpu().numpy() for name, tensor in zip(trace.names, inputs, strict=True) if name in known
    }

    def session() -> None:
        program.run(None, feeds)

    return session
