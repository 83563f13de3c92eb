"""Errors that a user meets: each says where, what was wrong and the nearest valid choice.

``UserError`` and its kinds are the user's mistake (exit code 2 on the command line); every other ``AutomlError`` is ours
or the machine's (exit code 1). Neither shows a traceback on the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AutomlError",
    "ConfigError",
    "ConstraintError",
    "DataError",
    "ExportError",
    "InterruptedJobError",
    "MissingExtraError",
    "PluginError",
    "RunError",
    "SpaceError",
    "TrainingError",
    "UnknownNameError",
    "UserError",
    "did_you_mean",
]


class AutomlError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class UserError(AutomlError):
    """The input cannot be used as it is; the message says how to mend it."""

    exit_code = 2


class SpaceError(UserError):
    """A dimension, architecture or search space is malformed or does not fit."""


class ConfigError(UserError):
    """A job, space file or option is malformed; the message names file and key."""


class DataError(UserError):
    """Data are missing, unreadable or unfit for the task; the message names the file."""


class ConstraintError(UserError):
    """A constraint is malformed or cannot be met by any architecture of the space."""


class RunError(UserError):
    """A run folder is missing, foreign, unwritable, in use or damaged."""


class PluginError(UserError):
    """A plugin could not be imported, registers something malformed, or conflicts with another."""


class MissingExtraError(UserError):
    """An optional dependency is not installed; the message holds the pip command."""


class UnknownNameError(UserError):
    """A name that nothing is registered under; the message offers the nearest names.

    Args:
        what: kind of thing that was looked up, such as ``"searcher"``.
        name: the name as the user wrote it.
        choices: all valid names.
        where: file, key or option that held the name.
        note: further sentence with a leading blank, such as which broken plugin may have provided the name.
    """

    def __init__(self, what: str, name: str, choices: Iterable[str], where: str = "", note: str = "") -> None:
        self.name = name
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}unknown {what} {name!r}.{did_you_mean(name, choices)}{note}")


class ExportError(AutomlError):
    """An exported file could not be written or does not reproduce its subnetwork."""


class TrainingError(AutomlError):
    """Training cannot go on: it diverged again and again, or there is nothing to train on."""


class InterruptedJobError(AutomlError):
    """The user stopped the job; what was done so far is safe and the same command goes on."""

    exit_code = 130


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Returns a sentence that offers the nearest valid names, with a leading blank; all of them where they are few.

    Example:
        >>> did_you_mean("latencey", ["latency", "params"])
        " Did you mean 'latency'? Valid: latency, params."
    """
    valid = sorted(choices)
    if not valid:
        return " Nothing of this kind is installed."
    near = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
    offer = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    if len(valid) <= 12 or not near:
        offer += f" Valid: {', '.join(valid)}."
    return offer
