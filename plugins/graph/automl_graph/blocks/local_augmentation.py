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
from automl.space import (
    Categorical,
    Guard,
    Ordinal,
    SizeLike,
    as_categorical,
    as_ordinal,
    largest_value,
    smallest_value,
)
from automl_graph.local_augmentation.generator import GeneratorOptions
from automl_graph.local_augmentation.storage import cached_snapshots, load_generator
from automl_graph.options import choices_of, current_choice, require_choice, require_number
from automl_graph.signal import Graph

__all__ = ["LocalAugmentation"]

_MODES: Final = ("none", "concat", "average")
_DEFAULT: Final = GeneratorOptions()
_OWN: Final = ("hidden", "steps")


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
        hidden: with ``trained``, width inside the generator; 256 if left out.
        steps: with ``trained``, training steps of the generator; 3,000 if left out.
        training: with ``trained``, its other options, see ``GeneratorOptions``. ``reconstruction`` is ``bce`` if left out where
            all features are from 0 to 1, else ``mse``.
        training_graph: what ``trained`` learns from; spaces give it.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * inp * out`` multiply-accumulates, twice that for ``concat``; and those of the generator,
        ``(latent + 2 * inp) * hidden`` for each node and draw. Every combination of ``hidden`` and ``steps`` has a generator of
        its own; those of one width are snapshots of one training.

    Raises:
        SpaceError: an option has a value that does not exist, the generator is for another width, or there is no graph to
            learn from.
        ConfigError: an option of the generator is out of its range.
        DataError: the file is no generator.

    Specialised:
        The same block with ``nn.Linear`` and the chosen generator alone, which answers with the mean of its fixed draws, so
        the files of a network need nothing else and always give the same.

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
        hidden: int | Sequence[int] | None = None,
        steps: int | Sequence[int] | None = None,
        training: Mapping[str, Any] | None = None,
        training_graph: Graph | None = None,
    ) -> None:
        super().__init__()
        require_choice("mode", mode, _MODES)
        self.mode: Final = as_categorical(mode)
        self.own = elastic.Linear(inp, out)
        self.generated = elastic.Linear(inp, out, bias=False)
        self.hidden: float | Ordinal | None = None
        self.steps: float | Ordinal | None = None
        self.generator: nn.Module
        if generator == "trained":
            widths, lengths = choices_of(_given(hidden, _DEFAULT.hidden)), choices_of(_given(steps, _DEFAULT.steps))
            require_number("hidden", widths, smallest=1)
            require_number("steps", lengths, smallest=1)
            if choices_of(mode) == ["none"]:
                self.generator = nn.Identity()
                return
            self.hidden, self.steps = as_ordinal(widths), as_ordinal(lengths)
            files = _trained(widths, lengths, training or {}, training_graph)
            generators = {key: _source(str(file), inp) for key, file in files.items()}
            self.generator = _Trained(self.hidden, self.steps, generators)
        else:
            for name, option in (("hidden", hidden), ("steps", steps), ("training", training)):
                if option is not None:
                    raise SpaceError(f"{name}: is for generator 'trained', not for {generator!r}.")
            self.generator = _source(generator, inp)

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only some modes use."""
        if not isinstance(self.mode, Categorical):
            return {}
        generating = Guard(self.mode, frozenset({"concat", "average"}))
        guards = {"generated": Guard(self.mode, frozenset({"concat"})), "generator": generating}
        for name in _OWN:
            if isinstance(getattr(self, name), Ordinal):
                guards[name] = generating
        return guards

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


@final
class _Trained(nn.Module):
    """The generators of one graph, of which width and number of steps choose one."""

    def __init__(
        self, hidden: float | Ordinal, steps: float | Ordinal, generators: Mapping[tuple[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.hidden: Final = hidden
        self.steps: Final = steps
        for (width, length), generator in generators.items():
            self.add_module(_name(width, length), generator)

    @property
    def active(self) -> nn.Module:
        """The chosen generator."""
        return self.get_submodule(_name(int(self.hidden), int(self.steps)))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.active(x)
        return result

    def specialise(self) -> nn.Module:
        """Returns the chosen generator."""
        return elastic.specialise(self.active)


def _name(hidden: int, steps: int) -> str:
    return f"hidden{hidden}_steps{steps}"


def _given(option: int | Sequence[int] | None, default: int) -> int | Sequence[int]:
    return default if option is None else option


def _trained(
    hidden: Sequence[int], steps: Sequence[int], options: Mapping[str, Any], graph: Graph | None
) -> dict[tuple[int, int], Path]:
    """Returns the files of the generators of a graph, by width and number of steps."""
    known = [field.name for field in fields(GeneratorOptions) if field.name != "selection"]
    for name in options:
        if name in _OWN:
            raise SpaceError(f"training: {name!r} is an option of the block itself; write it beside 'training'.")
        if name not in known:
            raise SpaceError(f"training: the generator has no option {name!r}.{did_you_mean(name, known)}")
    if graph is None:
        raise SpaceError("generator: 'trained' needs a task on the nodes or links of one graph to learn from.")
    x, edge_index = graph.x.float().cpu(), graph.edge_index.cpu()
    bounded = bool(((x >= 0) & (x <= 1)).all())
    settings = {"reconstruction": "bce" if bounded else "mse", **options}
    folder = cache_folder() / "local-augmentation"
    files: dict[tuple[int, int], Path] = {}
    for width in hidden:
        of_width = cached_snapshots(x, edge_index, folder, GeneratorOptions(hidden=width, **settings), steps)
        files |= {(width, number): path for number, path in of_width.items()}
    return files


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
