"""Reports: the front as a table and a picture, and the page that shows a whole run. Modules are imported on first use."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.report.record import RunRecord, read_run
    from automl.report.table import front_table
    from automl.report.write import write_report

__all__ = ["RunRecord", "front_table", "read_run", "write_report"]

__getattr__ = lazy_names(
    __name__,
    {
        "RunRecord": "automl.report.record",
        "front_table": "automl.report.table",
        "read_run": "automl.report.record",
        "write_report": "automl.report.write",
    },
)
