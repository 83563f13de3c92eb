"""The ledger: the durable record of every candidate that a search measured, as an Optuna study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalRedisBackend

from automl.errors import MissingExtraError, RunError
from automl.search.journal import CREATE_TRIAL, JournalFile, read_operations
from automl.search.measurement import Measurement
from automl.search.quiet import quiet_optuna
from automl.search.trial_record import TrialRecords
from automl.space import SearchSpace

__all__ = ["Ledger"]

_ATTRIBUTE: Final = "automl"


class Ledger:
    """Measurements of one search, each one finished Optuna trial that is written in one operation.

    The default storage is a journal file that one process owns while it is open; an append has reached the disk when it
    returns. Any storage URL of Optuna works as well. Optuna's plots and dashboard read both.

    Args:
        storage: path of a journal file, or a URL such as ``sqlite:///trials.db`` or ``redis://localhost``.
        space: the space that was searched.
        objectives: names of the objectives, all minimised.
        study_name: name of the study in the storage.
        read_only: look, but neither lock nor mend nor create anything.

    Attributes:
        notes: what was found and mended on opening, for the user.

    Raises:
        RunError: the storage cannot be opened, is damaged or owned by another process, or the study is another search's.
        MissingExtraError: the database needs a driver that is not installed.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3)})
        >>> with Ledger("sqlite:///:memory:", space=space, objectives=["error"]) as ledger:
        ...     first = ledger.append(Measurement(architecture=space.smallest(), values=(0.1,)))
        ...     ledger.read() == [first]
        True
    """

    def __init__(
        self,
        storage: str | Path,
        *,
        space: SearchSpace,
        objectives: Sequence[str],
        study_name: str = "search",
        read_only: bool = False,
    ) -> None:
        self.objectives: Final = tuple(objectives)
        self.space: Final = space
        self._name: Final = study_name
        self._records: Final = TrialRecords(space)
        self._title: Final = re.sub(r"//[^/@]*@", "//…@", str(storage))  # without a password
        self._path: Final = None if isinstance(storage, str) and "://" in storage else Path(storage)
        self._file: JournalFile | None = None
        self._count: int | None = None
        if self._path is not None:
            self._file = JournalFile(self._path, writable=not read_only)
        self._storage: Final = JournalStorage(self._file) if self._file else _database(str(storage), self._title)
        self.notes: Final[list[str]] = self._file.notes if self._file else []
        try:
            with quiet_optuna():
                self._study: Final = self._open_study(read_only)
        except BaseException:
            self.close()
            raise

    def append(self, measurement: Measurement) -> Measurement:
        """Writes one measurement and returns it with its number.

        Raises:
            RunError: it cannot be written, for example because the disk is full; what was written before is safe.
        """
        if self._count is None:
            self.read()
        assert self._count is not None
        numbered = Measurement(
            architecture=measurement.architecture,
            values=measurement.values,
            violations=measurement.violations,
            details=measurement.details,
            failure=measurement.failure,
            number=self._count,
        )
        trial = self._records.trial(numbered)
        try:
            self._study.add_trial(trial)
        except optuna.exceptions.StorageInternalError as error:
            raise RunError(f"{self._title}: cannot write to the ledger: {error}.") from error
        self._count += 1
        return numbered

    def read(self) -> list[Measurement]:
        """Returns all measurements in the order in which they were written, numbered from 0.

        Raises:
            RunError: a record is damaged or was not written by a ledger of this space; the message says which.
        """
        measurements: list[Measurement] = []
        place = ""
        try:
            if self._path is not None:
                for line, operation in read_operations(self._path, [CREATE_TRIAL]):
                    place = f"{self._path}: line {line}"
                    if operation["study_id"] == self._study._study_id:
                        measurements.append(self._records.from_operation(operation, len(measurements)))
            else:
                for trial in self._study.get_trials(deepcopy=False):
                    place = f"{self._title}: study {self._name!r}: trial {trial.number}"
                    measurements.append(self._records.from_trial(trial))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{place} was not written by this search: {error!r}. The ledger is damaged or of another search; restore "
                "it from a copy, or start the run under another name."
            ) from error
        self._count = len(measurements)
        return measurements

    def close(self) -> None:
        """Gives the storage up; harmless when repeated."""
        if self._file is not None:
            self._file.close()
        if isinstance(self._storage, RDBStorage):
            self._storage.remove_session()
            self._storage.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_study(self, read_only: bool) -> optuna.Study:
        present = [study.study_name for study in self._storage.get_all_studies()]
        if self._name in present:
            study = optuna.load_study(study_name=self._name, storage=self._storage)
        elif read_only:
            raise RunError(f"{self._title}: holds no study {self._name!r}; there are: {', '.join(present) or 'none'}.")
        else:
            study = optuna.create_study(
                study_name=self._name, storage=self._storage, directions=["minimize"] * len(self.objectives)
            )
        identity = {"space": self.space.digest, "objectives": list(self.objectives)}
        found: Any = study.user_attrs.get(_ATTRIBUTE)
        if found is None and not self._has_trials(study) and not read_only:
            # New, or killed while it was being made.
            study.set_metric_names(list(self.objectives))
            study.set_user_attr(_ATTRIBUTE, identity)
            found = identity
        if found != identity or len(study.directions) != len(self.objectives):
            theirs = f"{found['objectives']} over space {found['space']}" if found else "something else"
            raise RunError(
                f"{self._title}: study {self._name!r} is of another search: it records {theirs}, not "
                f"{identity['objectives']} over space {identity['space']}. Start the run under another name."
            )
        return study

    def _has_trials(self, study: optuna.Study) -> bool:
        if self._path is None:
            return bool(study.get_trials(deepcopy=False))
        operations = read_operations(self._path, [CREATE_TRIAL])
        return any(operation.get("study_id") == study._study_id for _, operation in operations)


def _database(url: str, title: str) -> BaseStorage:
    try:
        if url.startswith(("redis://", "rediss://")):
            return JournalStorage(JournalRedisBackend(url))
        return RDBStorage(url)
    except ImportError as error:
        raise MissingExtraError(f"{title}: {error} Its driver is a package of its own.") from error
    except Exception as error:
        # Each database has its own errors for a wrong address, password or file; all of them are the user's to mend.
        raise RunError(f"{title}: cannot open the storage: {type(error).__name__}: {error}") from error
