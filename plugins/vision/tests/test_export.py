"""All blocks in one traced network, for batches of any size, in both formats that hold a graph."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from automl_vision.attention import AttentionBlock
from automl_vision.conv_stem import ConvStem
from automl_vision.convnext import ConvNeXtBlock
from automl_vision.mbconv import MBConv
from automl_vision.mobile_head import MobileHead
from automl_vision.residual import Residual
from torch import nn

from automl.elastic import specialise

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def network() -> nn.Module:
    """Every block, with odd widths and maps."""
    torch.manual_seed(2)
    elastic = nn.Sequential(
        ConvStem(3, 5, kernel=5, activation="silu"),
        Residual(5, 7, stride=2, branch="basic"),
        Residual(7, 7, branch="bottleneck"),
        MBConv(7, 7, squeeze_excite=True),
        ConvNeXtBlock(7, 9, stride=2),
        AttentionBlock(9, 8, stride=2, heads=3, head_dim=4, reach=1),
        MobileHead(8, 4, hidden=11),
    )
    elastic.train()(torch.randn(16, 3, 13, 10))  # batch-norm statistics other than zero and one
    return specialise(elastic).eval()


@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@torch.no_grad()
def test_traced_network_takes_batches_of_any_size(tmp_path: Path) -> None:
    model = network()
    x = torch.randn(2, 3, 13, 10)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(model, (x,), dynamic_shapes=shapes)
    path = tmp_path / "model.onnx"
    torch.onnx.export(model, (x,), path, input_names=["images"], dynamic_shapes=shapes, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 2, 7):
        x = torch.randn(batch, 3, 13, 10)
        torch.testing.assert_close(program.module()(x), model(x), rtol=1e-5, atol=1e-5)
        (logits,) = session.run(None, {"images": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), model(x), rtol=1e-4, atol=1e-4)
