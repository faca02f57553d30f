"""Which controls run, and which one the headline gain is against."""

import math

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, transfer
from sterna.experiment.controls import headline_control


def test_validation_chooses_the_headline_control_where_the_test_rows_would_choose_otherwise(monkeypatch):
    """scratch wins on the validation rows, target-only on the test rows; the gain is against scratch."""
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    labels = np.where(x[:, 0] > 0, "yes", "no")
    given = {"train": range(150), "validation": range(150, 250), "test": range(250, 400)}
    right = {"scratch": (0.9, 0.5), "target-only": (0.6, 0.95)}  # shares of right answers: validation, test

    from sterna.experiment import units
    from sterna.training.trainer import Trainer

    current = {}
    run = units.seeded

    def remember(method, problem, trainer):
        current["method"] = method.id()
        return run(method, problem, trainer)

    outputs = Trainer.outputs

    def acting(self, network, inputs, rows=None):
        found = outputs(self, network, inputs, rows)
        if current["method"] not in right or len(found) not in (100, 150):
            return found
        share = right[current["method"]][0 if len(found) == 100 else 1]
        truth = labels[150:250] if len(found) == 100 else labels[250:]
        yes = (truth == "yes") ^ (np.arange(len(found)) >= share * len(found))
        return np.stack([np.where(yes, 0.0, 5.0), np.where(yes, 5.0, 0.0)], axis=1)

    monkeypatch.setattr(units, "seeded", remember)
    monkeypatch.setattr(Trainer, "outputs", acting)
    from sterna import load_source
    from sterna.preparations.table import TablePreparation

    domain = Domain.from_arrays(x, labels, splits=given)
    from torch import nn

    preparation = TablePreparation().fit(domain.inputs.take(np.arange(150)))
    source = load_source(nn.Sequential(nn.Linear(preparation.width, 8), nn.ReLU()), preparation=preparation)
    result = transfer(source, domain, control=["target-only", "scratch"], epochs=1, seeds=1)
    assert result.record["validation"]["scratch"] > result.record["validation"]["target-only"]
    assert result.controls["scratch"]["accuracy"].value < result.controls["target-only"]["accuracy"].value
    assert result.gain.control == "scratch"
    assert result.record["control_selected_by"] == "validation: 100 labelled target examples"
    assert set(result.gains) == {"target-only", "scratch"}


def test_the_ablation_is_compared_by_a_network_that_has_not_seen_the_validation_labels(source, digits, monkeypatch):
    from sterna.experiment import units
    from sterna.training.trainer import Trainer

    fitted, run = [], units.seeded
    monkeypatch.setattr(units, "seeded", lambda *given: fitted.append(run(*given)) or fitted[-1])
    domain = digits(120, splits=(60, 20))
    result = transfer(
        source, domain, method="knowledge-propagation", settings={"beta": 0.5}, control=["ablation", "target-only"],
        metric="accuracy", epochs=2, seeds=1,
    )  # fmt: skip
    own, rows = fitted[1], np.arange(60, 80)
    assert own.held_out is not None
    right = {}
    for name in ("held_out", "network"):
        outputs = Trainer(device="cpu").outputs(getattr(own, name), domain.inputs, rows)
        found = np.array(result.network.task.classes)[outputs.argmax(1)]
        right[name] = (found == np.asarray(domain.labels)[rows]).mean()
    assert right["held_out"] != right["network"]  # so that the two can be told apart
    assert result.record["validation"]["ablation"] == pytest.approx(right["held_out"])


def test_without_validation_the_strongest_kind_comes_first():
    assert headline_control(["scratch", "source-only", "target-only"], {}, 0)[0] == "target-only"
    assert headline_control(["scratch", "source-only"], {"scratch": math.nan}, 0)[0] == "source-only"
    assert headline_control(["scratch"], {"scratch": 0.1}, 9) == ("scratch", "the only control")
    assert headline_control(["only-once", "ablation"], {}, 0)[0] == "only-once"


def test_the_gain_is_what_a_bootstrap_of_the_predictions_gives(source, digits):
    """Recomputed from predictions.parquet alone: paired, stratified by class, by another program."""
    result = transfer(
        source, digits(600), settings={"blocks": "last", "penalty": 0.1}, control="scratch", epochs=2, seeds=1
    )
    table = pd.read_parquet(result.folder.path / "predictions.parquet")
    ours = (table["answer"] == table["label"]).to_numpy(float)
    theirs = (table["control_scratch"] == table["label"]).to_numpy(float)
    gain = result.gain
    assert gain.metric == "accuracy"
    assert gain.value == pytest.approx(ours.mean() - theirs.mean(), abs=1e-12)
    random = np.random.default_rng(123)
    groups = [np.flatnonzero(table["label"] == c) for c in table["label"].unique()]
    draws = []
    for _ in range(4000):
        rows = np.concatenate([random.choice(g, len(g)) for g in groups])
        draws.append((ours - theirs)[rows].mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    # Monte-Carlo error of a 2.5 % quantile of 1000 resamples: about sqrt(.025 * .975 / 1000) / density.
    error = 4 * np.std(draws) * np.sqrt(0.025 * 0.975 / 1000) / 0.058
    assert gain.low == pytest.approx(low, abs=error)
    assert gain.high == pytest.approx(high, abs=error)
    expected = "helps" if gain.low > 0 else "hurts" if gain.high < 0 else "unclear"
    assert gain.verdict == expected


def test_a_control_that_is_none_is_refused(digits):
    with pytest.raises(RequestError, match="control 'fine-tuning' is not one of the controls: .*scratch"):
        transfer(None, digits(100), method="scratch", control="fine-tuning", seeds=1)


def test_the_method_itself_is_no_control_and_none_leaves_no_gain(digits):
    result = transfer(None, digits(100), method="scratch", control=["none"], epochs=1, seeds=1)
    assert result.gain is None and result.controls == {}
