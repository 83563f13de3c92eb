"""Runs a ``.onnx`` file on stored inputs with nothing but ONNX Runtime and safetensors; torch is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file


def replay(file: str, cases: str) -> dict[str, np.ndarray[Any, Any]]:
    """Returns the outputs of the graph in ``file`` for each case of inputs."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    positions = {value.name: position for position, value in enumerate(session.get_inputs())}
    inputs: dict[int, dict[int, np.ndarray[Any, Any]]] = {}
    for name, array in load_file(cases).items():
        case, index = map(int, name.split("/"))
        inputs.setdefault(case, {})[index] = array
    results = {}
    for case, arrays in inputs.items():
        feeds = {name: arrays[position] for name, position in positions.items()}
        for index, output in enumerate(session.run(None, feeds)):
            results[f"{case}/{index}"] = np.ascontiguousarray(output)
    return results
