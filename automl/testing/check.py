"""One check of one component: a function with a name that pytest can show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Check", "expect"]


@dataclass(frozen=True)
class Check:
    """One property that a component must have.

    Attributes:
        subject: kind and name of the component, such as ``"family vision.mbconv"``.
        name: the property, as a short sentence.
        run: raises ``AssertionError`` where the property does not hold.
        exempt: reason why it need not hold; calling the check then skips the test.
    """

    subject: str
    name: str
    run: Callable[[], None]
    exempt: str = ""

    def __call__(self) -> None:
        """Runs the check.

        Raises:
            AssertionError: the component lacks the property; the message names both and the setting that showed it.
        """
        if self.exempt:
            import pytest

            pytest.skip(f"{self}: {self.exempt}")
        try:
            self.run()
        except AssertionError as error:
            raise AssertionError(f"{self}: {error}") from error

    def __str__(self) -> str:
        return f"{self.subject}: {self.name}"


def expect(condition: bool, message: str) -> None:
    """Raises ``AssertionError`` with a message that says what was expected and what was found; also under ``-O``."""
    if not condition:
        raise AssertionError(message)
