"""A made-up graph of papers, authors and subjects in which the class of a paper can only be seen in others."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from automl_graph.hetero.schema import Relation
from automl_graph.hetero.typed_data import NodeType, TypedData

__all__ = ["planted_papers"]

_PAPERS, _AUTHORS, _SUBJECTS, _GROUPS = 300, 200, 30, 3


def planted_papers(*, author_features: bool = True, seed: int = 0) -> TypedData:
    """Returns 300 papers by three authors each, 200 authors and 30 subjects; each author belongs to one of three groups.

    The class of a paper is the group of most of its authors (of its first one, if all differ). Papers have random features,
    authors their group, one-hot with noise, and subjects are drawn at random. So classes are found one relation away.

    Args:
        author_features: without, authors and subjects have the same features each, and one of five papers shows its class,
            one-hot with noise; classes are then found two relations away, at papers of the same author.
        seed: decides everything.
    """
    rng = np.random.default_rng(seed)
    group = rng.integers(_GROUPS, size=_AUTHORS)
    # Authors write with authors of their own group nine times out of ten.
    authors = np.empty((_PAPERS, 3), dtype=np.int64)
    for paper in range(_PAPERS):
        home = rng.integers(_GROUPS)
        chance = np.where(group == home, 0.9 / (group == home).sum(), 0.1 / (group != home).sum())
        authors[paper] = rng.choice(_AUTHORS, size=3, replace=False, p=chance)
    votes = np.stack([(group[authors] == g).sum(1) for g in range(_GROUPS)], axis=1)
    y = np.where(votes.max(1) > 1, votes.argmax(1), group[authors[:, 0]])
    noise = rng.standard_normal
    papers = noise((_PAPERS, 8))
    if author_features:
        written = np.eye(_GROUPS)[group] + 0.5 * noise((_AUTHORS, _GROUPS))
    else:
        written = np.ones((_AUTHORS, 1))
        shown = rng.random(_PAPERS) < 0.2
        hints = np.where(shown[:, None], np.eye(_GROUPS)[y] + 0.2 * noise((_PAPERS, _GROUPS)), 0.0)
        papers = np.concatenate([papers, hints], axis=1)
    subject = rng.integers(_SUBJECTS, size=_PAPERS)
    number = np.arange(_PAPERS)
    written_by = torch.from_numpy(np.stack([np.repeat(number, 3), authors.flatten()]))
    about = torch.from_numpy(np.stack([number, subject]))
    features = [torch.tensor(x, dtype=torch.float32) for x in (papers, written)]
    topics = F.one_hot(torch.arange(_SUBJECTS)).float() if author_features else torch.ones(_SUBJECTS, 1)
    return TypedData(
        name="planted-papers",
        types={
            "paper": NodeType(_PAPERS, features[0]),
            "author": NodeType(_AUTHORS, features[1]),
            "subject": NodeType(_SUBJECTS, topics),
        },
        relations=(Relation("written_by", "paper", "author"), Relation("about", "paper", "subject")),
        edges=(written_by, about),
        y=torch.from_numpy(y),
        class_names=tuple(f"group {g}" for g in range(_GROUPS)),
    ).with_reverse()
