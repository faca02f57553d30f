"""deep-coral: a network is trained so that the covariances of its features agree in both domains."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from sterna.bench.adapting import DomainTerm
from sterna.methods.adapting import Adapting


class CovarianceDistance(DomainTerm):
    """:func:`covariance_distance` as a term of a loss."""

    def forward(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        return covariance_distance(source, target)


class DeepCoral(Adapting):
    """A network is trained on the source's labels while the covariances of its features are brought together.

    What moves: the source's labels, and the source's body where there is one. The loss of a step is
    loss(head(f(x_s)), y_s) + w ‖C_s − C_t‖²_F / (4 d²), C the covariances of the d features f of a batch of each
    domain (the paper takes the outputs of the last layer). Labelled target rows, where there are some, count as much
    as the source's. Nothing is chosen by labels: fixed settings, the last epoch. Batch normalisation takes the domains
    one after the other and keeps the target's statistics.

    When to use it: as the cheapest and steadiest of the deep methods; it asks for no second network and no kernel.
    When it hurts: a shift that is more than covariance leaves it with little to do; with classes in other shares than
    in the source, features that agree in covariance are wrong.

    References
    ----------
    Sun and Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV workshops 2016.
    """

    term = CovarianceDistance

    weight: float = Field(1.0, ge=0, description="factor on the distance of the covariances")


def covariance_distance(source: Tensor, target: Tensor) -> Tensor:
    """‖C_s − C_t‖²_F / (4 d²) of features ``(n, d)`` and ``(m, d)``, n and m from 2 on."""
    return (source.T.cov() - target.T.cov()).square().sum() / (4 * source.shape[1] ** 2)
