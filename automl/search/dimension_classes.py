"""Dimensions in classes: those that stand for the same kind of choice in different places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from automl.errors import ConfigError, did_you_mean

__all__ = ["dimension_classes"]


def dimension_classes(
    names: Sequence[str], patterns: Mapping[str, str | Sequence[str]] | None = None
) -> dict[str, list[int]]:
    """Returns for each class the positions of its dimensions, in the order of ``names``.

    Args:
        names: names of all dimensions, such as ``layer1.heads``.
        patterns: for some classes the names that belong to them, with ``*`` for any text (``*.graph_gat.*`` is all that one
            kind of block holds). A dimension belongs to the first class that matches. The class of all others is the last
            part of their name.

    Raises:
        ConfigError: a pattern matches no dimension that is left.

    Example:
        >>> dimension_classes(["a.width", "a.heads", "b.width"])
        {'width': [0, 2], 'heads': [1]}
        >>> dimension_classes(["op1", "op2", "link"], {"early": "op*"})
        {'early': [0, 1], 'link': [2]}
    """
    of_name: dict[str, str] = {}
    for label, given in (patterns or {}).items():
        for pattern in [given] if isinstance(given, str) else given:
            found = [name for name in names if fnmatchcase(name, pattern) and name not in of_name]
            if not found:
                raise ConfigError(
                    f"classes: {label}: {pattern!r} matches no dimension that is not in an earlier class."
                    f"{did_you_mean(pattern, names)}"
                )
            of_name.update(dict.fromkeys(found, label))
    classes: dict[str, list[int]] = {label: [] for label in patterns or {}}
    for position, name in enumerate(names):
        classes.setdefault(of_name.get(name, name.rpartition(".")[2]), []).append(position)
    return classes
