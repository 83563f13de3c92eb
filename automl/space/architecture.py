"""Architectures: frozen settings of the active dimensions of a search space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import ItemsView, Iterator, Mapping
from typing import Final

from automl.errors import SpaceError
from automl.space.dimensions import Scalar

__all__ = ["Architecture"]


class Architecture(Mapping[str, Scalar]):
    """Values of exactly the active dimensions; equal networks are equal values.

    Spaces make architectures (``sample``, ``canonical``); building one by hand from a mapping does no check.

    Example:
        >>> a = Architecture({"depth": 2, "block.0.kernel": 3})
        >>> a == Architecture.from_json(a.to_json())
        True
    """

    __slots__ = ("_hash", "_id", "_values")

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values: Final = dict(values)
        self._hash: int | None = None
        self._id: str | None = None

    @property
    def id(self) -> str:
        """Short digest of the values, the same in every process: 10 hexadecimal digits."""
        if self._id is None:
            self._id = hashlib.blake2b(self.to_json(sort=True).encode(), digest_size=5).hexdigest()
        return self._id

    def to_json(self, *, sort: bool = False) -> str:
        """Returns the values as one JSON object, in the order of the space or sorted by name."""
        return json.dumps(self._values, sort_keys=sort, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Reads what ``to_json`` wrote.

        Raises:
            SpaceError: the text is not one JSON object of strings, numbers and booleans.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise SpaceError(f"an architecture must be one JSON object: {error}.") from error
        if not isinstance(values, dict) or not all(isinstance(v, str | int | float) for v in values.values()):
            raise SpaceError(
                f"an architecture must be a JSON object of strings, numbers and booleans, got {text[:80]!r}."
            )
        return cls(values)

    def __getitem__(self, name: str) -> Scalar:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def items(self) -> ItemsView[str, Scalar]:
        """Returns the values by name; a plain view, since activation walks it for every candidate."""
        return self._values.items()

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._values.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Architecture):
            return self._values == other._values
        return NotImplemented

    def __repr__(self) -> str:
        return f"Architecture({self._values!r})"
