"""Local augmentation: features of a typical neighbour of each node, generated, as further input of any network on graphs.

Source:
    Liu et al. 2022, "Local augmentation for graph neural networks", ICML, arXiv:2109.03856.
"""

from automl_graph.local_augmentation.consistency import consistency_loss, sharpened
from automl_graph.local_augmentation.generator import Generator, GeneratorOptions
from automl_graph.local_augmentation.layer import AugmentedLayer
from automl_graph.local_augmentation.snapshot import SnapshotJudge, u_score
from automl_graph.local_augmentation.storage import cached_generator, cached_snapshots, load_generator, save_generator
from automl_graph.local_augmentation.train import GeneratorRecord, train_generator, train_snapshots

__all__ = [
    "AugmentedLayer",
    "Generator",
    "GeneratorOptions",
    "GeneratorRecord",
    "SnapshotJudge",
    "cached_generator",
    "cached_snapshots",
    "consistency_loss",
    "load_generator",
    "save_generator",
    "sharpened",
    "train_generator",
    "train_snapshots",
    "u_score",
]
