"""Interactions of users with items: checked arrays, files, and a generated block model."""

from __future__ import annotations

import csv
import gzip
import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

__all__ = ["BLOCK_MODEL", "Interactions", "block_model", "holds_interactions", "read_interactions"]

BLOCK_MODEL: Final = "user-item-blocks"
_TABLES: Final = {".csv": ",", ".tsv": "\t", ".inter": "\t"}
_USER: Final = ("user_id", "user", "userid")
_ITEM: Final = ("item_id", "item", "itemid")
_RATING: Final = ("rating", "score", "weight", "count")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who took what; a pair that occurs several times counts once.

    Args:
        name: where the data are from, a built-in name or a path; for messages.
        users: identifier of the user of each interaction, ``(interactions,)``, any sortable type.
        items: identifier of the item of each interaction, ``(interactions,)``.
        test: whether its source keeps each interaction for the test, ``(interactions,)``; None if it does not say.

    Raises:
        DataError: there are fewer than ten interactions, or the arrays differ in length.
    """

    name: str
    users: npt.NDArray[Any]
    items: npt.NDArray[Any]
    test: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.users.shape != self.items.shape or self.users.ndim != 1:
            raise DataError(
                f"{self.name}: {self.users.shape} users and {self.items.shape} items; expected one of each per row."
            )
        if len(self.users) < 10:
            raise DataError(f"{self.name}: has {len(self.users)} interactions; expected at least 10 to split.")

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all interactions, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for array in (self.users, self.items):
            digest.update("\n".join(map(str, array.tolist())).encode())
            digest.update(b"\0")
        return digest.hexdigest()[:16]


def block_model(
    users: int = 300, items: int = 200, blocks: int = 5, inside: float = 0.12, outside: float = 0.01
) -> Interactions:
    """Returns interactions of a bipartite stochastic block model: users mostly take items of their own block.

    Args:
        users: number of users.
        items: number of items.
        blocks: number of blocks, of equal size.
        inside: probability of an interaction within a block.
        outside: probability of one between blocks.
    """
    rng = np.random.default_rng(16)
    same = (np.arange(users) % blocks)[:, None] == (np.arange(items) % blocks)[None, :]
    taken = rng.random((users, items)) < np.where(same, inside, outside)
    rows, columns = np.nonzero(taken)
    return Interactions(BLOCK_MODEL, rows, columns)


def read_interactions(path: Path, *, min_rating: float | None) -> Interactions:
    """Reads interactions from a file.

    ``.npz`` holds ``users`` and ``items``, and ``ratings`` if there are any; or ``train`` and ``test`` with the columns user,
    item and rating, a split; a pair in both is one of ``train``. ``.csv``, ``.tsv`` and ``.inter`` (also with ``.gz``) have a
    header with
    columns such as ``user_id``, ``item_id`` and ``rating``; types after a colon, as RecBole writes them, are ignored.

    Args:
        path: the file.
        min_rating: keep interactions with at least this rating; None keeps all.

    Raises:
        DataError: the file is missing, unreadable or lacks a column; names it.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; expected interactions as .npz, .csv, .tsv or .inter, or {BLOCK_MODEL!r}."
        )
    users, items, ratings, test = _checked(
        _from_archive(path) if _suffix(path) == ".npz" else _from_table(path), path, rated=min_rating is not None
    )
    if min_rating is not None:
        if ratings is None:
            raise DataError(f"{path}: has no ratings, so 'min_rating: {min_rating:g}' cannot be used; leave it out.")
        kept = ratings >= min_rating
        if not kept.any():
            largest = f"; the largest is {ratings.max():g}" if len(ratings) else ""
            raise DataError(f"{path}: no rating is at least {min_rating:g} ('min_rating'){largest}. Lower it.")
        users, items, test = users[kept], items[kept], None if test is None else test[kept]
    numbers = np.stack([np.unique(users, return_inverse=True)[1], np.unique(items, return_inverse=True)[1]])
    pairs, first = np.unique(numbers, axis=1, return_index=True)
    return Interactions(
        str(path), np.unique(users)[pairs[0]], np.unique(items)[pairs[1]], None if test is None else test[first]
    )


def holds_interactions(path: Path) -> bool:
    """Tells interactions from other files by their table of contents or header."""
    try:
        if _suffix(path) == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {"users", "items"} <= set(archive.files) or {"train", "test"} <= set(archive.files)
        if _suffix(path) not in _TABLES:
            return False
        with _opened(path) as table:
            header = next(csv.reader(table, delimiter=_TABLES[_suffix(path)]), [])
        return _position(header, _USER) is not None and _position(header, _ITEM) is not None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, csv.Error):
        return False


class _Columns(NamedTuple):
    users: npt.NDArray[Any]
    items: npt.NDArray[Any]
    ratings: npt.NDArray[np.floating] | None
    test: npt.NDArray[np.bool_] | None = None


def _checked(columns: _Columns, path: Path, *, rated: bool) -> _Columns:
    """Returns columns of one length, whose numbers are all there; those of ratings matter where they are ``rated`` by."""
    users, items, ratings, _ = columns
    named = {"users": users, "items": items} | ({} if ratings is None else {"ratings": ratings})
    for name, column in named.items():
        if column.ndim != 1 or len(column) != len(users):
            shapes = ", ".join(f"{key!r} {array.shape}" for key, array in named.items())
            raise DataError(
                f"{path}: its columns have the shapes {shapes}; expected one entry of each per interaction."
            )
        if column.dtype.kind != "f" or (name == "ratings" and not rated):
            continue
        missing = np.flatnonzero(~np.isfinite(column))
        if len(missing):
            raise DataError(
                f"{path}: {name!r} has {len(missing)} entries that are not finite, the first at interaction {missing[0]}, "
                "counted from 0. Replace or drop them."
            )
    return columns


def _from_archive(path: Path) -> _Columns:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays: Mapping[str, npt.NDArray[Any]] = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .npz file of plain arrays: {error}.") from error
    if "users" in arrays and "items" in arrays:
        return _Columns(arrays["users"], arrays["items"], _numbers(arrays.get("ratings"), "ratings", path))
    if "train" in arrays and "test" in arrays:
        both = [arrays["train"], arrays["test"]]
        if all(part.ndim == 2 and part.shape[1] >= 2 for part in both) and both[0].shape[1] == both[1].shape[1]:
            rows = np.concatenate(both)
            ratings = _numbers(rows[:, 2] if rows.shape[1] > 2 else None, "train", path)
            return _Columns(rows[:, 0], rows[:, 1], ratings, np.arange(len(rows)) >= len(both[0]))
    raise DataError(
        f"{path}: holds {', '.join(map(repr, arrays)) or 'nothing'}; expected the arrays 'users' and 'items', or "
        "'train' and 'test' with a column for each."
    )


def _numbers(ratings: npt.NDArray[Any] | None, name: str, path: Path) -> npt.NDArray[np.floating] | None:
    if ratings is not None and ratings.dtype.kind not in "fiub":
        raise DataError(f"{path}: {name!r} holds {ratings.dtype}; expected real numbers as ratings.")
    return None if ratings is None else ratings.astype(np.float64)


def _from_table(path: Path) -> _Columns:
    suffix = _suffix(path)
    if suffix not in _TABLES:
        raise DataError(
            f"{path}: unknown kind of file; expected .npz, .csv, .tsv or .inter, the last three also with .gz."
        )
    try:
        with _opened(path) as file:
            rows = list(csv.reader(file, delimiter=_TABLES[suffix]))
    except (OSError, ValueError, EOFError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}.") from error
    header = rows[0] if rows else []
    user, item, rating = (_position(header, names) for names in (_USER, _ITEM, _RATING))
    if user is None or item is None:
        wanted = _USER[0] if user is None else _ITEM[0]
        raise DataError(
            f"{path}: has the columns {', '.join(map(repr, header)) or 'none'}; expected one called {wanted!r}."
        )
    needed = max(user, item, -1 if rating is None else rating)
    body = [row for row in rows[1:] if row]
    short = next((number for number, row in enumerate(body) if len(row) <= needed), None)
    if short is not None:
        raise DataError(f"{path}: row {short + 2} has {len(body[short])} columns; the header has {len(header)}.")
    users, items = (np.array([row[column] for row in body]) for column in (user, item))
    if rating is None:
        return _Columns(users, items, None)
    try:
        return _Columns(users, items, np.array([float(row[rating]) for row in body]))
    except ValueError as error:
        raise DataError(f"{path}: column {header[rating]!r} holds something else than numbers: {error}.") from error


def _position(header: Sequence[str], names: Sequence[str]) -> int | None:
    plain = [column.split(":")[0].strip().lower() for column in header]
    return next((plain.index(name) for name in names if name in plain), None)


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return (suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else suffixes[-1]) if suffixes else ""


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    zipped = path.suffix.lower() == ".gz"
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if zipped
        else path.open(encoding="utf-8", newline="") as file
    ):
        yield file
