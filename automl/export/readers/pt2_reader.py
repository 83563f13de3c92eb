"""Runs a ``.pt2`` file on stored inputs with nothing but torch and safetensors."""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils._pytree import tree_leaves


def replay(file: str, cases: str) -> dict[str, Tensor]:
    """Returns the outputs of the program in ``file`` for each case of inputs."""
    model = torch.export.load(file).module()
    inputs: dict[int, dict[int, Tensor]] = {}
    for name, tensor in load_file(cases).items():
        case, index = map(int, name.split("/"))
        inputs.setdefault(case, {})[index] = tensor
    with torch.inference_mode():
        return {
            f"{case}/{index}": output.contiguous()
            for case, tensors in inputs.items()
            for index, output in enumerate(tree_leaves(model(*(tensors[i] for i in sorted(tensors)))))
        }
