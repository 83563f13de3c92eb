"""The kinds of candidate by the names that jobs and members of a front use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from automl.candidates_config import KindName
from automl.errors import RunError
from automl.job.candidates.finalists import Finalists
from automl.job.candidates.kind import CandidateKind, Network
from automl.job.candidates.stitches import Stitches
from automl.job.candidates.subnets import Subnets
from automl.job.candidates.tickets import Tickets
from automl.job.opened import OpenRun

__all__ = ["KINDS", "rebuild_member"]

KINDS: Final[Mapping[KindName, CandidateKind]] = {
    "subnets": Subnets(),
    "stitches": Stitches(),
    "tickets": Tickets(),
    "finalists": Finalists(),
}


def rebuild_member(opened: OpenRun, member: Mapping[str, Any]) -> Network:
    """Returns the network of a member of a finished front, whatever its kind.

    Raises:
        RunError: the front is of a version with further kinds, or a file of the run is missing or was changed.
    """
    for kind in KINDS.values():
        if kind.name == member["kind"]:
            return kind.rebuild(opened, member)
    raise RunError(
        f"{opened.run.path('front.json')}: {member['id']} is a {member['kind']!r}, which this version does not know."
    )
