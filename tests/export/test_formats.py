"""The files themselves: they reproduce the network, and hold nothing but it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from automl.errors import ExportError, MissingExtraError
from automl.export import Exporter, ExportResult, OnnxExporter, Pt2Exporter, SafetensorsExporter
from automl.export.verification import verify_file
from automl.objectives import Trace, count_params, state_bytes
from automl.tasks import ImageClassification


def test_every_file_was_proven_and_is_described(
    exported: ExportResult, network: nn.Module, task: ImageClassification
) -> None:
    largest = float(network(*task.example_inputs(64)).detach().abs().max())
    assert sorted(path.name for path in exported.folder.iterdir()) == sorted(
        ["manifest.json", *(path.name for path in exported.paths.values())]
    )
    for name, path in exported.paths.items():
        entry = exported.manifest["files"][name]
        assert entry["bytes"] == path.stat().st_size <= entry["limit_bytes"]
        assert entry["predicted_bytes"] == state_bytes(network)
        assert entry["limit_bytes"] < 1.02 * entry["predicted_bytes"] + 16384 + 128 * 100
        assert 0 <= entry["max_abs_error"] < 1e-6 * largest  # a few units in the last place of outputs around 70
    assert exported.manifest["inputs"] == [{"name": "images", "dtype": "float32", "shape": ["batch", 1, 8, 8]}]
    assert exported.manifest["checked_inputs"] == [[[batch, 1, 8, 8]] for batch in (1, 2, 5)]


def test_the_lines_in_the_manifest_load_each_file_without_this_library(
    exported: ExportResult, network: nn.Module, task: ImageClassification
) -> None:
    (images,) = task.example_inputs(4)
    wanted = network(images).detach()
    np.save(exported.folder.parent / "images.npy", images.numpy())
    endings = {
        "onnx": "np.save('out.npy', outputs[0])",
        "pt2": "np.save('out.npy', output.detach().numpy())",
        "safetensors": "np.save('out.npy', state['head.weight'].numpy()); assert 'mix.heads' in architecture",
    }
    for name, path in exported.paths.items():
        inputs = (
            "[np.load('images.npy')]" if name != "pt2" else "[__import__('torch').from_numpy(np.load('images.npy'))]"
        )
        lines = exported.manifest["files"][name]["how_to_load"].replace(
            path.name, f"{exported.folder.name}/{path.name}"
        )
        script = (
            f"import sys, numpy as np\ninputs = {inputs}\n{lines}\n{endings[name]}\n"
            "assert not any(module.partition('.')[0] == 'automl' for module in sys.modules)"
        )
        subprocess.run(
            [sys.executable, "-I", "-W", "ignore", "-c", script], check=True, timeout=120, cwd=exported.folder.parent
        )
        given = torch.from_numpy(np.load(exported.folder.parent / "out.npy"))
        expected = network.get_parameter("head.weight").detach() if name == "safetensors" else wanted
        torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)


def test_pt2_stores_each_needed_weight_once_and_no_trace_of_this_machine(
    exported: ExportResult, network: nn.Module
) -> None:
    program = torch.export.load(exported.paths["pt2"])
    stored = {name: tensor for name, tensor in program.state_dict.items() if tensor.numel()}
    assert "norm.num_batches_tracked" not in stored
    assert not any(name.startswith("training_head") for name in stored)
    assert not any(tensor.requires_grad for tensor in stored.values())
    with zipfile.ZipFile(exported.paths["pt2"]) as archive:
        sizes = {entry.filename.partition("/")[2]: entry.file_size for entry in archive.infolist()}
        everything = b"".join(archive.read(entry) for entry in archive.infolist())
    tensors = sum(size for name, size in sizes.items() if "/weight_" in name or "/tensor_" in name)
    needed = state_bytes(network) - 4 * (6 * 50 + 50)
    assert needed <= tensors <= needed + 64 * len(stored)  # each tensor starts at a multiple of 64 bytes
    assert sizes["data/sample_inputs/model.pt"] == 0
    assert b".py" not in everything
    assert b"stack_trace" not in everything


def test_onnx_is_one_checked_file_with_a_free_batch(exported: ExportResult) -> None:
    proto = onnx.load(exported.paths["onnx"], load_external_data=False)
    onnx.checker.check_model(proto)
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in proto.graph.initializer)
    assert {entry.key: entry.value for entry in proto.metadata_props}["space_digest"] == "0123abcd"
    assert b".py" not in exported.paths["onnx"].read_bytes()


def test_safetensors_holds_the_state_and_the_architecture(exported: ExportResult, network: nn.Module) -> None:
    with safe_open(exported.paths["safetensors"], framework="pt") as file:
        header = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert json.loads(header["architecture"]) == {"stem.width": 6, "mix.heads": 2}
    assert json.loads(header["shared"]) == {"down.weight": "up.weight"}
    assert "down.weight" not in state
    assert "norm.num_batches_tracked" not in state
    state |= {name: state[kept] for name, kept in json.loads(header["shared"]).items()}
    other = type(network)(seed=9)
    missing = other.load_state_dict({k: v for k, v in state.items() if k != "scale"}, strict=False).missing_keys
    assert missing in ([], ["norm.num_batches_tracked"])
    other.scale = state["scale"]
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(other(x), network(x))


def test_exporting_changes_nothing_in_the_network(network: nn.Module, tmp_path: Path) -> None:
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in network.state_dict().items()}
    trace = Trace((torch.rand(3, 1, 8, 8),), ("images",), ({0: "batch"},))
    Pt2Exporter().write(network, trace, tmp_path / "a.pt2", metadata={})
    after = network.state_dict()
    assert after.keys() == before.keys()
    for name, (pointer, tensor) in before.items():
        assert after[name].data_ptr() == pointer
        assert torch.equal(after[name], tensor)
    assert network.up.weight is network.down.weight
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_equal_networks_give_equal_pt2_files(network: nn.Module, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.pt2"
        trace = Trace((torch.rand(3, 1, 8, 8),), ("images",), ({0: "batch"},))
        Pt2Exporter().write(network, trace, path, metadata={})
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


class Message(nn.Module):
    """Sums features over the edges of a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        hidden = self.layer(x)
        return torch.zeros_like(hidden).index_add(0, edge_index[1], hidden[edge_index[0]])


@pytest.mark.parametrize("exporter", [Pt2Exporter(), OnnxExporter()], ids=lambda exporter: exporter.name)
def test_two_inputs_may_vary_independently(exporter: Exporter, tmp_path: Path) -> None:
    def graph(nodes: int, edges: int) -> tuple[Tensor, Tensor]:
        return torch.randn(nodes, 4), torch.randint(0, nodes, (2, edges))

    torch.manual_seed(1)
    model = Message().eval()
    trace = Trace(graph(6, 9), ("x", "edge_index"), ({0: "nodes"}, {1: "edges"}))
    path = tmp_path / f"graph{exporter.suffix}"
    exporter.write(model, trace, path, metadata={})
    assert verify_file(exporter, path, model, [graph(1, 2), graph(11, 5), graph(4, 1)], tmp_path) < 1e-5
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


class FixedBatch(nn.Module):
    """Only works for three samples."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(3, -1)


class Branching(nn.Module):
    """Chooses its operators by what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


@pytest.mark.parametrize("exporter", [Pt2Exporter(), OnnxExporter()], ids=lambda exporter: exporter.name)
@pytest.mark.parametrize(
    ("model", "message"),
    [(FixedBatch(), "one length of the axis 'batch' only"), (Branching(), "cannot be traced by torch.export")],
)
def test_a_network_that_cannot_be_traced_says_why(
    exporter: Exporter, model: nn.Module, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace = Trace((torch.randn(3, 10),), ("x",), ({0: "batch"},))
    with pytest.raises(ExportError, match=message) as caught:
        exporter.write(model, trace, tmp_path / "x", metadata={})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_missing_onnx_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(MissingExtraError, match=r"onnxscript, .* pip install 'automl-supernets\[export\]'"):
        OnnxExporter()


def _deep(width: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(1, width, 1)]
    for _ in range(depth):
        layers += [nn.Conv2d(width, 4 * width, 1), nn.BatchNorm2d(4 * width), nn.ReLU()]
        layers += [nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width), nn.BatchNorm2d(4 * width)]
        layers += [nn.Conv2d(4 * width, width, 1), nn.BatchNorm2d(width)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * width, 10)).eval()


@pytest.mark.parametrize("name", ["pt2", "onnx", "safetensors"])
def test_files_of_a_million_parameters_stay_within_two_per_cent(name: str, tmp_path: Path) -> None:
    model = _deep(width=104, depth=12)
    exporter = {"pt2": Pt2Exporter, "onnx": OnnxExporter, "safetensors": SafetensorsExporter}[name]()
    path = tmp_path / f"model{exporter.suffix}"
    exporter.write(
        model, Trace((torch.rand(3, 1, 4, 4),), ("images",), ({0: "batch"},)), path, metadata={"architecture": "{}"}
    )
    assert count_params(model) > 1_000_000
    assert len(model.state_dict()) > 200  # many small tensors: the hard case
    assert path.stat().st_size <= 1.02 * state_bytes(model)
