"""Numbers among the options of strategies, refused in one line that names the option."""

from __future__ import annotations

import math

from automl.errors import ConfigError

__all__ = ["check_share", "check_whole"]


def check_whole(name: str, value: int, *, at_least: int, at_most: int | None = None) -> int:
    """Returns a whole number within its bounds.

    Raises:
        ConfigError: it is none, or out of them.
    """
    top = math.inf if at_most is None else at_most
    if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= top:
        bounds = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
        raise ConfigError(f"strategy_options.{name}: {value!r} is not valid: must be a whole number, {bounds}.")
    return value


def check_share(name: str, value: float) -> float:
    """Returns a number that is at least 0 and below 1.

    Raises:
        ConfigError: it is none, or out of its bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError(f"strategy_options.{name}: {value!r} is not valid: must be a number, at least 0 and below 1.")
    return float(value)
