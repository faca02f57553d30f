"""Transfer as scikit-learn estimators."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from sterna import RequestError
from sterna.sklearn import TransferClassifier, TransferRegressor


def checks():
    """Those of scikit-learn, with methods that take milliseconds; what learns nothing is not asked to learn."""
    for estimator in (TransferClassifier("prototypes"), TransferRegressor("constant")):
        for _, check in estimator_checks_generator(estimator):
            name = check.func.__name__
            if estimator.method != "constant" or name != "check_regressors_train":
                yield pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_it_is_an_estimator(estimator, check):
    check(clone(estimator))


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def old_and_new(cancer):
    """Labelled rows of before, and rows of another instrument."""
    x, y = cancer
    return (x[:300], y[:300]), (1.2 * x[300:] + 1, y[300:])


def test_what_is_known_already_helps(old_and_new):
    (known, labels), (x, y) = old_and_new
    x, few, rest = (x - 1) / 1.2, np.r_[0:4, 20:24], slice(60, None)
    alone = TransferClassifier("target-only").fit(x.iloc[few], y.iloc[few])
    model = TransferClassifier("pooled").fit(x.iloc[few], y.iloc[few], source_X=known, source_y=labels)
    assert model.score(x[rest], y[rest]) > max(0.9, alone.score(x[rest], y[rest]))
    np.testing.assert_allclose(model.predict_proba(x[rest]).sum(1), 1, rtol=1e-6)
    turned = TransferClassifier("pooled").fit(x.iloc[few], y.iloc[few], source_X=known, source_y=1 - labels)
    assert turned.score(x[rest], y[rest]) < 0.5  # the source's labels are what moved
    other = known[known.columns[::-1]].assign(more=1.0)  # other order, and a column more
    again = TransferClassifier("pooled").fit(x.iloc[few], y.iloc[few], source_X=other, source_y=labels)
    np.testing.assert_allclose(again.predict_proba(x[rest]), model.predict_proba(x[rest]))


def test_it_answers_as_a_transfer_does_on_the_same_rows(cancer):
    import sterna

    x, y = cancer
    train, test = np.arange(100), np.arange(100, 200)
    splits = {"train": train[:80], "validation": train[80:], "test": test}
    domain = sterna.Domain.from_arrays(x[:200], y[:200], splits=splits)
    theirs = sterna.transfer(None, domain, method="target-only", control="none", seeds=1).scores["accuracy"].value
    ours = TransferClassifier("target-only").fit(x[:100], y[:100]).score(x[100:200], y[100:200])
    assert abs(ours - theirs) < 0.03


def test_the_method_and_the_source_are_chosen_by_held_out_labels(old_and_new):
    (known, labels), (x, y) = old_and_new
    asked = {"settings": {"methods": ["domain-scaling", "prototypes"]}}
    model = TransferClassifier(**asked).fit(x[:40], y[:40], source_X=known, source_y=labels)
    assert model.chosen_["method"] in ("domain-scaling", "prototypes") and model.score(x[40:], y[40:]) > 0.75
    wrong = TransferClassifier(**asked).fit(x[:40], y[:40], source_X=known, source_y=1 - labels)
    assert wrong.chosen_["method"] == "prototypes"


def test_it_works_in_pipelines_searches_and_cross_validation(cancer):
    x, y = cancer
    x, y = x[:120].to_numpy(), y[:120].map({0: "malignant", 1: "benign"})
    whole = make_pipeline(StandardScaler(), TransferClassifier("prototypes"))
    assert cross_val_score(whole, x, y, cv=3).mean() > 0.85
    found = GridSearchCV(whole, {"transferclassifier__method": ["constant", "prototypes"]}, cv=3).fit(x, y)
    assert found.best_params_ == {"transferclassifier__method": "prototypes"}
    assert set(found.predict(x)) == {"malignant", "benign"}


def test_numbers_texts_and_frames_of_words(cancer):
    x, y = load_diabetes(return_X_y=True)
    model = TransferRegressor("target-only").fit(x[:200], y[:200])
    assert model.score(x[200:], y[200:]) > 0.35
    texts = [f"{'good' if i % 2 else 'bad'} thing {i % 7}" for i in range(40)]
    words = TransferClassifier("target-only").fit(texts[:30], [i % 2 for i in range(30)])
    assert (words.predict(texts[30:]) == np.arange(30, 40) % 2).all()
    frame = pd.DataFrame({"colour": ["red", "blue"] * 20, "size": np.arange(40.0) % 5})
    colours = TransferClassifier("prototypes").fit(frame[:30], frame.colour[:30])
    assert (colours.predict(frame[30:]) == frame.colour[30:]).all()


def test_what_is_wrong_is_said(cancer):
    x, y = cancer
    with pytest.raises(RequestError, match="source_X and source_y belong together"):
        TransferClassifier("pooled").fit(x, y, source_X=x)
    with pytest.raises(RequestError, match="one class only"):
        TransferClassifier("prototypes").fit(x[:20], np.zeros(20))
    with pytest.raises(RequestError, match="pooled needs labelled source data"):
        TransferClassifier("pooled").fit(x[:40], y[:40])
    with pytest.raises(RequestError, match="no method 'poold'.*pooled"):
        TransferClassifier("poold").fit(x[:40], y[:40])
