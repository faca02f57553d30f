"""Sources beside each other, before anything is moved."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import weightedtau

import sterna
from sterna import RequestError, Source, load_domain, load_source
from sterna.experiment import rank_measures
from sterna.experiment.ranking import agreed
from sterna.selection.shift import shift


def table(name, rows=90, seed=0, turn=1.0, move=0.0, noise=0.3):
    """A table whose label is told by its first column, in the direction `turn`."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3)) + move
    y = turn * (x[:, 0] - move) + noise * random.normal(size=rows) > 0
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=np.where(y, "yes", "no"))
    return replace(load_domain(frame, label="y"), name=name)


@pytest.fixture(scope="module", autouse=True)
def once():
    """One repetition of the probe's cross-validation: several take several times as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_measures, "REPEATS", 1)
        yield


@pytest.fixture(scope="module")
def target():
    return table("target", rows=150)


@pytest.fixture(scope="module")
def known():
    return [table("opposite", 120, 1, turn=-1.0), table("like", 120, 2), table("far", 120, 3, move=4.0)]


@pytest.fixture(scope="module")
def ranking(target, known):
    return sterna.rank(target, known, labels=20)


def test_data_that_answer_alike_are_clearly_better_than_those_that_answer_the_opposite(ranking):
    assert ranking.best == "like" and ranking.reference == "probe" and ranking.labels == 20
    assert [each.named for each in ranking.sources][-1] == 1 and ranking.sources[0].ranks["probe"] == 1
    low, high = ranking.sources[0].interval
    assert low <= ranking.sources[0].scores["probe"] <= high
    assert ranking.verdict == "helps" and ranking.gain.low > 0 and ranking.gain.control == "opposite"
    apart = ranking.sources[0].scores["probe"] - ranking.sources[-1].scores["probe"]
    assert ranking.gain.value == pytest.approx(apart)
    assert "like is clearly better than opposite, which was named first" in ranking.sentence()


def test_what_a_score_says_of_itself(ranking):
    record = json.loads(json.dumps(ranking.record()))
    assert record["best"] == "like" and record["gain"]["verdict"] == "helps" and record["left_out"] == {}
    assert set(record["sources"][0]["scores"]) == {"probe", "leep", "nce"}
    assert set(record["sources"][0]["seconds"]) == {"features", "probe", "leep", "nce"}
    probes = np.array([each["scores"]["probe"] for each in record["sources"]])
    places = -np.array([each["named"] for each in record["sources"]])
    assert record["agreement"]["constant"] == pytest.approx(weightedtau(probes, places).statistic)


def test_named_first_and_first_by_the_probe_says_nothing_for_choosing(target, known):
    found = sterna.rank(target, known[1::-1], labels=20)
    assert found.best == "like" and found.gain is None and found.verdict == "unclear"
    assert "which was named first, is first by the probe as well" in found.sentence()


def test_test_rows_are_never_looked_at(target, known):
    test = np.arange(100, 150)
    splits = {"train": np.arange(100), "test": test}
    labels = target.labels.copy()
    labels[test] = labels[test][::-1]
    one, other = (replace(target, splits=splits, labels=each) for each in (target.labels, labels))
    first, second = (sterna.rank(each, known[:2], labels_per_class=8) for each in (one, other))
    assert [each.scores for each in first.sources] == [each.scores for each in second.sources]


def test_without_labels_the_nearest_data_come_first(target, known):
    found = sterna.rank(target, known, labels=0)
    assert [each.source for each in found.sources][-1] == "far" and found.verdict == "unclear" and found.gain is None
    assert found.reference == "proxy_a_distance" and found.rows == 120 and found.metric is None
    scores = {each.source: each.scores for each in found.sources}
    assert scores["far"]["proxy_a_distance"] == pytest.approx(2.0, abs=0.1) and scores["far"]["mmd2"] > 0.2
    assert set(scores["like"]) == {"proxy_a_distance", "mmd2", "class_shift"} and scores["like"]["class_shift"] < 0.15
    assert scores["far"]["class_shift"] > 0.3  # the head answers almost one class alone for rows so far away
    unlabelled = sterna.rank(replace(target, labels=None, classes=None), known)
    assert unlabelled.rows == 150 and unlabelled.sources[-1].source == "far"


def test_the_distance_is_that_of_the_drawn_rows(known):
    first, second = table("one", 60, 5), table("two", 60, 6, move=1.0)
    found = sterna.rank(replace(first, labels=None, classes=None), [second, known[2]])
    one = next(each for each in found.sources if each.source == "two")
    assert one.scores["proxy_a_distance"] == shift(second, replace(first, labels=None, classes=None)).proxy_a_distance


def test_numbers_are_ranked_by_the_probe(known):
    random = np.random.default_rng(0)

    def numbers(name, slope, seed):
        x = np.random.default_rng(seed).normal(size=(120, 2))
        y = slope * x[:, 0] + 0.1 * random.normal(size=120)
        return replace(load_domain(pd.DataFrame(x, columns=["a", "b"]).assign(y=y), label="y"), name=name)

    found = sterna.rank(numbers("t", 1, 0), [numbers("against", -1, 1), numbers("with", 1, 2)], labels=10)
    assert found.best == "with" and found.metric == "r2" and set(found.sources[0].scores) == {"probe"}


def test_a_model_of_other_data_is_ranked_by_its_features(digits, source):
    scratch = replace(source, spec="random", body=source.body.scratch(1))
    data = load_domain(pd.DataFrame({"text": ["good"] * 9, "label": list("ababababa")}), text="text", label="label")
    found = sterna.rank(digits(200), [source, scratch, data], labels_per_class=2)
    assert set(found.sources[0].scores) == {"probe", "logme", "h_score", "transrate", "knn"}
    assert "it takes texts, but the target holds images" in next(iter(found.left_out.values()))
    assert found.sources[0].blocks and {each.source for each in found.sources} == {source.spec, "random"}


def test_a_source_that_answers_classes_has_leep_and_one_that_gives_no_number_is_left_out(digits, source):
    import torch

    from sterna.tasks import Classification

    head = torch.nn.Linear(24, 3)
    answering = replace(source, spec="answers", head=head, task=Classification(("a", "b", "c")))
    broken = source.body.copied()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    found = sterna.rank(
        digits(200), [source, answering, replace(source, spec="broken", body=broken)], labels_per_class=2
    )
    scores = {each.source: each.scores for each in found.sources}
    assert {"leep", "nce"} <= set(scores["answers"]) and "leep" not in scores[source.spec]
    assert scores["answers"]["leep"] <= 0 and "not finite" in found.left_out["broken"]


def test_agreement_is_a_weighted_tau_over_what_both_score():
    reference, values = np.array([3.0, 2.0, 1.0, 5.0]), np.array([0.3, np.nan, 0.1, 0.2])
    assert agreed(reference, values) == pytest.approx(weightedtau(reference[[0, 2, 3]], values[[0, 2, 3]]).statistic)
    assert agreed(reference, reference) == pytest.approx(1.0) and agreed(reference, -reference) == pytest.approx(-1.0)
    assert agreed(reference, np.ones(4)) is None and agreed(reference, np.full(4, np.nan)) is None


def test_bad_requests_get_one_sentence(target, known):
    for sources, said in (([], "No source was given"), ([known[0]], "One source was given"), (known[0], "One source")):
        with pytest.raises(RequestError, match=said):
            sterna.rank(target, sources)
    text = Source(
        spec="words", data=load_domain(pd.DataFrame({"text": ["x y"] * 4, "label": list("abab")}), text="text")
    )
    with pytest.raises(RequestError, match="Of 2 sources 1 can be ranked, and two are needed. words: it takes texts"):
        sterna.rank(target, [known[0], text])
    with pytest.raises(RequestError, match="The only label used is of the class 'no', so no probe"):
        sterna.rank(target, known, labels=1)
    with pytest.raises(RequestError, match="labels=-1"):
        sterna.rank(target, known, labels=-1)
    with pytest.raises(RequestError, match="ranked by its own data, and none of these has any"):
        sterna.rank(target, [Source("one"), Source("two")], labels=0)
    with pytest.raises(RequestError, match="one has no model whose features could be used, and no labelled data"):
        sterna.rank(target, [Source("one"), known[0]], labels=20)
    other = replace(known[1], labels=np.where(known[1].labels == "yes", "ja", "nein"), classes=None)
    with pytest.raises(RequestError, match="its data are not labelled as the target is"):
        sterna.rank(target, [other, known[0]], labels=20)


def test_a_random_body_ranks_below_a_pretrained_one_on_photographs(shared_data):
    photos = load_domain(shared_data / "images_hymenoptera.zip")
    known = load_source("packaged/efficientnet-lite0", image_size=32)
    found = sterna.rank(photos, [replace(known, spec="random", body=known.body.scratch(0)), known], labels=30)
    assert found.best == known.spec and found.agreement["logme"] == pytest.approx(1.0)
    assert found.sources[0].scores["knn"] > found.sources[1].scores["knn"]
