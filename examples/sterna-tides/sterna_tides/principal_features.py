"""principal-features: the directions in which the target's rows vary, found without labels."""

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sterna.bench import Bench, Fitted
from sterna.methods.method import Method, Needs


class PrincipalFeatures(Method):
    """A head is fitted on the principal components of the source's features.

    What moves: the source's features. The components are those of all target rows that may be seen, labelled or not,
    so few labels need to settle few weights.
    """

    needs = Needs.TARGET_LABELS
    knowledge = "features"

    components: int = Field(8, ge=1, description="directions that are kept, those of most variance first")

    def run(self, bench: Bench) -> Fitted:
        vectors, problem = bench.vectors(), bench.problem
        axes, centre = principal_axes(vectors.of(problem.target_inputs()), self.components)
        x = (vectors.of(problem.inputs)[problem.train] - centre) @ axes.T
        head, choice = bench.fit_head(x, problem.targets[problem.train])
        return Fitted(vectors.network(head, map=projection(axes, centre)), (choice,))


def principal_axes(x: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors ``(k, d)`` along which rows ``(n, d)`` vary most, and the mean of the rows ``(d,)``."""
    centre = x.mean(0)
    _, spread, axes = np.linalg.svd(x - centre, full_matrices=False)
    return axes[:most][spread[:most] > 1e-9 * spread[0]], centre


def projection(axes: np.ndarray, centre: np.ndarray) -> nn.Linear:
    """The layer that takes rows to their components."""
    layer = nn.Linear(axes.shape[1], axes.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(axes))
        layer.bias.copy_(torch.from_numpy(-axes @ centre))
    return layer
