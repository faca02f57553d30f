"""The application with all its commands: importing a command's file registers it, and the order is that of the help."""

from __future__ import annotations

from sterna.cli import demo, doctor, fuse, methods, predict, rank, report, rules, score, shift, sources, transfer  # noqa: F401
from sterna.cli.app import app as app
