"""Which snapshot of a generator is kept: that about whose features a network is surest, whatever dropout it runs with.

Source:
    Liu et al. 2022, arXiv:2109.03856, section 3.2. Deviation: snapshots are rated at some steps instead of after each.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl_graph.propagation import adjacency

__all__ = ["SnapshotJudge", "u_score"]

_HIDDEN: Final = 32
_DROPOUT: Final = 0.5
_FIRST_STEPS: Final = 100
_FURTHER_STEPS: Final = 20
_LEARNING_RATE: Final = 0.01


def u_score(logits: Tensor, labels: Tensor) -> float:
    """Returns how far runs with dropout agree: the cross entropy of their mean probabilities minus their mean cross entropy.

    Args:
        logits: of each run, ``(runs, nodes, classes)``.
        labels: ``(nodes,)``.

    Returns:
        At most 0, by Jensen's inequality; 0 if all runs say the same.

    Example:
        >>> round(u_score(torch.tensor([[[4.0, 0.0]], [[0.0, 4.0]]]), torch.tensor([0])), 3)
        -1.325
    """
    logs = torch.log_softmax(logits.double(), dim=-1)
    mean = torch.logsumexp(logs, dim=0) - torch.log(torch.tensor(float(len(logs)), dtype=torch.float64))
    rows = torch.arange(len(labels), device=labels.device)
    return float((logs[:, rows, labels].mean(0) - mean[rows, labels]).mean())


@final
class SnapshotJudge:
    """A small convolutional network with dropout, trained on the features of the graph, then on those of kept snapshots.

    Args:
        x: features, ``(nodes, width)``.
        edge_index: ``(2, edges)``.
        nodes: labelled nodes, those of training only, ``(labelled,)``.
        labels: their classes, ``(labelled,)``.
        runs: runs with dropout that a score compares.
    """

    def __init__(self, x: Tensor, edge_index: Tensor, nodes: Tensor, labels: Tensor, *, runs: int = 100) -> None:
        self._edges: Final = edge_index
        self._nodes: Final = nodes
        self._labels: Final = labels
        self._runs: Final = runs
        self._layers: Final = nn.ModuleList(
            [nn.Linear(x.shape[1], _HIDDEN), nn.Linear(_HIDDEN, int(labels.max()) + 1)]
        ).to(x)
        self._optimiser: Final = torch.optim.Adam(self._layers.parameters(), lr=_LEARNING_RATE, weight_decay=5e-4)
        self.learn(x, _FIRST_STEPS)

    @torch.no_grad()
    def score(self, x: Tensor) -> float:
        """Returns the U score of features, with dropout on."""
        return u_score(torch.stack([self._logits(x) for _ in range(self._runs)]), self._labels)

    def learn(self, x: Tensor, steps: int = _FURTHER_STEPS) -> None:
        """Trains on features and the labels of training nodes."""
        for _ in range(steps):
            self._optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(self._logits(x), self._labels).backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()

    def _logits(self, x: Tensor) -> Tensor:
        matrix = adjacency(self._edges, len(x))
        for number, layer in enumerate(self._layers):
            x = torch.relu(x) if number else x
            x = matrix.propagate(layer(F.dropout(x, _DROPOUT)), norm="sym", self_loops=True)
        return x[self._nodes]
