"""What is shown: one HTML file that says what a transfer was worth, made from run folders alone."""

from sterna.report.page import write_report

__all__ = ["write_report"]
