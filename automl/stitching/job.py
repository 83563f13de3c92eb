"""The job of a stitched network: its space file with anchors that cannot change unnoticed, and settings that suit it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from automl.atomic_write import disk_errors, write_atomically
from automl.candidates_config import STITCH_TRAINING
from automl.errors import ConfigError
from automl.export.manifest import file_digest
from automl.options import parse_options
from automl.run_folder import Run
from automl.stitching.anchor import Anchor, read_anchor
from automl.stitching.loading import member_of, run_around, weights_file
from automl.stitching.space import StitchedSpace

__all__ = ["SpaceFile", "job_settings", "stitched_space"]

SETTINGS: Final[Mapping[str, Any]] = {
    "objectives": ["error", "macs"],
    "strategy": "stitch-joint",
    "warm_start": ["ends"],
    "training": dict(STITCH_TRAINING),
    # Every path is wanted with its error, not only the front.
    "evaluation": {"racing": False},
}
"""What a job of a stitched network sets beside space and data, for a user to overrule."""


@dataclass(frozen=True)
class SpaceFile:
    """A stitched space as a file.

    Attributes:
        text: content of the file.
        anchors: the anchors, each found and pinned.
    """

    text: str
    anchors: tuple[Anchor, ...]

    def name(self) -> str:
        """Returns a name that is the same for the same content."""
        return f"stitched-{hashlib.blake2b(self.text.encode(), digest_size=3).hexdigest()}"

    def write(self, path: Path, *, overwrite: bool) -> None:
        """Writes the file; one with the same content stays.

        Raises:
            ConfigError: there is another file.
        """
        if path.is_file() and not overwrite and path.read_text(encoding="utf-8") != self.text:
            raise ConfigError(
                f"{path}: holds other anchors or options, or an anchor has changed since. Choose another --name, or "
                "--overwrite to start anew."
            )
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, self.text)

    @contextmanager
    def kept_for(self, run: Path, path: Path, *, overwrite: bool) -> Iterator[None]:
        """Writes the file for what follows; should that fail before the run has begun, puts back what was there before.

        Args:
            run: folder of the run.
            path: the file.
            overwrite: as for ``write``.

        Raises:
            ConfigError: there is another file.
        """
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        self.write(path, overwrite=overwrite)
        try:
            yield
        except BaseException:
            if not (run / "job.yaml").is_file():
                path.unlink() if before is None else write_atomically(path, before)
            raise


def stitched_space(
    anchors: Sequence[str],
    options: Mapping[str, Any],
    find_run: Callable[[str], Path],
    *,
    cuts: Sequence[str] = (),
) -> SpaceFile:
    """Returns the file of a stitched space, with the anchors found and pinned by the digest of their weights.

    Args:
        anchors: in their short forms; see ``read_anchor``.
        options: fields of ``StitchedSpace`` beside the anchors.
        find_run: returns the folder of a run by its name or path.
        cuts: submodules to cut modules of the user's behind.

    Raises:
        UserError: an anchor is malformed or does not exist, or an option is wrong.
    """
    if len(anchors) < 2:
        raise ConfigError(f"stitching needs at least two anchors, got {len(anchors)}.")
    pinned = tuple(_pinned(text, find_run, cuts) for text in anchors)
    for number, anchor in enumerate(pinned):
        if anchor in pinned[:number]:
            raise ConfigError(
                f"{anchors[number]!r} is the same network as {anchors[pinned.index(anchor)]!r}; name others."
            )
    content = {
        "kind": "stitched",
        "space": "stitched",
        **options,
        "anchors": [anchor.model_dump(mode="json", exclude_defaults=True) for anchor in pinned],
    }
    parse_options(StitchedSpace, content, where="stitch")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return SpaceFile(text, pinned)


def _pinned(text: str, find_run: Callable[[str], Path], cuts: Sequence[str]) -> Anchor:
    try:
        values = read_anchor(text)
    except ValueError as error:
        raise ConfigError(str(error) + ".") from None
    anchor = parse_options(Anchor, values, where=text)
    if anchor.run is not None:
        folder = find_run(anchor.run)
        member = member_of(folder, anchor.member)["id"]
        anchor = anchor.model_copy(update={"run": str(folder), "member": member})
    if anchor.module is not None and cuts:
        anchor = anchor.model_copy(update={"cuts": list(cuts)})
    return anchor.model_copy(update={"sha256": file_digest(weights_file(anchor))})


def job_settings(anchors: Sequence[Anchor]) -> dict[str, Any]:
    """Returns settings for the job of a stitched network: data, split and seed are those of the first anchor from a run."""
    settings: dict[str, Any] = json.loads(json.dumps(SETTINGS))
    for anchor in anchors:
        folder = Path(anchor.run) if anchor.run is not None else run_around(anchor)
        if folder is not None:
            job = Run.open(folder).job
            return {
                **settings,
                "task": job.task,
                "data": job.data,
                "task_options": job.task_options,
                "seed": job.seed,
            }
    return settings
