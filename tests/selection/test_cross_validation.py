"""What is chosen by rows that are held out in turn, against scikit-learn."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import sterna
from sterna.selection import cross_validation
from sterna.selection.cross_validation import (
    PENALTIES,
    SAMPLE,
    Trial,
    choose_penalty,
    folds_of,
    sample_of,
)
from sterna.tasks.classification import Classification
from sterna.tasks.regression import Regression
from sterna.training.linear import fit_layer


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_penalty_is_strong_for_noise_and_weak_for_signal(random):
    noise, y = random.normal(size=(100, 30)), random.integers(0, 2, 100)
    signal = noise.copy()
    signal[:, 0] = y * 4 - 2
    task, weights = Classification(("a", "b")), np.ones(100)
    strong = choose_penalty(noise, y, task, weights, seed=0)
    weak = choose_penalty(signal, y, task, weights, seed=0)
    assert strong.penalty > weak.penalty
    assert strong.loss == pytest.approx(np.log(2), abs=0.1)
    assert weak.loss < 0.1


def test_lent_rows_are_learnt_from_in_every_fold_and_never_held_out(random):
    x = random.normal(size=(50, 3))
    y = (x[:, 0] + random.normal(size=50) > 0).astype(int)
    task = Classification(("a", "b"))
    found = choose_penalty(x, y, task, np.ones(50), seed=0, lent=20)
    assert found.outputs is not None and found.outputs.shape == (30, 2) and len(found.losses) == 30
    for train, held in folds_of(y[:30], task, 5, 0):
        rows = np.concatenate([train, np.arange(30, 50)])
        model = LogisticRegression(C=2 / (len(rows) * found.penalty), tol=1e-8).fit(x[rows], y[rows])
        ours = task.probabilities(found.outputs[held] - found.offset)[:, 1]
        assert ours == pytest.approx(model.predict_proba(x[held])[:, 1], abs=1e-3)


def test_folds_hold_every_row_out_once_and_every_class_in_training():
    y = np.array([0] * 20 + [1] * 3)
    folds = folds_of(y, Classification(("a", "b")), 5, seed=0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(23))
    assert all(set(y[train]) == {0, 1} for train, _ in folds)


def test_folds_keep_units_whole_and_give_each_its_share_of_every_class(random):
    units = np.repeat(np.arange(40), random.integers(1, 8, 40))
    y = (random.random(40) < 0.4)[units].astype(int)  # a unit is of one class, as a patient is
    folds = folds_of(y, Classification(("a", "b")), 5, seed=0, units=units)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(y))) and len(folds) == 5
    for train, held in folds:
        assert not set(units[train]) & set(units[held]) and len(train) + len(held) == len(y)
        assert np.abs(np.bincount(y[held]) - np.bincount(y) / 5).max() <= 3  # a unit has up to seven rows


def test_folds_of_few_units(random):
    task, y = Classification(("a", "b")), np.array([0] * 9 + [1] * 9)
    three = folds_of(y, task, 5, 0, units=np.repeat([0, 1, 2, 3, 4, 5], 3))
    assert [len(held) for _, held in three] == [6, 6, 6]  # three units of each class
    two = folds_of(y, task, 5, 0, units=np.repeat([0, 1], 9))  # each class is one unit: one is held out at a time
    assert sorted(held.tolist() for _, held in two) == [list(range(9)), list(range(9, 18))]
    alone = [held.tolist() for _, held in folds_of(y, task, 5, 0)]
    assert [held.tolist() for _, held in folds_of(y, task, 5, 0, units=np.arange(18))] == alone
    assert [held.tolist() for _, held in folds_of(y, task, 5, 0, units=np.zeros(18))] == alone
    numbers = folds_of(random.normal(size=18), Regression(), 5, 0, units=np.repeat(np.arange(3), 6))
    assert [len(held) for _, held in numbers] == [6, 6, 6]


def test_the_standard_error_counts_units_and_not_their_copies(random):
    """Each unit four times: as many units, so the error of the mean must stay that of one row a unit."""
    one, other = random.normal(size=50), random.normal(size=50)
    best, near = Trial(0.1, one), Trial(0.1, other)
    error = (other - one).std() / np.sqrt(50)
    for off in (0.99, 1.01):
        moved = other - (other - one).mean() + off * error
        units = np.repeat(np.arange(50), 4)
        several = Trial(0.1, np.repeat(moved, 4), units=units)
        assert several.is_near(Trial(0.1, np.repeat(one, 4), units=units)) is (off < 1)
        assert Trial(0.1, moved).is_near(best) is (off < 1)
    assert near.is_near(near)


def test_a_patients_rows_say_nothing_of_other_patients(random):
    """Labels are a coin for each patient: held out by rows a weak penalty looks best, by patients the strongest is."""
    patients = np.repeat(np.arange(40), 6)
    x = random.normal(size=(40, 20))[patients] + 0.01 * random.normal(size=(240, 20))
    y, task = random.integers(0, 2, 40)[patients], Classification(("a", "b"))
    rows, whole = (choose_penalty(x, y, task, np.ones(240), 0, units=units) for units in (None, patients))
    assert rows.loss < 0.4 and whole.loss > 0.6  # no less than a coin's .69, but for luck
    assert whole.penalty >= 10 * rows.penalty


def test_every_place_that_makes_folds_says_which_rows_belong_together():
    """Read from the code: no call forgets the units, and no other folds are made."""
    package, forgot = Path(sterna.__file__).parent, []
    own = {"choose_penalty", "fit_head", "folds_of", "extract_rules"}
    others = {"KFold", "StratifiedKFold", "train_test_split", "cross_val_score", "ShuffleSplit", "GridSearchCV"}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            where = f"{path.relative_to(package)}: {name}"
            if (name in own and "units" not in {each.arg for each in node.keywords}) or name in others:
                forgot.append(where)
    known = {
        "selection/cross_validation.py: KFold", "selection/cross_validation.py: StratifiedKFold",  # folds_of itself
        "rules/extraction.py: train_test_split",  # where no unit has two rows
        "evaluation/shift.py: StratifiedKFold",  # where no groups are named
    }  # fmt: skip
    assert set(forgot) <= known


def test_sample_keeps_the_shares_of_classes():
    y = np.array([0] * 19_000 + [1] * 1_000)
    rows = sample_of(np.arange(20_000), y, Classification(("a", "b")), seed=0)
    assert len(rows) == len(set(rows)) == SAMPLE
    assert abs((y[rows] == 1).sum() - SAMPLE * 0.05) <= 1


@pytest.mark.parametrize("noise", [0.1, 1.0, 6.0])
def test_the_penalty_is_that_of_the_whole_grid_by_scikit_learn(random, noise, monkeypatch):
    """Also where the weak penalties are not tried any more, since the best lies far before them."""
    x = random.normal(size=(90, 40))
    y = (x[:, 0] + noise * random.normal(size=90) > 0).astype(int)
    task, tried = Classification(("a", "b")), set()
    true = cross_validation.fit_linear
    monkeypatch.setattr(cross_validation, "fit_linear", lambda *a, **k: tried.add(a[4]) or true(*a, **k))
    found = choose_penalty(x, y, task, np.ones(90), seed=0)
    losses, smooth = np.zeros((2, len(PENALTIES)))
    for train, held in folds_of(y, task, 5, 0):
        for i, penalty in enumerate(PENALTIES):
            # One logit w = w1 - w0 with w1 = -w0 has half the penalty.
            model = LogisticRegression(C=2 / (len(train) * penalty), tol=1e-8, max_iter=9000).fit(x[train], y[train])
            likely = model.predict_log_proba(x[held])
            own = likely[np.arange(len(held)), y[held]]
            losses[i] -= own.sum() / 90
            smooth[i] -= (90 * own + likely.sum(axis=1)).sum() / 92 / 90
    assert found.penalty == PENALTIES[int(smooth.argmin())]
    assert found.loss == pytest.approx(losses[smooth.argmin()], rel=0.01)  # fits that only compare stop early (1e-4)
    assert len(tried) == min(len(PENALTIES), int(smooth.argmin()) + 3)


def test_of_a_few_rows_that_are_all_right_the_surest_model_is_not_the_best(random):
    """Their loss alone falls with the penalty without end; of new rows one in ten is labelled otherwise."""
    y, new_y = np.arange(20) % 2, (np.arange(2000) + (random.random(2000) < 0.1)) % 2
    x = random.normal(size=(2020, 300)) + 0.5 * np.concatenate([y, np.arange(2000) % 2])[:, None]
    task = Classification(("a", "b"))
    few, new, told = (x[:20] - x[:20].mean(0)) / x[:20].std(0), (x[20:] - x[:20].mean(0)) / x[:20].std(0), []
    found = choose_penalty(few, y, task, np.ones(20), seed=0)
    for penalty in (found.penalty, PENALTIES[-1]):
        layer = fit_layer(few, y, task, np.ones(20), penalty).double()
        told.append(float(task.loss(layer(torch.from_numpy(new)), torch.from_numpy(new_y)).detach()))
    assert (found.outputs.argmax(1) == y).all()
    assert found.penalty > PENALTIES[-1]
    assert told[0] < told[1]


def test_classes_that_no_label_of_the_target_is_of_are_not_expected(random, monkeypatch):
    """A source may know thirty, of which the target's labels are two: to expect all of them weakens every head."""
    own, kinds = 40, 30
    y = np.concatenate([np.arange(own) % 2, np.arange(300) % kinds])
    x = 1.5 * random.normal(size=(kinds, 30))[y] + random.normal(size=(own + 300, 30))
    x, task = (x - x.mean(0)) / x.std(0), Classification(tuple(f"c{i}" for i in range(kinds)))
    asked = {"weights": np.ones(own + 300), "seed": 0, "lent": 300}
    found = choose_penalty(x, y, task, **asked)
    two, all_of_them = [], []
    for penalty in PENALTIES:
        monkeypatch.setattr(cross_validation, "PENALTIES", (penalty,))
        likely = torch.from_numpy(choose_penalty(x, y, task, **asked).outputs).log_softmax(1).numpy()
        right = own * likely[np.arange(own), y[:own]]
        two.append(-(right + likely[:, :2].sum(1)).mean() / (own + 2))
        all_of_them.append(-(right + 2 * likely.mean(1)).mean() / (own + 2))
    assert found.penalty == PENALTIES[int(np.argmin(two))] != PENALTIES[int(np.argmin(all_of_them))]


def test_rows_that_weigh_nothing_are_not_looked_at(random):
    """Two of 5,000 rows have a weight: a sample that took any rows would most likely have neither."""
    x, codes, weights = random.normal(size=(5000, 2)), np.arange(5000) % 2, np.zeros(5000)
    weights[[10, 4001]] = 1.0
    rows = sample_of(np.arange(5000), codes, Classification(("a", "b")), 0, weights)
    assert rows.tolist() == [10, 4001]
    assert choose_penalty(x[rows], codes[rows], Classification(("a", "b")), weights[rows], 0).loss > 0


def test_of_very_many_classes_a_penalty_is_tried_in_few_steps_and_chosen_as_with_all(random, monkeypatch):
    y = np.repeat(np.arange(60), 4)
    x = random.normal(size=(60, 20))[y] + 1.5 * random.normal(size=(240, 20))
    task, asked = Classification(tuple(map(str, range(60)))), []
    fit = cross_validation.fit_linear
    monkeypatch.setattr(cross_validation, "fit_linear", lambda *args: asked.append(args[-1]) or fit(*args))
    whole = choose_penalty(x, y, task, np.ones(240), seed=0)
    monkeypatch.setattr(cross_validation, "WORK", 1)
    few = choose_penalty(x, y, task, np.ones(240), seed=0)
    assert set(asked) == {cross_validation.MOST, cross_validation.FEWEST}
    assert few.penalty == whole.penalty and few.loss == pytest.approx(whole.loss, rel=0.01)
