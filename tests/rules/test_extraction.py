"""Rules extracted from predictions: they say exactly what scikit-learn's own tree says."""

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sterna import Domain, RequestError, load_domain
from sterna.rules import extract_rules, fires, format_rules, parse_rules
from sterna.rules.extraction import rules_of_tree, without_rare_gaps
from sterna.rules.questions import questions_of, words_of
from sterna.rules.tree import short_threshold
from sterna.rules.voting import votes_of
from sterna.tasks import Classification, Regression

THREE = Classification(("a", "b", "c"))


def inputs_of(frame):
    return Domain.from_arrays(frame).inputs


def mixed(rows, seed, gaps=0.15):
    """Numbers on a grid (so that unseen rows lie on no threshold's wrong side), categories, and gaps in both."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 40, (rows, 3)) / 4
    words = random.choice(["red", "blue", "green", "4"], rows).astype(object)
    y = ((x[:, 0] > 4).astype(int) + ((x[:, 1] > 6) & (words == "red"))).astype(int)
    y = np.where(random.random(rows) < 0.1, random.integers(0, 3, rows), y)
    x[random.random(x.shape) < gaps] = np.nan
    words[random.random(rows) < gaps] = None
    y[np.isnan(x[:, 2])] = 2
    return inputs_of(pd.DataFrame(x, columns=["u", "v", "w w"]).assign(colour=words)), y


@pytest.mark.parametrize("gaps", [0.0, 0.15])
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_rules_answer_exactly_as_the_tree_does(gaps, depth):
    inputs, y = mixed(600, 0, gaps)
    questions = questions_of(inputs, y)
    tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=5, random_state=0).fit(questions.features, y)
    rules = rules_of_tree(tree, questions, y, THREE)
    assert parse_rules(format_rules(rules)) == rules
    for rows, silent in ((inputs, 0), (mixed(400, 1, gaps)[0], 0.05 * (gaps > 0))):
        fired = fires(rules, rows)
        assert (fired.sum(axis=1) <= 1).all()  # none where cells are missing together that never were before
        some = fired.any(axis=1)
        assert (~some).mean() <= silent
        own = questions_of(rows, y)
        assert own.asked == questions.asked
        found = votes_of(rules, THREE).outputs(fired).argmax(axis=1)
        np.testing.assert_array_equal(found[some], tree.predict(own.features)[some])


def test_confidence_is_the_share_in_the_leaf_after_laplace():
    inputs, y = mixed(600, 0, 0.0)
    questions = questions_of(inputs, y)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(questions.features, y)
    rules = rules_of_tree(tree, questions, y, THREE)
    for column, rule in zip(fires(rules, inputs).T, rules.rules, strict=True):
        right = (y[column] == THREE.classes.index(rule.answer)).sum()
        assert rule.confidence == pytest.approx((right + 1) / (column.sum() + 3), abs=0.001)


def test_numbers_are_the_means_of_leaves():
    random = np.random.default_rng(0)
    x = random.integers(0, 20, (300, 2)).astype(float)
    y = 100 + 5 * (x[:, 0] > 9) + random.normal(size=300)
    task = Regression(mean=float(y.mean()), scale=float(y.std()))
    targets, inputs = task.encode(y), inputs_of(pd.DataFrame(x, columns=["a", "b"]))
    questions = questions_of(inputs, targets)
    tree = DecisionTreeRegressor(max_depth=2, min_samples_leaf=20, random_state=0).fit(questions.features, targets)
    rules = rules_of_tree(tree, questions, targets, task)
    found = votes_of(rules, task).outputs(fires(rules, inputs))[:, 0]
    np.testing.assert_allclose(found, tree.predict(questions.features), atol=5e-4)  # written with six digits
    assert extract_rules(inputs, targets, task, depth=2).fidelity > 0.8


def test_intervals_are_merged_and_missing_is_kept_apart():
    x = np.array([*range(40)], dtype=float)
    y = ((x > 9.5) & (x <= 29.5)).astype(int)
    gone = np.r_[x, np.full(20, np.nan)]
    answers = np.r_[y, np.full(20, 2)]
    found = extract_rules(inputs_of(pd.DataFrame({"x": gone, "z": 0.5})), answers, THREE).rules
    lines = [line.partition(" THEN ")[0] + " " + line.split()[-2] for line in format_rules(found).splitlines()[:-1]]
    assert sorted(lines) == ["IF x <= 9.5 a", "IF x > 29.5 a", "IF x > 9.5 AND x <= 29.5 b", "IF x IS MISSING c"]


def test_a_few_gaps_make_no_rules():
    x = np.arange(100.0)
    x[[3, 70]] = np.nan
    inputs = inputs_of(pd.DataFrame({"x": x}))
    y = (np.arange(100) > 50).astype(int)
    assert len(without_rare_gaps(questions_of(inputs, y), 5)) == 98
    found = extract_rules(inputs, y, Classification(("a", "b")))
    assert "MISSING" not in format_rules(found.rules)
    assert found.rules.otherwise is not None and not fires(found.rules, inputs)[3].any()


def test_gaps_that_hardly_come_together_make_no_rule():
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 12))
    y = ((x > 0).sum(axis=1) + random.normal(size=2000) > 6).astype(int)
    x[random.random(x.shape) < 0.3] = np.nan
    inputs, task = inputs_of(pd.DataFrame(x, columns=list("abcdefghijkl"))), Classification(("a", "b"))
    found = extract_rules(inputs, y, task, depth=10, leaves=100)
    assert fires(found.rules, inputs).sum(axis=0).min() > 0 and len(found.rules) < 300
    few = rules_of_some_tree(inputs, y, task, fewest=5)
    counts = fires(few, inputs).sum(axis=0)
    every = rules_of_some_tree(inputs, y, task, fewest=1)
    assert set(few.rules) < set(every.rules) and (fires(every, inputs).sum(axis=1) == 1).all()
    alone = {rule.confidence for rule, count in zip(few.rules, counts, strict=True) if count < 5}
    assert alone and len({rule.confidence for rule in few.rules}) == len({rule.confidence for rule in every.rules})


def rules_of_some_tree(inputs, y, task, fewest):
    questions = questions_of(inputs, y)
    tree = DecisionTreeClassifier(max_depth=10, min_samples_leaf=7, random_state=0).fit(questions.features, y)
    return rules_of_tree(tree, questions, y, task, fewest)


def test_confidence_is_never_rounded_below_even_odds():
    inputs = inputs_of(pd.DataFrame({"x": np.arange(60.0)}))
    found = extract_rules(inputs, np.arange(60) % 3, THREE, depth=1, leaves=2).rules
    assert all(rule.confidence > 1 / 3 for rule in (*found.rules, found.otherwise))


def test_rows_that_rules_cannot_speak_of_are_refused(digits):
    with pytest.raises(RequestError, match="Rules speak of table columns and of texts, but came upon images"):
        extract_rules(digits(20).inputs, np.arange(20) % 2, Classification(("a", "b")))


def test_fidelity_is_measured_on_rows_the_rules_have_not_seen():
    random = np.random.default_rng(0)
    inputs = inputs_of(pd.DataFrame(random.normal(size=(400, 4)), columns=list("abcd")))
    noise = extract_rules(inputs, random.integers(0, 2, 400), Classification(("a", "b")), depth=8, leaves=60)
    assert noise.held_out == 80 and noise.rows == 320 and noise.fidelity < 0.65
    clear = extract_rules(inputs, (inputs.frame["b"].to_numpy() > 0.2).astype(int), Classification(("a", "b")))
    assert clear.fidelity > 0.97 and "as it does" in clear.words()


def test_fidelity_is_measured_on_patients_the_rules_have_not_seen():
    """Answers that are a coin for each patient: by rows a tree learns the patients by heart."""
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 10)
    inputs = inputs_of(pd.DataFrame(random.normal(size=(40, 4))[patients], columns=list("abcd")))
    answers, task = random.integers(0, 2, 40)[patients], Classification(("a", "b"))
    rows = extract_rules(inputs, answers, task, depth=8, leaves=60)
    whole = extract_rules(inputs, answers, task, depth=8, leaves=60, units=patients)
    assert rows.fidelity > 0.95 and whole.fidelity < 0.75
    assert whole.held_out + whole.rows == 400 and whole.held_out % 10 == 0


def test_depth_leaves_and_columns_are_bounds():
    inputs, y = mixed(600, 0)
    found = extract_rules(inputs, y, THREE, depth=2, leaves=3, columns=["u", "colour"]).rules
    assert set(found.columns) <= {"u", "colour"}
    assert len({rule.confidence for rule in found.rules}) <= 3
    with pytest.raises(RequestError, match="no column of numbers or categories that both sides have"):
        extract_rules(inputs, y, THREE, columns=[])
    with pytest.raises(RequestError, match="5 rows are too few"):
        extract_rules(inputs.take(np.arange(5)), y[:5], THREE)


def test_one_answer_for_all_is_said_otherwise():
    inputs, _ = mixed(100, 0)
    found = extract_rules(inputs, np.ones(100, dtype=int), THREE).rules
    assert not found.rules and found.otherwise.answer == "b"


def test_words_of_texts_with_and_without_spaces():
    assert words_of("It IS 很难吃!") == ["it", "is", "很难", "难吃", "很难吃"]
    random = np.random.default_rng(0)
    bad = random.random(300) < 0.4
    texts = [
        f"{random.choice(['这家', '那家'])}{'很难吃' if b else '很好'} {random.choice(['fine', 'ok'])}" for b in bad
    ]
    inputs = Domain.from_arrays(texts).inputs
    found = extract_rules(inputs, bad.astype(int), Classification(("0", "1")))
    assert found.fidelity == 1.0
    assert all(c.operator.endswith("CONTAINS") for rule in found.rules.rules for c in rule.conditions)
    questions = questions_of(inputs, bad.astype(int))
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(questions.features, bad)
    rules = rules_of_tree(tree, questions, bad.astype(int), Classification(("0", "1")))
    found = votes_of(rules, Classification(("0", "1"))).outputs(fires(rules, inputs)).argmax(axis=1)
    np.testing.assert_array_equal(found, tree.predict(questions.features))


@pytest.mark.parametrize("seed", range(20))
def test_a_short_threshold_parts_the_values_as_the_long_one_does(seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=50) * 10.0 ** random.integers(-6, 6)
    order = np.sort(values.astype(np.float32))
    i = int(random.integers(0, 49))
    threshold = (float(order[i]) + float(order[i + 1])) / 2
    short = short_threshold(values, threshold)
    np.testing.assert_array_equal(values <= short, values.astype(np.float32) <= threshold)
    assert len(repr(short)) <= len(repr(threshold))


def test_rules_of_a_real_table(shared_data):
    read = {"label": "disease", "drop": ["num"], "domain_column": "hospital", "domain": "cleveland"}
    domain = load_domain(shared_data / "tab_heart_4hospitals.csv.gz", **read)
    task = Classification(("0", "1"))
    found = extract_rules(domain.inputs, task.encode(domain.labels), task)
    assert found.fidelity > 0.7 and 4 <= len(found.rules) <= 32
    assert {"thal", "ca"} & set(found.rules.columns)
