"""The gate: without target labels what does as well on the source's rows answers, together with the source's model."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax, softmax

from sterna import Domain, RequestError, RunError, Source, load_transfer, transfer
from sterna.methods.candidates import candidates
from sterna.methods.controls.source_only import SourceOnly
from sterna.methods.features.coral import Coral
from sterna.methods.features.domain_scaling import DomainScaling
from sterna.methods.method import make_method
from sterna.methods.without_labels import ELSEWHERE, MEMBERS, OWN, WORSE, WithoutLabels
from sterna.sources import load_source


def rows(seed, n=300, factor=1.0, shift=0.0, turned=False, ring=False, name="rows"):
    """Two classes by a + b, or by how far from the middle; the columns as another instrument measures them."""
    x = np.random.default_rng(seed).normal(size=(n, 2))
    value = (x**2).sum(1) - 1.4 if ring else x @ [1, -1 if turned else 1]
    return Domain.from_arrays(
        pd.DataFrame(factor * x + shift, columns=["a", "b"]), np.where(value > 0, "up", "down"), name=name
    )


@pytest.fixture(scope="module")
def moved():
    return rows(1, factor=3.0, shift=2.0, name="target")


@pytest.fixture(scope="module")
def adapted(moved, tmp_path_factory):
    """A run whose source is measured on another scale."""
    out = tmp_path_factory.mktemp("gate") / "run"
    return transfer(Source("other", data=rows(0)), moved, labels=0, out=out)


def board(record):
    return {(each.method, each.source): each for each in record.candidates}


def test_what_does_as_well_on_the_source_answers_together_with_its_model(adapted):
    found = adapted.evidence
    assert found.method == "auto" and found.chosen[0]["method"] == "mean of source-only, domain-scaling"
    assert found.scores["accuracy"].value > found.controls["source-only"]["accuracy"].value + 0.1
    assert {name for (name, _), each in board(found).items() if each.chosen} == {"source-only", "domain-scaling"}
    assert any(message.startswith("adapted: domain-scaling answers together") for message in found.messages)
    assert board(found)["coral", "other"].left == WORSE
    assert found.selected_by.startswith("without target labels; cross-validation: 300 labelled source examples (method")


def test_the_answer_is_the_mean_of_the_members(adapted, moved, problem_of, bench_of):
    problem, _ = problem_of(Source("other", data=rows(0)), moved, labels=0)
    inputs, bench = moved.inputs, bench_of(problem)
    names = ("source-only", "domain-scaling")
    answers = [bench.outputs(make_method(name).run(bench).network, inputs) for name in names]
    weights = np.array([OWN, MEMBERS["domain-scaling"]])
    clipped = [softmax(np.maximum(log_softmax(each, axis=1), np.log(1e-3)), axis=1) for each in answers]
    wanted = np.tensordot(weights / weights.sum(), np.stack(clipped), 1)
    whole = WithoutLabels(bench).fitted(candidates(problem))
    assert softmax(bench.outputs(whole.network, inputs), axis=1) == pytest.approx(wanted, abs=1e-5)


def test_a_saved_run_answers_the_same(adapted, moved):
    table = pd.DataFrame(np.random.default_rng(9).normal(size=(5, 2)), columns=["a", "b"])
    again = load_transfer(adapted.folder.path)
    assert again.predict(table).tolist() == adapted.predict(table).tolist()


def test_what_does_worse_on_the_source_has_no_part(tmp_path):
    """A ring is nothing for the linear heads of coral and domain-scaling, and easy for trees."""
    target = rows(1, 400, ring=True, name="target")
    found = transfer(Source("ring", data=rows(0, 400, ring=True)), target, labels=0, control="none").evidence
    assert found.chosen[0]["method"] == "source-only" and found.scores["accuracy"].value > 0.85
    assert {each.left for (name, _), each in board(found).items() if name in MEMBERS} == {WORSE}
    assert "kept the source: domain-scaling and coral did worse on its held-out rows." in found.messages


def test_a_source_that_does_the_task_but_has_no_rows_is_kept(adapted, moved):
    run = load_source(f"run:{adapted.folder.path}")
    found = transfer(run, moved, labels=0, control="none").evidence
    assert "kept the source: nothing else fits." in found.messages and found.scores["accuracy"].value > 0.8


def test_a_source_whose_model_may_know_all_its_rows_is_no_measure_and_it_is_said(adapted, moved):
    run = load_source(f"run:{adapted.folder.path}").with_data(rows(0))
    found = transfer(run, moved, labels=0, control="none").evidence
    (said,) = [message for message in found.messages if message.startswith("adapted:")]
    assert "untested: that model may have learnt from every labelled row" in said and "as good as" not in said
    assert not any("estimated" in message for message in found.messages)


def test_of_several_sources_the_one_is_taken_whose_answers_seem_right(moved):
    noise = rows(2, name="noise")
    noise = Domain.from_arrays(
        pd.DataFrame(np.random.default_rng(5).normal(size=(300, 2)), columns=["a", "b"]), noise.labels, name="noise"
    )
    sources = [Source("noise", data=noise), Source("good", data=rows(0))]
    found = transfer(sources, moved, labels=0, control=("constant", "source-only")).evidence
    assert found.chosen[0]["source"] == "good" and found.source.spec == "good"
    assert {each.left for (_, spec), each in board(found).items() if spec == "noise" and each.left != WORSE} == {
        ELSEWHERE
    }
    assert found.controls["source-only"]["accuracy"].value < found.scores["accuracy"].value


def test_the_estimate_is_near_where_the_domains_are_alike_and_no_interval_is_claimed():
    source, target = rows(0, 600), rows(1, 600, name="target")
    found = transfer(Source("same", data=source), target, labels=0, control="none").evidence
    (said,) = [each for each in found.messages if "accuracy is estimated" in each]
    estimate = float(said.split("estimated as ")[1].split(",")[0])
    assert estimate == pytest.approx(found.scores["accuracy"].value, abs=0.06) and "No interval" in said


def test_hidden_labels_change_nothing(moved):
    turned = Domain.from_arrays(moved.inputs, moved.labels[::-1].copy(), name="target", splits=None)
    given = {"train": range(200), "test": range(200, 300)}
    answers = []
    for labels in (moved.labels, turned.labels):
        labels = np.concatenate([labels[:200], moved.labels[200:]])
        target = Domain.from_arrays(moved.inputs, labels, name="target", splits=given)
        result = transfer(Source("other", data=rows(0)), target, labels=0, control="none")
        answers.append(result.predict_proba(moved.inputs))
    np.testing.assert_array_equal(*answers)


def test_where_the_sources_model_cannot_be_fitted_the_reason_is_said(problem_of, bench_of, moved, monkeypatch):
    problem, _ = problem_of(Source("other", data=rows(0)), moved, labels=0)

    def fails(self, bench):
        raise RunError("It does not converge.")

    monkeypatch.setattr(SourceOnly, "run", fails)
    with pytest.raises(RunError, match=r"could be fitted \(source-only: It does not converge\)"):
        WithoutLabels(bench_of(problem)).fitted(candidates(problem))


def test_a_search_without_the_sources_model_is_refused(moved):
    with pytest.raises(RequestError, match="methods= must name source-only"):
        transfer(Source("other", data=rows(0)), moved, labels=0, settings={"methods": ["coral"]})


def test_methods_tell_what_they_answered_for_held_out_rows_of_the_source(problem_of, bench_of, moved):
    """With their own scale for each domain they are as good there as a model that saw no shift, and never by heart."""
    noise = Domain.from_arrays(
        pd.DataFrame(np.random.default_rng(5).normal(size=(200, 60))), np.arange(200) % 2, name="noise"
    )
    problem, _ = problem_of(Source("noise", data=noise), noise, labels=0)
    for method in (DomainScaling(), Coral(), make_method("example-weighting"), make_method("source-only")):
        told = method.run(bench_of(problem)).told_source
        known = problem.known
        assert told is not None and told.shape == (200, 2) and known is not None
        right = (told.argmax(1) == known.targets).mean()
        assert 0.35 < right < 0.65, method.id()  # fitted by heart it would be near 1
    problem, _ = problem_of(Source("other", data=rows(0)), moved, labels=0)
    for method in (DomainScaling(), Coral(), make_method("example-weighting"), make_method("source-only")):
        told, known = method.run(bench_of(problem)).told_source, problem.known
        assert told is not None and known is not None
        assert (told.argmax(1) == known.targets).mean() > 0.9, method.id()  # each row's own answer, in its order
