"""The command line: one file for each command; heavy libraries are imported when a command runs."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run ``sterna``: one sentence for an error, a traceback only with ``--debug``."""
    from sterna.errors import SternaError

    debug = "--debug" in sys.argv
    try:
        from sterna.cli.app import app

        app()
    except SternaError as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("Stopped; what was finished is kept: repeat the command with --resume to go on.", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        _fail(f"Unexpected {type(error).__name__}: {error} (--debug shows where).", 1)


def _fail(sentence: str, code: int) -> None:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(code)
