"""constant: one prediction for every row."""

from __future__ import annotations

import numpy as np

from sterna.bench import Bench, Fitted
from sterna.methods.method import Method, Needs
from sterna.networks.freezing import freeze
from sterna.training.linear import as_layer, fit_linear


class Constant(Method):
    """One prediction for every row, whatever is in it: what the labels alone say.

    It is the class shares of the training rows (of the classes weighted as all methods weigh them), the mean of a
    number, or how often each label applies. Without target labels the source's labels take their place. What does not
    gain over it has learnt nothing from the inputs.
    """

    needs = Needs.LABELS

    def run(self, bench: Bench) -> Fitted:
        problem = bench.problem if len(bench.problem.train) else bench.problem.on_source()
        rows, task = problem.train, problem.task
        network = bench.fresh(problem.inputs.take(rows))
        width = network.body.width
        blank, weights = np.zeros((len(rows), 1)), problem.row_weights()[rows]
        best = fit_linear(lambda: iter([(0, blank)]), problem.targets[rows], task, weights, penalty=1.0)
        solution = np.column_stack([np.zeros((task.outputs, width)), best[:, -1]])
        network.head = as_layer(solution, np.zeros(width), np.ones(width), task)
        freeze(network)
        return Fitted(network)
