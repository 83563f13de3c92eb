"""Generated features of neighbours as further input: Liu et al. 2022, "Local augmentation for graph neural networks".

ICML 2022, arXiv:2109.03856.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.cache_folder import cache_folder
from automl.errors import SpaceError, did_you_mean
from automl.space import Categorical, Guard, SizeLike, as_categorical, largest_value, smallest_value
from automl_graph.local_augmentation.generator import GeneratorOptions
from automl_graph.local_augmentation.storage import cached_generator, load_generator
from automl_graph.options import current_choice, require_choice
from automl_graph.signal import Graph

__all__ = ["LocalAugmentation"]

_MODES: Final = ("none", "concat", "average")


@final
class LocalAugmentation(nn.Module):
    """A linear layer on the features of the graph and generated ones; what follows may be any block.

    ``none``: ``W x``; ``concat``: ``W x + V x^``, the linear layer of both side by side; ``average``: ``W (x + x^) / 2``.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        generator: ``trained``: learned from the graph that the task trains on, once for all runs on it, and kept in the
            folder for caches; file of a trained generator (``automl_graph.local_augmentation.cached_generator`` writes it); or
            a control: ``self`` takes a copy of ``x``, ``noise`` uniform numbers, one half each outside of training.
        mode: what enters.
        training: with ``trained``, options of the generator, see ``GeneratorOptions``.
        training_graph: what ``trained`` learns from; spaces give it.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * inp * out`` multiply-accumulates, twice that for ``concat``; and the generator's, once for each of its draws.

    Raises:
        SpaceError: an option has a value that does not exist, the generator is for another width, or there is no graph to
            learn from.
        ConfigError: an option of the generator is out of its range.
        DataError: the file is no generator.

    Specialised:
        The same block with ``nn.Linear``; the generator answers with the mean of its fixed draws, so the files of a network
        need nothing else and always give the same.

    Source:
        Section 3.2 and the authors' advice for any network. Deviation: a linear layer joins both inputs, so that
        the width behind it does not depend on the mode; ``AugmentedLayer`` has branches of convolutions as in the paper.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> LocalAugmentation(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        generator: str = "self",
        mode: str | Sequence[str] = _MODES,
        training: Mapping[str, Any] | None = None,
        training_graph: Graph | None = None,
    ) -> None:
        super().__init__()
        require_choice("mode", mode, _MODES)
        self.mode: Final = as_categorical(mode)
        self.own = elastic.Linear(inp, out)
        self.generated = elastic.Linear(inp, out, bias=False)
        if training and generator != "trained":
            raise SpaceError(f"training: is for generator 'trained', not for {generator!r}.")
        if generator == "trained":
            generator = str(_trained(training or {}, training_graph))
        self.generator = _source(generator, inp)

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only some modes use."""
        if not isinstance(self.mode, Categorical):
            return {}
        return {
            "generated": Guard(self.mode, frozenset({"concat"})),
            "generator": Guard(self.mode, frozenset({"concat", "average"})),
        }

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with both kinds of features joined."""
        mode = current_choice(self.mode)
        if mode == "none":
            return graph._replace(x=self.own(graph.x))
        generated = self.generator(graph.x)
        if mode == "average":
            return graph._replace(x=self.own((graph.x + generated) / 2))
        return graph._replace(x=self.own(graph.x) + self.generated(generated))


@final
class _Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.rand_like(x) if self.training else torch.full_like(x, 0.5)


def _trained(options: Mapping[str, Any], graph: Graph | None) -> Path:
    """Returns the file of the generator of a graph."""
    if graph is None:
        raise SpaceError("generator: 'trained' needs a task on the nodes or links of one graph to learn from.")
    known = [field.name for field in fields(GeneratorOptions) if field.name != "selection"]
    for name in options:
        if name not in known:
            raise SpaceError(f"training: the generator has no option {name!r}.{did_you_mean(name, known)}")
    x, edge_index = graph.x.float().cpu(), graph.edge_index.cpu()
    return cached_generator(x, edge_index, cache_folder() / "local-augmentation", GeneratorOptions(**options))


def _source(generator: str, inp: SizeLike) -> nn.Module:
    if generator == "self":
        return nn.Identity()
    if generator == "noise":
        return _Noise()
    loaded = load_generator(Path(generator))
    if (smallest_value(inp), largest_value(inp)) != (loaded.width, loaded.width):
        raise SpaceError(
            f"generator: {generator} makes {loaded.width} features, the input has {smallest_value(inp)} to "
            f"{largest_value(inp)}; put the block behind the input."
        )
    return loaded
