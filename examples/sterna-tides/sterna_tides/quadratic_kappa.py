"""quadratic_kappa: agreement beyond chance, where a far mistake counts more than a near one."""

import numpy as np

from sterna.tasks.metric import Metric
from sterna.tasks.statistics import Statistics


def quadratic_kappa(rows: Statistics, weights: np.ndarray) -> np.ndarray:
    """1 − the mean squared distance of answers from labels over that of unrelated ones (Cohen 1968).

    Parameters
    ----------
    rows
        With the columns ``code`` and ``answer``, ``(n,)`` each.
    weights
        How often each resample drew each row, ``(b, n)``.
    """
    codes, answers = rows["code"].astype(float), rows["answer"].astype(float)
    shares = weights / weights.sum(axis=1, keepdims=True)
    apart = shares @ (codes - answers) ** 2
    unrelated = shares @ codes**2 - 2 * (shares @ codes) * (shares @ answers) + shares @ answers**2
    return 1 - np.divide(apart, unrelated, out=np.zeros_like(apart), where=unrelated > 0)


QUADRATIC_KAPPA = Metric(quadratic_kappa, tasks=("grades", "classification"))
