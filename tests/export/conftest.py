"""A small network with every kind of state, its task, and one export of it in all formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from automl.export import ExportResult, export_model
from automl.host import Host
from automl.space import Architecture
from automl.tasks import ImageClassification


class Network(nn.Module):
    """Convolution, normalisation, attention, a tied weight, an unused weight and a buffer outside the state dict."""

    def __init__(self, seed: int = 0, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.mix = nn.MultiheadAttention(width, 2, batch_first=True)
        self.up, self.down = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.down.weight = self.up.weight
        self.training_head = nn.Linear(width, 50)
        self.head = nn.Linear(width, 10)
        self.register_buffer("scale", torch.empty(width), persistent=False)
        generator = torch.Generator().manual_seed(seed)
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.2 - 0.4 * (tensor.dim() > 1)
        self.norm.num_batches_tracked += 7
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.stem(x)))
        tokens = y.flatten(2).transpose(1, 2)
        tokens = tokens + self.mix(tokens, tokens, tokens, need_weights=False)[0]
        pooled = self.down(self.up(tokens)).mean(1) * self.scale
        return self.head(pooled) if not self.training else self.training_head(pooled)


@pytest.fixture(scope="session")
def task() -> ImageClassification:
    return ImageClassification.load("digits", seed=0)


@pytest.fixture(scope="session")
def host() -> Host:
    return Host.load(entry_points=False)


@pytest.fixture(scope="session")
def architecture() -> Architecture:
    return Architecture({"stem.width": 6, "mix.heads": 2})


METADATA = {"space_digest": "0123abcd", "seed": 5, "metrics": {"test": {"error": 0.9}}}


@pytest.fixture(scope="session")
def exported(
    task: ImageClassification,
    host: Host,
    architecture: Architecture,
    tmp_path_factory: pytest.TempPathFactory,
) -> ExportResult:
    folder = tmp_path_factory.mktemp("exports") / "all"
    result = export_model(
        Network(), task, architecture, folder, ["onnx", "pt2", "safetensors"], metadata=METADATA, host=host
    )
    assert json.loads((folder / "manifest.json").read_text()) == json.loads(json.dumps(result.manifest))
    return result


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exports" / "one"
