"""Checks of block options, which a space file gives as one value or as a list of choices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from automl.errors import SpaceError, did_you_mean
from automl.space import Categorical, Scalar

__all__ = ["choices_of", "current_choice", "require_choice", "require_number", "require_share"]

S = TypeVar("S", bound=Scalar)


def choices_of(option: S | Sequence[S]) -> list[S]:
    """Returns the choices of an option; one value is one choice."""
    return [option] if isinstance(option, str | int | float) else list(option)


def current_choice(option: Scalar | Categorical) -> Any:
    """Returns the value of an option, whether it is searched or fixed."""
    return option.value if isinstance(option, Categorical) else option


def require_choice(name: str, option: Scalar | Sequence[Scalar], valid: Iterable[Scalar]) -> None:
    """Checks that every choice of an option exists.

    Raises:
        SpaceError: one does not; offers the nearest.
    """
    allowed = list(valid)
    for choice in choices_of(option):
        if choice not in allowed:
            raise SpaceError(f"{name}: unknown value {choice!r}.{did_you_mean(str(choice), map(str, allowed))}")


def require_number(name: str, option: int | Sequence[int], *, smallest: int) -> None:
    """Checks that every choice of an option is a whole number of at least ``smallest``.

    Raises:
        SpaceError: one is not.
    """
    for choice in choices_of(option):
        if isinstance(choice, bool) or not isinstance(choice, int) or choice < smallest:
            raise SpaceError(f"{name}: {choice!r} is not a whole number of at least {smallest}.")


def require_share(name: str, option: float) -> None:
    """Checks that an option is a share, from 0 to less than 1.

    Raises:
        SpaceError: it is not.
    """
    if isinstance(option, bool) or not isinstance(option, int | float) or not 0 <= option < 1:
        raise SpaceError(f"{name}: {option!r} is not a share, a number from 0 to less than 1.")
