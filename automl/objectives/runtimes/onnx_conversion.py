"""A network as an ONNX model: one graph with weights inside, dynamic axes, and nothing that only helps debugging."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from automl.errors import ExportError, MissingExtraError
from automl.objectives.inference_copy import inference_copy
from automl.objectives.quiet import quiet
from automl.objectives.runtimes.part_session import innermost_part
from automl.objectives.trace import Trace

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["part_of_name", "require_onnx", "to_onnx"]

_LARGEST: Final = 2**31 - 1
_SCOPES: Final = "pkg.torch.onnx.name_scopes"
_MARK: Final = "part"


def to_onnx(model: nn.Module, trace: Trace, parts: Sequence[str] = ()) -> ModelProto:
    """Converts a network by ``torch.export`` and torch's ONNX exporter, and lets the ONNX checker look at it.

    Notes on where each node came from are removed: they hold paths and source lines of the exporting machine, and take
    more room than the graph itself.

    Raises:
        MissingExtraError: a package for ONNX is not installed.
        ExportError: an operator has no ONNX form, a dynamic axis turns out fixed, or the model exceeds the 2 GiB that one
            ONNX file can hold.
    """
    require_onnx()
    import onnx

    program = trace.program(inference_copy(model))
    try:
        with quiet():
            converted = torch.onnx.export(
                program,
                dynamo=True,
                dynamic_shapes=trace.dynamic_shapes(model),  # names the axes
                input_names=list(trace.names),
                output_names=["output"],
                external_data=False,
                verbose=False,
            )
            proto: ModelProto = converted.model_proto if converted is not None else onnx.ModelProto()
            if parts:
                _mark_parts(proto, parts)
            _strip(proto)
            size = proto.ByteSize()
            if size <= _LARGEST:
                onnx.checker.check_model(proto)
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ExportError(f"the network cannot be converted to ONNX: {reason[0]}") from error
    if size > _LARGEST:
        raise ExportError(f"the network takes {size} bytes as ONNX, and one file can hold 2 GiB at most.")
    return proto


def require_onnx() -> None:
    """Checks that everything is installed that writes and runs ONNX files.

    Raises:
        MissingExtraError: something is not; the message holds the pip command.
    """
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"ONNX needs {', '.join(missing)}, which is not installed. "
            "Install it with: pip install 'automl-supernets[export]'"
        )


def part_of_name(name: str) -> int | None:
    """Returns the position of the part that a node or value of this name belongs to; None for names without a mark.

    Example:
        >>> part_of_name("part12/relu_1_nchwc"), part_of_name("ReorderInput")
        (12, None)
    """
    mark, slash, _ = name.partition("/")
    number = mark.removeprefix(_MARK)
    return int(number) if slash and number != mark and number.isdecimal() else None


def _mark_parts(proto: ModelProto, parts: Sequence[str]) -> None:
    positions = {path: position for position, path in enumerate(parts)}
    outside = {value.name for value in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer)}
    names: dict[str, str] = {}
    for node in proto.graph.node:
        scopes = [ast.literal_eval(item.value) for item in node.metadata_props if item.key == _SCOPES]
        path = [scope for scope in scopes[0][:-1] if scope][-1:] if scopes else []
        mark = f"{_MARK}{positions[innermost_part(path[0] if path else '', parts)]}/"
        node.name = mark + node.name
        names.update({name: mark + name for name in node.output if name and name not in outside})
    for node in proto.graph.node:
        for field in (node.input, node.output):
            renamed = [names.get(name, name) for name in field]
            del field[:]
            field.extend(renamed)


def _strip(proto: ModelProto) -> None:
    graph = proto.graph
    for item in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    del graph.metadata_props[:]
    del proto.metadata_props[:]
    proto.doc_string = graph.doc_string = ""
    del graph.value_info[:]  # shapes of intermediate tensors; every runtime infers them
