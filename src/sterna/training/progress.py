"""One progress bar, on standard error."""

from __future__ import annotations

import re
import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress


def numbers_aside(sentence: str) -> str:
    """What a sentence says but for its numbers."""
    return re.sub(r"\d+(?:[.,]\d+)*", "0", sentence)


class Progress:
    """A rich bar that shows one piece of work at a time; silent when `quiet`.

    Parameters
    ----------
    quiet
        Show nothing.
    """

    def __init__(self, quiet: bool = True) -> None:
        self.quiet = quiet
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._said: set[str] = set()

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begin a piece of work of `total` steps."""
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total, completed=done)

    def advance(self, steps: int = 1, what: str | None = None) -> None:
        """Some steps are done; `what` changes the words beside the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=steps, description=what)

    def meanwhile(self, sentence: str) -> None:
        """Print above the bar what will be known better later; nothing where no bar is seen."""
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False, markup=False)

    def say(self, sentence: str) -> None:
        """Print a sentence the user should know, above the bar; once, where only its numbers differ between draws."""
        said = numbers_aside(sentence)
        if self.quiet or said in self._said:
            return
        self._said.add(said)
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False, markup=False)
        else:
            print(sentence, file=sys.stderr)
