"""A fitted scikit-learn estimator as a head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.tasks import task_from_state
from sterna.tasks.task import Task

_ALLOWED = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    }
)
"""Types a file may hold beside those that skops trusts: the inner parts of the estimators that Sterna fits."""


class EstimatorHead(nn.Module):
    """A fitted estimator behind the interface of a torch head; it is never trained by gradients.

    Parameters
    ----------
    estimator
        Fitted on encoded targets: class codes 0 … k − 1, label columns, or numbers in the user's units.
    task
        What it answers.
    """

    def __init__(self, estimator: Any, task: Task) -> None:
        super().__init__()
        self.estimator = estimator
        self.task = task

    def forward(self, inputs: Tensor | list[str]) -> Tensor:
        """Answer.

        Parameters
        ----------
        inputs
            Features ``(n, d)``, or n texts.

        Returns
        -------
        Tensor, shape (n, o)
            Logarithms of the probabilities in the order of the codes (a class that was not among the training rows gets
            the smallest), log-odds of each label, or predictions; float64.
        """
        x = inputs.detach().cpu().numpy() if isinstance(inputs, Tensor) else list(inputs)
        outputs = torch.from_numpy(self.task.from_estimator(self.estimator, x))
        return outputs.to(inputs.device) if isinstance(inputs, Tensor) else outputs

    def save(self, folder: str | Path) -> None:
        """Write the estimator (skops) and its task (JSON) into `folder`."""
        from skops.io import dump

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dump(self.estimator, folder / "estimator.skops")
        (folder / "task.json").write_text(json.dumps(self.task.state(), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> EstimatorHead:
        """Read what `save` wrote; nothing is unpickled.

        Raises
        ------
        RequestError
            If a file is missing or damaged, or holds a type that is not on the list of known ones.
        """
        from skops.io import get_untrusted_types, load

        path = Path(folder) / "estimator.skops"
        try:
            foreign = sorted(set(get_untrusted_types(file=path)) - _ALLOWED)
            if not foreign:
                estimator = load(path, trusted=sorted(_ALLOWED))
            task = task_from_state(json.loads((Path(folder) / "task.json").read_text(encoding="utf-8")))
        except Exception as error:  # a cut or changed file makes zipfile, json and skops raise many types
            first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise RequestError(f"{str(path)!r} is missing or damaged ({first}); run the transfer again.") from error
        if foreign:
            raise RequestError(
                f"{str(path)!r} holds types that Sterna does not load ({', '.join(foreign[:3])}), so it was refused; "
                "expected an estimator that Sterna saved."
            )
        return cls(estimator, task)
