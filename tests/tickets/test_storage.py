from __future__ import annotations

import torch
from torch import nn

from automl.objectives.sparse_size import bitmask_bytes
from automl.tickets import OneShot, storage_report
from automl.tickets.storage import row_bytes
from automl.training import TrainingPlan


def test_formats_break_even_with_dense_where_the_paper_says():
    entries = 96_000
    dense = 4 * entries
    for store, share in (
        (lambda n: bitmask_bytes(entries, n), 1 / 32),
        (row_bytes, 1 / 3),
        (lambda n: row_bytes(n, index=4), 1 / 2),
    ):
        even = round(entries * (1 - share))
        assert store(even) == dense
        assert store(even - 1) < dense < store(even + 1)


def test_report_counts_prunable_weights_and_the_whole_network():
    network = nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30), nn.Linear(30, 7))
    pruner = OneShot(sparsity=0.75)
    pruner.attach(network, TrainingPlan(5, 1, 0, lambda step: 1.0, 0.0))
    report = storage_report(network, pruner.masks)
    assert (report.prunable, report.prunable_nonzero) == (1410, 1410 - round(0.75 * 1410))
    assert report.parameters == 1410 + 30 + 60 + 7
    assert report.nonzero == report.parameters - round(0.75 * 1410)
    assert report.dense_bytes == 4 * (report.parameters + 60)
    kept = [int(mask.sum()) for mask in pruner.masks.values()]
    assert report.sparse_bytes == 4 * (97 + 60) + bitmask_bytes(1200, kept[0]) + bitmask_bytes(210, kept[1])


def test_sparse_size_is_never_more_than_dense_size():
    network = nn.Linear(40, 30)
    masks = {"weight": torch.ones(30, 40, dtype=torch.bool)}
    report = storage_report(network, masks)
    assert report.sparse_bytes == report.dense_bytes
