"""Container that runs one of several candidate modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, final

from torch import nn

from automl.elastic.specialise import specialise
from automl.errors import SpaceError
from automl.space import Categorical, Guard

__all__ = ["Choice"]


@final
class Choice(nn.Module):
    """One of several candidates.

    Dimensions inside a candidate exist only while it is chosen.

    Args:
        candidates: modules by name; all take the same inputs and give outputs of the same form.
        choice: the dimension, if it is shared with other containers; its choices are the names. Left out, a new one.

    Shape:
        Any inputs; returns what the chosen candidate returns.

    Raises:
        SpaceError: no candidate, a name that cannot be one of a module, names that clash once dots are underscores,
            or a shared dimension with other choices.

    Specialised:
        The chosen candidate, specialised.

    Example:
        >>> import torch
        >>> layer = Choice({"linear": nn.Linear(4, 4), "none": nn.Identity()})
        >>> layer.choice.value = "none"
        >>> layer.specialise()
        Identity()
    """

    def __init__(self, candidates: Mapping[str, nn.Module], *, choice: Categorical | None = None) -> None:
        super().__init__()
        if not candidates:
            raise SpaceError("Choice: expected at least one candidate, got none.")
        choice = Categorical(*candidates) if choice is None else choice
        if set(choice.choices) != set(candidates):
            raise SpaceError(
                f"Choice: the shared dimension offers {sorted(map(str, choice.choices))}, the candidates are "
                f"{sorted(candidates)}."
            )
        self.choice = choice
        self._names = {name: name.replace(".", "_") for name in candidates}
        for name, module in candidates.items():
            if not name or hasattr(self, self._names[name]):
                raise SpaceError(f"Choice: the candidate name {name!r} is taken or cannot be used; rename it.")
            self.add_module(self._names[name], module)

    @property
    def active(self) -> nn.Module:
        """The chosen candidate."""
        return self.candidate(cast(str, self.choice.value))

    def candidate(self, name: str) -> nn.Module:
        """Returns the candidate of a name."""
        return cast(nn.Module, self._modules[self._names[name]])

    def forward(self, *inputs: Any) -> Any:
        """Runs the chosen candidate."""
        return self.active(*inputs)

    def conditions(self) -> dict[str, Guard]:
        """Returns for each candidate the guard that it is chosen."""
        return {child: Guard(self.choice, frozenset({name})) for name, child in self._names.items()}

    def specialise(self) -> nn.Module:
        """Returns the chosen candidate, specialised."""
        return specialise(self.active)
