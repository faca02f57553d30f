"""Kill at every file operation, without a process: each that writes fails from the k-th on, also those that tidy."""

import os
import sys
from contextlib import contextmanager

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.link", "os.symlink"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """Nothing catches it."""


class _Watch:
    def __init__(self):
        self.on, self.limit, self.seen = False, 0, []

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            self.seen.append(event)
            if len(self.seen) > self.limit:
                raise Killed(f"{event} {arguments[0]}")


_watch = _Watch()
_installed = []


@contextmanager
def killed_after(operations):
    """Let so many file operations pass, and no more; gives the watch, whose `seen` holds their names."""
    if not _installed:
        sys.addaudithook(_watch)  # for good: it can only be switched off
        _installed.append(True)
    _watch.on, _watch.limit, _watch.seen = True, operations, []
    try:
        yield _watch
    except Killed:
        pass
    finally:
        _watch.on = False


EVERY = bool(os.environ.get("STERNA_KILLS"))
"""Kill at every operation (`make kills`); else before or after each rename, where what stands there changes."""


def points(watch):
    """After how many operations to kill, alternately just before and just after a rename."""
    if EVERY:
        return range(len(watch.seen))
    renames = [i for i, event in enumerate(watch.seen) if event == "os.rename"]
    return sorted({k + i % 2 for i, k in enumerate(renames)})
