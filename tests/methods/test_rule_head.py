"""rule-head: the rules answer."""

import numpy as np
import pandas as pd
import pytest

import sterna
from sterna import Domain, RequestError, load_domain
from sterna.methods.method import make_method
from sterna.networks import load_network, save_network, small_body
from sterna.rules import RuleSet, fires, parse_rules
from sterna.rules.voting import votes_of
from sterna.sources import Source

WRITTEN = """
IF cp > 3 AND oldpeak > 0.5 THEN 1 (0.9)
IF cp <= 3 THEN 0 (0.8)
IF exang = 1 THEN 1 (0.8)
"""


def heart(shared_data, hospital):
    read = {"label": "disease", "drop": ["num"], "domain_column": "hospital", "domain": hospital}
    return load_domain(shared_data / "tab_heart_4hospitals.csv.gz", **read)


def people(rows, seed, names=("age", "pressure")):
    """Ill where age and pressure are high together."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2))
    y = np.where(x[:, 0] + 0.5 * x[:, 1] + random.normal(size=rows) * 0.3 > 0, "ill", "well")
    frame = pd.DataFrame({names[0]: x[:, 0], names[1]: x[:, 1], "noise": random.normal(size=rows)})
    return Domain.from_arrays(frame, list(y), name=f"people-{seed}")


def saved_and_loaded(network, folder):
    save_network(network, folder)
    return load_network(folder)


def test_written_rules_answer_as_their_vote_and_survive_saving(shared_data, problem_of, trainer, tmp_path):
    hungarian = heart(shared_data, "hungarian")
    problem, splits = problem_of(None, hungarian, labels=0)
    network = make_method("rule-head", {"rules": WRITTEN}).fit(problem, trainer()).network
    test = hungarian.inputs.take(splits.test)
    rules = parse_rules(WRITTEN)
    expected = votes_of(rules, problem.task).outputs(fires(rules, test))
    found = trainer().outputs(network, test)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    again = saved_and_loaded(network, tmp_path / "network")
    np.testing.assert_array_equal(trainer().outputs(again, test), found)
    assert again.preparation.rules == rules and again.task.classes == ("0", "1")
    right = (found.argmax(axis=1) == problem.task.encode(hungarian.labels[splits.test])).mean()
    assert right > 0.65


def test_rules_drawn_from_another_hospital_answer_without_any_label(shared_data, problem_of, trainer):
    problem, splits = problem_of(
        Source(spec="cleveland", data=heart(shared_data, "cleveland")), heart(shared_data, "hungarian"), labels=0
    )
    assert not len(problem.train)
    run = trainer()
    network = make_method("rule-head", {"depth": 3, "leaves": 8}).fit(problem, run).network
    rules = network.preparation.rules
    assert 3 <= len(rules) <= 10 and not {"ca", "thal", "slope"} & set(rules.columns)  # nearly empty there
    test = heart(shared_data, "hungarian").take(splits.test)
    right = (run.outputs(network, test.inputs).argmax(axis=1) == problem.task.encode(test.labels)).mean()
    assert right > 0.6
    said = " ".join(run.log.messages)
    assert (
        "rules were extracted from the source's model; they predict" in said and "3 others have no counterpart" in said
    )
    assert all("source" in choice.of for choice in run.log.choices)


def test_the_labels_of_the_target_change_no_rule(problem_of, trainer):
    source = Source(spec="s", data=people(90, 0))
    target = people(120, 1)
    flipped = Domain(
        "t", target.inputs, np.array(["ill" if v == "well" else "well" for v in target.labels], dtype=object)
    )
    rules = []
    for domain in (target, flipped):
        problem, _ = problem_of(source, domain, labels=0)
        rules.append(make_method("rule-head").fit(problem, trainer()).network.preparation.rules)
    assert rules[0] == rules[1]


def test_columns_are_renamed_by_a_map(problem_of, trainer):
    source = Source(spec="s", data=people(90, 0, names=("AGE", "BP")))
    problem, _ = problem_of(source, people(120, 1), labels=0)
    method = make_method("rule-head", {"columns": "AGE=age,BP=pressure"})
    assert set(method.fit(problem, trainer()).network.preparation.rules.columns) <= {"age", "pressure", "noise"}
    run = trainer()
    only = make_method("rule-head", {"columns": {"AGE": "age"}}).fit(problem, run).network
    assert (
        set(only.preparation.rules.columns) <= {"age", "noise"}
        and "1 others have no counterpart" in run.log.messages[0]
    )
    with pytest.raises(RequestError, match="maps 'AGEE', which the source has not. Did you mean 'AGE'"):
        make_method("rule-head", {"columns": "AGEE=age"}).fit(problem, trainer())
    run = trainer()
    written = "IF AGE > 0 THEN ill (0.9)\nIF LIMIT > 3 THEN ill (0.9)"
    found = make_method("rule-head", {"rules": written, "columns": "AGE=age"}).fit(problem, run).network
    assert str(found.preparation.rules) == "IF age > 0 THEN ill (0.9)"
    assert run.log.messages[0].startswith("1 of 2 rules speak of columns without a counterpart in the target ('LIMIT')")


def test_where_no_rule_fires_the_training_labels_give_the_prior(problem_of, trainer):
    problem, _ = problem_of(None, people(200, 0), labels=40)
    problem = problem.joined()
    network = make_method("rule-head", {"rules": "IF age > 100 THEN ill (0.9)"}).fit(problem, trainer()).network
    counts = np.bincount(problem.targets[problem.train], minlength=2)
    found = problem.task.probabilities(trainer().outputs(network, problem.inputs))
    np.testing.assert_allclose(found, np.tile((counts + 1) / (counts.sum() + 2), (len(found), 1)), rtol=1e-5)


def test_a_model_alone_is_asked_about_the_rows_of_the_target(problem_of, trainer):
    import torch
    from torch import nn

    from sterna.tasks import Classification

    domain = people(150, 0)
    body, preparation = small_body(domain.inputs, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = nn.Linear(body.width, 2)
    source = Source("model", body, preparation, head, Classification(("ill", "well")))
    problem, _ = problem_of(source, domain, labels=0)
    run = trainer()
    network = make_method("rule-head").fit(problem, run).network
    assert "held-out target rows" in run.log.messages[0]
    answered = run.outputs(network, domain.inputs).argmax(axis=1)
    from sterna.networks import Network

    own = run.outputs(Network(preparation, body, head, task=problem.task), domain.inputs).argmax(axis=1)
    assert (answered == own).mean() > 0.75


def test_rules_on_texts_as_a_ruleset_from_python(problem_of, trainer, tmp_path):
    texts = [f"{'很难吃' if i % 3 == 0 else '好吃'} {i}" for i in range(60)]
    domain = Domain.from_arrays(texts, ["bad" if i % 3 == 0 else "good" for i in range(60)], name="texts")
    problem, _ = problem_of(None, domain, labels=0)
    rules = parse_rules("IF text CONTAINS 难吃 THEN bad (0.95)\nOTHERWISE good (0.6)")
    assert isinstance(rules, RuleSet)
    network = make_method("rule-head", {"rules": rules}).fit(problem, trainer()).network
    network = saved_and_loaded(network, tmp_path / "network")
    assert (problem.task.answers(trainer().outputs(network, domain.inputs)) == domain.labels).all()
    assert network.preparation.kind == "text"


def test_numbers_are_answered_in_the_user_s_units(problem_of, trainer, tmp_path):
    x = np.arange(80.0)
    domain = Domain.from_arrays(pd.DataFrame({"x": x, "z": x % 7}), 1000 + 500.5 * (x > 40), name="numbers")
    problem, _ = problem_of(None, domain, task="regression")
    rules = "IF x > 40 THEN 1500.5 (0.9)\nIF x <= 40 THEN 1000 (0.9)"
    network = saved_and_loaded(
        make_method("rule-head", {"rules": rules}).fit(problem, trainer()).network, tmp_path / "n"
    )
    found = problem.task.answers(trainer().outputs(network, domain.inputs))
    np.testing.assert_allclose(found, domain.labels, rtol=1e-5)
    source = Source(spec="s", data=domain)
    drawn = sterna.transfer(source, domain, method="rule-head", labels=0, task="regression", control="none", seeds=1)
    assert drawn.scores["r2"].value > 0.9


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "There are no rules, and no source to extract them from: give a file of rules"),
        ({"rules": "nowhere.txt"}, "There is no file of rules 'nowhere.txt'"),
        ({"rules": "IF age > x THEN ill (0.9)"}, "line 1, column 10: expected a number"),
        ({"rules": "IF age > 1 THEN sick (0.9)"}, "predicts 'sick', which is none of the classes ill, well"),
        ({"rules": "IF Age > 1 THEN ill (0.9)"}, "Did you mean 'age'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_kept(tmp_path, settings, sentence):
    with pytest.raises(RequestError, match=sentence):
        sterna.transfer(
            None,
            people(60, 0),
            method="rule-head",
            settings=settings,
            labels=0,
            control="none",
            out=tmp_path / "run",
            seeds=1,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("numbers", [False, True])
def test_a_source_that_answers_something_else_gives_no_rules_and_is_not_fitted(numbers, problem_of, trainer):
    source = people(90, 0)
    labels = np.arange(90) + 0.5 if numbers else ["sick" if label == "ill" else "healthy" for label in source.labels]
    source = Source(spec="s", data=Domain.from_arrays(source.inputs.frame, labels, name="s"))
    problem, _ = problem_of(source, people(60, 1), labels=10)
    run, own = trainer(), "numbers" if numbers else "healthy, sick"
    with pytest.raises(RequestError, match=f"the source predicts {own}, the target asks for ill, well; write rules"):
        make_method("rule-head").fit(problem, run)
    assert not run.log.messages
    assert make_method("rule-head", {"rules": "IF age > 0 THEN ill (0.9)"}).fit(problem, trainer()).network


def test_a_rule_at_even_odds_answers_its_class_where_none_speaks_against_it(problem_of, trainer, tmp_path):
    problem, _ = problem_of(None, people(60, 0), labels=0)
    rules = "IF age > 0 THEN well (0.5)\nOTHERWISE well (0.5)"
    network = saved_and_loaded(
        make_method("rule-head", {"rules": rules}).fit(problem, trainer()).network, tmp_path / "n"
    )
    outputs = trainer().outputs(network, problem.target_inputs())
    assert set(problem.task.answers(outputs)) == {"well"}
    np.testing.assert_allclose(problem.task.probabilities(outputs), 0.5, atol=1e-6)


def test_images_have_no_rules(digits, problem_of, trainer):
    problem, _ = problem_of(None, digits(60))
    with pytest.raises(RequestError, match="the target holds images"):
        make_method("rule-head", {"rules": "OTHERWISE 1 (0.5)"}).fit(problem, trainer())
