"""The command line: one file for each command; heavy libraries are imported when a command runs."""

from __future__ import annotations

import codecs
import io
import os
import sys
import warnings
from typing import Any


def main() -> None:
    """Run ``sterna``: one sentence for an error, a traceback only with ``--debug``."""
    from sterna.errors import SternaError

    debug = "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        can_say_all(stream)
    if not debug:
        warnings.simplefilter("ignore")  # what a library warns of is for its callers; Sterna's own words are notes
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # worker processes, too
    try:
        from sterna.cli.commands import app

        code = app(sys.argv[1:] or ["--help"], prog_name="sterna", standalone_mode=False)
        sys.stdout.flush()
    except SternaError as error:
        if debug:
            raise
        from sterna.cli.wording import in_terminal

        _fail(in_terminal(str(error)), error.exit_code)
    except (KeyboardInterrupt, EOFError):
        _fail("Stopped.", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "format_message"):  # of click, or of the copy of it in typer
            from sterna.cli.usage import sentence

            _fail(sentence(error, sys.argv[1:]), 2)
        if debug:
            raise
        if isinstance(error, OSError) and error.filename is not None:  # a name that is too long, say
            name = repr(str(error.filename)[:200])
            _fail(f"{name} cannot be used: {error.strerror}; check the name and its permissions, or give another.", 1)
        _fail(f"Unexpected {type(error).__name__}: {_one_line(error)} (--debug shows where).", 1)
    else:
        if code == INTERRUPTED:
            _fail("Stopped.", 1)
        sys.exit(code if isinstance(code, int) else 0)


def can_say_all(stream: Any) -> None:
    """Let no letter end a command: without a locale (LANG=C) all is UTF-8, and what an encoding lacks is escaped."""
    if isinstance(stream, io.TextIOWrapper):
        plain = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


INTERRUPTED = 130
"""What typer makes of Ctrl-C."""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _fail(sentence: str, code: int) -> None:
    try:
        print(f"Error: {sentence}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    # Ctrl-C inside an exec() of a library leaves a mark by which CPython ends with the signal whatever the exit code
    # is; the next exec() takes it away.
    exec("")
    sys.exit(code)
