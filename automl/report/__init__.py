"""Reports: the front as a table and a picture, and the page that shows a whole run."""

from automl.report.table import front_table
from automl.report.write import write_report

__all__ = ["front_table", "write_report"]
