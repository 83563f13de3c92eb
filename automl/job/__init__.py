"""Jobs: a resolved configuration run to a front, and what is done with it afterwards. Imports torch on first use."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.job.opened import load_supernet, make_evaluator, open_ledger
    from automl.job.parts import JobParts, resolve_parts
    from automl.job.pruning import PruneRequest, prune_picked
    from automl.job.rank_check import check_ranks
    from automl.job.run import run_job
    from automl.job.sorted_front import measure_sorted
    from automl.job.ticket_export import export_pruned, export_ticket
    from automl.job.winners import export_picked, measure_picked, pick

__all__ = [
    "JobParts",
    "PruneRequest",
    "check_ranks",
    "export_picked",
    "export_pruned",
    "export_ticket",
    "load_supernet",
    "make_evaluator",
    "measure_picked",
    "measure_sorted",
    "open_ledger",
    "pick",
    "prune_picked",
    "resolve_parts",
    "run_job",
]

__getattr__ = lazy_names(
    __name__,
    {
        "JobParts": "automl.job.parts",
        "resolve_parts": "automl.job.parts",
        "PruneRequest": "automl.job.pruning",
        "export_pruned": "automl.job.ticket_export",
        "export_ticket": "automl.job.ticket_export",
        "prune_picked": "automl.job.pruning",
        "load_supernet": "automl.job.opened",
        "make_evaluator": "automl.job.opened",
        "open_ledger": "automl.job.opened",
        "run_job": "automl.job.run",
        "check_ranks": "automl.job.rank_check",
        "measure_sorted": "automl.job.sorted_front",
        "export_picked": "automl.job.winners",
        "measure_picked": "automl.job.winners",
        "pick": "automl.job.winners",
    },
)
