"""Export: files that reproduce an extracted network without this library, each proven in a fresh process. Loaded on first use."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.export.exporter import Exporter
    from automl.export.folder import ExportResult, export_model, size_limit
    from automl.export.manifest import load_manifest
    from automl.export.onnx_exporter import OnnxExporter
    from automl.export.pt2_exporter import Pt2Exporter
    from automl.export.safetensors_exporter import SafetensorsExporter

__all__ = [
    "ExportResult",
    "Exporter",
    "OnnxExporter",
    "Pt2Exporter",
    "SafetensorsExporter",
    "export_model",
    "load_manifest",
    "size_limit",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ExportResult": "automl.export.folder",
        "Exporter": "automl.export.exporter",
        "OnnxExporter": "automl.export.onnx_exporter",
        "Pt2Exporter": "automl.export.pt2_exporter",
        "SafetensorsExporter": "automl.export.safetensors_exporter",
        "export_model": "automl.export.folder",
        "load_manifest": "automl.export.manifest",
        "size_limit": "automl.export.folder",
    },
)
