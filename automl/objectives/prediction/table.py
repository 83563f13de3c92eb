"""The block table on disk: what each part takes in one measuring context, and the correction of their sum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from automl.atomic_write import disk_errors, write_atomically
from automl.errors import RunError
from automl.objectives.prediction.correction import Correction

__all__ = ["BlockTable", "Entry"]

_FORMAT: Final = 1


@dataclass(frozen=True)
class Entry:
    """What one part takes.

    Attributes:
        ms: time in milliseconds when little disturbs it: the lower quartile of its visits.
        samples: number of timed runs; 0 where the time was fitted to whole networks.
        text: the part as people know it.
    """

    ms: float
    samples: int
    text: str


class BlockTable:
    """Times of parts for one space, one input and one measuring context; other contexts are other files.

    What has been measured is never replaced: two processes that fill one table at the same time agree on whoever wrote
    first, and a search that goes on sees the numbers that it saw before.

    Args:
        folder: where tables are kept.
        space: digest of the search space.
        inputs: signature of the network's inputs.
        context: runtime, threads, batch, dtype, processor, versions.

    Attributes:
        path: the file.
        context: the measuring context.
        entries: times of parts by key.
        networks: milliseconds of whole networks by the id of their architecture, where parts are fitted to them.
        correction: from the sum of parts to a network; None until whole networks have been measured.

    Raises:
        RunError: the file is damaged or of a later version; names it.
    """

    def __init__(self, folder: Path, *, space: str, inputs: str, context: Mapping[str, Any]) -> None:
        self.context: Final = dict(context)
        self._identity: Final = {"space": space, "inputs": inputs, "context": self.context}
        text = json.dumps(self._identity, sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        self.path: Final = folder / "latency" / f"{context.get('runtime', 'table')}-{digest}.json"
        self.entries: Final[dict[str, Entry]] = {}
        self.networks: Final[dict[str, float]] = {}
        self.correction: Correction | None = None
        self._read()

    def add(
        self,
        entries: Mapping[str, Entry],
        correction: Correction | None = None,
        networks: Mapping[str, float] | None = None,
    ) -> None:
        """Adds what is not there yet and writes the file; afterwards the table is what the file says.

        Raises:
            RunError: the folder cannot be written, or the file is damaged.
        """
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_suffix(".lock"))
            with lock:
                self._read()
                for key, entry in entries.items():
                    self.entries.setdefault(key, entry)
                for name, ms in (networks or {}).items():
                    self.networks.setdefault(name, ms)
                self.correction = self.correction or correction
                content = {
                    "format": _FORMAT,
                    **self._identity,
                    "correction": None if self.correction is None else asdict(self.correction),
                    "networks": dict(sorted(self.networks.items())),
                    "blocks": {key: asdict(entry) for key, entry in sorted(self.entries.items())},
                }
                write_atomically(self.path, json.dumps(content, indent=1))

    def _read(self) -> None:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}, expected {_FORMAT}")
            self.entries.update({key: Entry(**entry) for key, entry in content["blocks"].items()})
            self.networks.update(content["networks"])
            self.correction = None if content["correction"] is None else Correction(**content["correction"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{self.path}: damaged latency table ({error}); remove the file, and the blocks are timed again."
            ) from error
