"""An earlier run as a source."""

import numpy as np
import pytest

from sterna import Domain, RequestError, load_source, transfer
from sterna.methods.method import Needs, method_class, method_ids


def texts(rows, seed):
    random = np.random.default_rng(seed)
    good, bad = ["fine", "great", "lovely"], ["poor", "awful", "sad"]
    labels = random.integers(2, size=rows)
    words = [" ".join(random.choice(good if label else bad, 3)) + f" thing {i % 7}" for i, label in enumerate(labels)]
    return Domain.from_arrays(words, ["yes" if label else "no" for label in labels], name=f"texts {seed}")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A run of TF-IDF under a logistic regression: its body hands texts on, and gives no features."""
    folder = tmp_path_factory.mktemp("runs") / "words"
    transfer(None, texts(120, 0), method="target-only", control="none", seeds=1).save(folder)
    return load_source(f"run:{folder}")


def test_a_learner_on_raw_texts_answers_as_a_source_but_is_no_model_to_build_on(learnt):
    found = transfer(learnt, texts(80, 1), method="source-only", labels=0, control="none", seeds=1)
    assert found.record["scores"]["accuracy"]["value"] == 1
    models = [name for name in method_ids() if Needs.SOURCE_MODEL in method_class(name).needs]
    assert "weight-fusion" in models
    for name in models:
        with pytest.raises(RequestError, match=f"{name} needs a source model"):
            transfer(learnt, texts(80, 1), method=name, control="none", seeds=1)


@pytest.mark.parametrize("method", ["scratch", "joint-training", "parameter-sharing", "task-nesting", "weak-labels"])
def test_what_needs_no_model_does_without_it(method, learnt):
    known = learnt.with_data(texts(60, 2))
    settings = {"rules": "IF text CONTAINS fine THEN yes (0.9)\nIF text CONTAINS sad THEN no (0.9)"}
    found = transfer(
        known, texts(80, 1), method=method, labels=20, control="none", steps=20,
        settings=settings if method == "weak-labels" else None, seeds=1,
    )  # fmt: skip
    assert found.record["scores"]["accuracy"]["value"] > 0.6
