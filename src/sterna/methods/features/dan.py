"""dan: a network is trained so that the distributions of its features agree in both domains, by kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from sterna.bench.adapting import DomainTerm
from sterna.methods.adapting import Adapting

BANDWIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Multiples of the mean squared distance."""


class KernelDistance(DomainTerm):
    """:func:`squared_mmd` as a term of a loss."""

    def forward(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        return squared_mmd(source, target)


class Dan(Adapting):
    """A network is trained on the source's labels while a kernel distance between its features is made small.

    What moves: the source's labels, and the source's body where there is one. The loss of a step is
    loss(head(f(x_s)), y_s) + w MMD²(f(x_s), f(x_t)), the squared maximum mean discrepancy of a batch of each domain
    under the mean of five Gaussian kernels, whose bandwidths are 1/8, 1/4, 1/2, 1 and 2 times the mean squared
    distance of the batch; it is zero on average only where the distributions agree. The estimate is the unbiased
    one over all pairs (the paper sums it over several of the last layers, learns the weights of the kernels, and
    estimates in linear time). Labelled target rows, where there are some, count as much as the source's. Nothing is
    chosen by labels: fixed settings, the last epoch. Batch normalisation takes the domains one after the other and
    keeps the target's statistics.

    When to use it: a shift that is more than means and covariances. When it hurts: classes in other shares than in the
    source, for then equal distributions of features are wrong ones.

    References
    ----------
    Long, Cao, Wang and Jordan, "Learning transferable features with deep adaptation networks", ICML 2015. Gretton,
    Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", JMLR 2012.
    """

    term = KernelDistance

    weight: float = Field(1.0, ge=0, description="factor on the squared maximum mean discrepancy")


def squared_mmd(source: Tensor, target: Tensor, bandwidths: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Squared maximum mean discrepancy under the mean of several Gaussian kernels, the unbiased estimate.

    With k(x, y) = mean over b of exp(−‖x − y‖² / (b · D)) and D the mean squared distance between different rows of
    both samples (through which no gradient flows):
    mean of k over pairs of different source rows + the same of target rows − 2 · mean of k over source × target.
    It may be a little below zero.

    Parameters
    ----------
    source, target
        Features ``(n, d)`` and ``(m, d)``, n and m from 2 on.
    bandwidths
        The b.
    """
    n, m = len(source), len(target)
    both = torch.cat([source, target])
    distances = (both[:, None] - both[None]).square().sum(2)
    mean = distances.detach().sum() / ((n + m) * (n + m - 1))
    kernel = torch.stack([torch.exp(-distances / (b * mean.clamp_min(1e-12))) for b in bandwidths]).mean(0)
    kernel = kernel - torch.diag(kernel.diagonal())
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()
