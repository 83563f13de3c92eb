"""The movie graph of IMDB, made of the table from which HAN and MAGNN make theirs.

A movie is of the class that stands first among its genres: action, comedy or drama; movies of none of them, or without a
director or a first actor, are left out. Its features are the words of its plot keywords that at least two movies have;
directors and actors have none.

Source:
    Fu et al. 2020 (MAGNN), arXiv:2002.01680, section 5.1.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.hetero.schema import Relation
from automl_graph.hetero.typed_data import NodeType, TypedData

__all__ = ["holds_movies", "load_movies"]

_CLASSES: Final = ("Action", "Comedy", "Drama")
_ACTORS: Final = ("actor_1_name", "actor_2_name", "actor_3_name")
_COLUMNS: Final = ("genres", "plot_keywords", "director_name", *_ACTORS)
_WORD: Final = re.compile(r"\w\w+")
_FEWEST_MOVIES: Final = 2


def holds_movies(path: Path) -> bool:
    """Tells the table of movies from others by its line of headings."""
    if not path.is_file() or not path.name.lower().endswith((".csv", ".csv.gz")):
        return False
    try:
        with _opened(path) as file:
            return set(_COLUMNS) <= set(next(csv.reader(file), []))
    except (OSError, ValueError, EOFError, csv.Error):
        return False


def load_movies(path: Path) -> TypedData:
    """Reads a table with a row for each movie, ``.csv`` or ``.csv.gz``; see the module for what becomes of it.

    Raises:
        DataError: the file is missing or unreadable, lacks a column or has no movie to learn from; names it.
    """
    try:
        with _opened(path) as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, EOFError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table of movies: {error}.") from error
    missing = [column for column in _COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]!r}; expected a table of movies with {', '.join(_COLUMNS)}.")
    classes = [next((c for c in (row["genres"] or "").split("|") if c in _CLASSES), None) for row in rows]
    movies = [
        (row, _CLASSES.index(found))
        for row, found in zip(rows, classes, strict=True)
        if found is not None and row["director_name"] and row[_ACTORS[0]]
    ]
    if not movies:
        raise DataError(f"{path}: no movie has a director, an actor and one of the genres {', '.join(_CLASSES)}.")
    directors, directed = _people([[row["director_name"]] for row, _ in movies])
    actors, acted = _people([[row[column] for column in _ACTORS if row[column]] for row, _ in movies])
    return TypedData(
        name=str(path),
        types={
            "movie": NodeType(len(movies), _words([row["plot_keywords"] or "" for row, _ in movies], path)),
            "director": NodeType(directors),
            "actor": NodeType(actors),
        },
        relations=(Relation("directed_by", "movie", "director"), Relation("starring", "movie", "actor")),
        edges=(directed, acted),
        y=torch.tensor([label for _, label in movies]),
        class_names=tuple(name.lower() for name in _CLASSES),
    )


def _people(names: Sequence[Sequence[str]]) -> tuple[int, Tensor]:
    """How many different names there are, and the edges of movies with them, each once."""
    number = {name: i for i, name in enumerate(sorted({name for of_movie in names for name in of_movie}))}
    pairs = [(movie, number[name]) for movie, of_movie in enumerate(names) for name in dict.fromkeys(of_movie)]
    return len(number), torch.tensor(pairs).T.contiguous()


def _words(texts: Sequence[str], path: Path) -> Tensor:
    """Counts of words, ``(movies, words)``."""
    found = [Counter(_WORD.findall(text.lower())) for text in texts]
    movies = Counter(word for counts in found for word in counts)
    column = {word: i for i, word in enumerate(sorted(w for w, count in movies.items() if count >= _FEWEST_MOVIES))}
    if not column:
        raise DataError(f"{path}: no word of 'plot_keywords' occurs in {_FEWEST_MOVIES} movies.")
    x = torch.zeros(len(texts), len(column))
    for row, counts in enumerate(found):
        for word, count in counts.items():
            if word in column:
                x[row, column[word]] = count
    return x


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix.lower() == ".gz"
        else path.open(encoding="utf-8", newline="") as file
    ):
        yield file
