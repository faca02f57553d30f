"""pooled: source and target rows together, as if they were one data set."""

from __future__ import annotations

from dataclasses import replace

from sterna.bench import Bench, Fitted
from sterna.methods.method import Method, Needs


class Pooled(Method):
    """The source's labelled rows and the target's are put together and learnt from as one data set.

    What moves: the source's examples, all of them and unchanged. With a source model a linear head is fitted on its
    features; without one, images train a small network, and tables, texts and audio the best cheap learner. It is
    the simplest use of a source's data, and often hard to beat: whatever weighs, selects or maps the source's rows
    should gain something over it.
    """

    needs = Needs.SOURCE_DATA | Needs.SAME_TASK | Needs.SAME_INPUTS | Needs.TARGET_LABELS

    def run(self, bench: Bench) -> Fitted:
        found = bench.on(bench.problem.pooled()).learn()
        count = len(bench.problem.target)
        return found if found.told is None else replace(found, told=found.told[:count], told_source=found.told[count:])
