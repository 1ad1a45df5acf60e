"""A fit as a page that can be sent on: numbers first, the page from them."""

from estep.reports.make import Report, report
from estep.reports.rows import About

__all__ = ["About", "Report", "report"]
