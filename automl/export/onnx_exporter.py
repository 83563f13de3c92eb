"""``.onnx``: an ONNX graph with weights inside, for ONNX Runtime and everything that takes ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, final

from torch import nn

from automl.export.exporter import Exporter
from automl.objectives.runtimes.onnx_conversion import require_onnx, to_onnx
from automl.objectives.trace import Trace

__all__ = ["OnnxExporter"]


@final
class OnnxExporter(Exporter):
    """Converts by torch's ONNX exporter, checks the graph, and keeps everything in one file.

    Raises:
        MissingExtraError: a package for ONNX is not installed.
    """

    name: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    distributions: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnxscript")
    reader: ClassVar[Path] = Path(__file__).with_name("readers") / "onnx_reader.py"

    def __init__(self) -> None:
        require_onnx()

    def write(self, model: nn.Module, trace: Trace, path: Path, *, metadata: Mapping[str, str]) -> int:
        proto = to_onnx(model, trace)
        for key, text in metadata.items():
            proto.metadata_props.add(key=key, value=text)
        path.write_bytes(proto.SerializeToString(deterministic=True))
        return len(proto.graph.node) + len(proto.graph.initializer)

    def how_to_load(self, file: str) -> str:
        return (
            "import onnxruntime\n"
            f"session = onnxruntime.InferenceSession({file!r}, providers=['CPUExecutionProvider'])\n"
            "outputs = session.run(None, {i.name: array for i, array in zip(session.get_inputs(), inputs)})  # numpy arrays"
        )
