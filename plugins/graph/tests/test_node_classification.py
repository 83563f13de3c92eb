"""Node classification: parts, batches, copies side by side, metrics, and the errors that users meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph.propagation import adjacency
from automl_graph.tasks import NodeClassification
from torch import Tensor, nn

from automl.errors import AutomlError, ConfigError, DataError


def load(data: str = "karate", seed: int = 0, **options: Any) -> NodeClassification:
    return NodeClassification.load(data, seed=seed, options=options)


def labels(task: NodeClassification, part: str) -> Tensor:
    (batch,) = task.batches(part, 1)  # type: ignore[arg-type]
    return batch.target


class Fixed(nn.Module):
    """Answers the same whatever it is asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.logits


@pytest.mark.parametrize(("data", "per_class", "classes"), [("karate", 4, 2), ("digits-knn", 20, 10)])
def test_built_in_graphs_train_on_few_labels(data: str, per_class: int, classes: int) -> None:
    task = load(data)
    assert torch.bincount(labels(task, "train")).tolist() == [per_class] * classes
    nodes = [node for part in task.split.values() for node in part]
    assert sorted(nodes) == list(range(task.sample_shape[0]))
    measured = [len(task.split[part]) for part in ("validation", "test")]
    assert abs(measured[0] - measured[1]) <= classes


def test_labels_per_class_and_shares() -> None:
    assert torch.bincount(labels(load(labels_per_class=2), "train")).tolist() == [2, 2]
    uneven = load(labels_per_class=2, validation=0.1, test=0.4)
    assert len(uneven.split["validation"]) == 6
    by_share = load(labels_per_class=0, validation=0.2, test=0.3)
    assert {part: len(nodes) for part, nodes in by_share.split.items()} == {"train": 17, "validation": 7, "test": 10}


def test_split_follows_the_seed_and_a_stored_one_is_kept() -> None:
    assert load(seed=1).split == load(seed=1).split
    assert load(seed=1).split != load(seed=2).split
    again = NodeClassification.load("karate", seed=7, split=load(seed=1).split)
    assert again.split == load(seed=1).split
    assert load(seed=1).fingerprint == load(seed=2).fingerprint != load("digits-knn").fingerprint


def test_every_batch_is_the_whole_graph_and_counts_the_nodes_of_its_part() -> None:
    task = load(steps_per_epoch=3)
    batches = list(task.train_batches(np.random.default_rng(0), 2))
    assert len(batches) == task.steps_per_epoch(2) == 3
    for batch in [*batches, *task.batches("test", 2), *task.calibration_batches(0, 5, 2)]:
        assert [tuple(tensor.shape) for tensor in batch.inputs] == [(34, 34), (2, 156)]
    (test,) = task.batches("test", 2)
    assert test.index is not None
    assert test.index.tolist() == task.split["test"]
    logits = torch.randn(34, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(test.counted(logits), logits[task.split["test"]])
    (limited,) = task.batches("test", 2, limit=5)
    assert len(limited.target) == 5


def test_inputs_keep_their_identity_so_that_the_adjacency_is_built_once() -> None:
    task = load()
    seen = {id(batch.inputs[1]) for batch in task.train_batches(np.random.default_rng(0), 1)}
    (batch,) = task.batches("validation", 1)
    assert seen == {id(batch.inputs[1])} == {id(task.example_inputs(1)[1])}


def test_several_samples_are_copies_side_by_side() -> None:
    x, edge_index = load().example_inputs(3)
    assert (tuple(x.shape), tuple(edge_index.shape)) == ((102, 34), (2, 468))
    single, edges = load().example_inputs(1)
    once = adjacency(edges, 34).propagate(single, norm="sym", self_loops=True)
    thrice = adjacency(edge_index, 102).propagate(x, norm="sym", self_loops=True)
    assert torch.equal(thrice, once.repeat(3, 1))


def test_metrics_speak_about_the_part_only() -> None:
    task = load()
    rows = task.split["validation"]
    logits = torch.full((34, 2), float("nan"))
    logits[rows] = torch.nn.functional.one_hot(labels(task, "validation"), 2).float() * 3
    wrong = rows[0]
    logits[wrong] = logits[wrong].flip(0)
    measured = task.evaluate(Fixed(logits), "validation", 4)
    assert measured["error"] == pytest.approx(1 / len(rows))
    right, bad = math.log(1 + math.exp(-3)), math.log(1 + math.exp(3))
    assert measured["loss"] == pytest.approx((right * (len(rows) - 1) + bad) / len(rows), rel=1e-5)
    assert math.isnan(task.evaluate(Fixed(logits), "test", 4)["error"])


def test_loss_is_the_cross_entropy_of_the_training_nodes() -> None:
    task = load()
    logits = torch.randn(34, 2, generator=torch.Generator().manual_seed(4))
    (batch, *_) = task.train_batches(np.random.default_rng(0), 1)
    by_hand = -torch.log_softmax(logits, 1)[task.split["train"]].gather(1, batch.target[:, None]).mean()
    assert float(task.loss(logits, batch)) == pytest.approx(float(by_hand))
    assert float(task.loss(logits, batch, label_smoothing=0.2)) != pytest.approx(float(by_hand))


def test_move_changes_the_dtype_of_features_only() -> None:
    task = load()
    task.to("cpu", torch.float64)
    x, edge_index = task.example_inputs(2)
    assert (x.dtype, edge_index.dtype) == (torch.float64, torch.int64)


def test_row_normalisation() -> None:
    x, _ = load("digits-knn", normalise="row").example_inputs(1)
    torch.testing.assert_close(x.sum(1), torch.ones(1797))
    assert load("digits-knn", normalise="row").describe()["normalisation"] == "row"


def test_description_and_names() -> None:
    task = load()
    described = task.describe()
    assert described["nodes"] == 34
    assert described["edges"] == 156
    assert described["classes"] == ["Mr. Hi", "Officer"]
    assert described["samples"] == {"train": 8, "validation": 13, "test": 13}
    assert (task.input_names, task.dynamic_axes) == (("x", "edge_index"), ({0: "nodes"}, {1: "edges"}))


def archive(path: Path, **changed: Any) -> Path:
    content = {
        "x": np.random.default_rng(0).normal(size=(12, 3)),
        "edge_index": np.array([[0, 1, 2, 3], [1, 2, 3, 4]]),
        "y": np.arange(12) % 3,
    } | changed
    np.savez(path, **content)
    return path


def test_graph_file(tmp_path: Path) -> None:
    path = archive(tmp_path / "graph.npz")
    task = load(str(path), labels_per_class=1)
    assert (task.input_width, task.outputs) == (3, 3)
    assert task.describe()["edges"] == 8
    assert load(str(path), undirected=False).describe()["edges"] == 4
    assert {part: len(nodes) for part, nodes in load(str(path)).split.items()} == {
        "train": 6,
        "validation": 3,
        "test": 3,
    }


def test_recognises_graphs_and_leaves_other_files_to_other_tasks(tmp_path: Path) -> None:
    graph = archive(tmp_path / "graph.npz")
    np.savez(tmp_path / "images.npz", x=np.zeros((4, 8, 8)), y=np.arange(4))
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    known = ["karate", "digits-knn", str(graph)]
    unknown = ["digits", str(tmp_path), *(str(tmp_path / name) for name in ("images.npz", "torn.npz", "absent.npz"))]
    assert all(NodeClassification.recognises(data) for data in known)
    assert not any(NodeClassification.recognises(data) for data in unknown)


BAD: dict[str, tuple[Callable[[Path], Any], type[AutomlError], str]] = {
    "unknown name": (lambda _: load("karat"), DataError, "karat: no such graph; .*Did you mean 'karate'"),
    "missing file": (lambda p: load(str(p / "no.npz")), DataError, r"no\.npz: no such file"),
    "too many labels": (
        lambda _: load(labels_per_class=16),
        DataError,
        "karate: class 'Mr. Hi' has 17 nodes; 'labels_per_class: 16' needs at least 18",
    ),
    "class of two nodes": (
        lambda p: load(str(archive(p / "g.npz", y=np.array([0] * 10 + [1] * 2)))),
        DataError,
        r"g\.npz: class '1' has 2 samples",
    ),
    "label left out": (
        lambda p: load(str(archive(p / "g.npz", y=np.array([0] * 6 + [2] * 6)))),
        DataError,
        r"g\.npz: class '1' has no sample",
    ),
    "edge out of range": (
        lambda p: load(str(archive(p / "g.npz", edge_index=np.array([[0], [12]])))),
        DataError,
        r"g\.npz: 'edge_index' has 1 edges",
    ),
    "NaN": (
        lambda p: load(str(archive(p / "g.npz", x=np.full((12, 3), np.nan)))),
        DataError,
        r"g\.npz: 'x' has 36 values that are not finite",
    ),
    "one class": (
        lambda p: load(str(archive(p / "g.npz", y=np.zeros(12, int)))),
        DataError,
        r"g\.npz: 'y' holds one class only",
    ),
    "one class that is not the first": (
        lambda p: load(str(archive(p / "g.npz", y=np.ones(12, int)))),
        DataError,
        r"g\.npz: 'y' holds one class only",
    ),
    "empty part": (
        lambda _: NodeClassification.load("karate", seed=0, split={"train": [0, 1], "validation": [], "test": [2]}),
        DataError,
        "karate: split: part 'validation' is empty",
    ),
    "split of another graph": (
        lambda _: NodeClassification.load("karate", seed=0, split={"train": [0], "validation": [1], "test": [34]}),
        DataError,
        "karate: split: part 'test' holds index 34",
    ),
    "unknown option": (
        lambda _: load(label_per_class=3),
        ConfigError,
        "task options.label_per_class: unknown option .*Did you mean 'labels_per_class'",
    ),
    "shares too large": (
        lambda _: load(validation=0.5, test=0.5),
        ConfigError,
        r"validation 0\.5 and test 0\.5 leave nothing to train on",
    ),
    "negative number": (lambda _: load(labels_per_class=-1), ConfigError, r"labels_per_class: -1 is not valid"),
}


@pytest.mark.parametrize(("call", "kind", "message"), BAD.values(), ids=BAD)
def test_mistakes_are_named(tmp_path: Path, call: Callable[[Path], Any], kind: type[AutomlError], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(tmp_path)
