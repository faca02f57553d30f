"""Rules say which rows they were extracted from, wherever their text goes."""

import numpy as np
import pandas as pd
import pytest

import sterna
from sterna import Domain, RequestError
from sterna.domains.learnt import Learnt
from sterna.methods.method import make_method
from sterna.rules import extract_rules, parse_rules, read_rules
from sterna.rules.origin import origin_of, origin_text
from sterna.tasks import infer_task

RULES = "IF age > 0 THEN ill (0.9)\nOTHERWISE well (0.6)"


def people(rows, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2))
    y = np.where(x[:, 0] + random.normal(size=rows) * 0.3 > 0, "ill", "well")
    return Domain.from_arrays(pd.DataFrame(x, columns=["age", "pressure"]), list(y), name="people")


@pytest.mark.parametrize("rows", [1, 3000])
def test_what_is_written_reads_back_as_the_same_rows_and_the_rules_as_the_same_rules(tmp_path, rows):
    first, second = people(rows, 0).inputs, people(5, 1).inputs
    learnt = Learnt.of((first,), (second,))
    text = f"# by hand\n{RULES}\n\n{origin_text(learnt)}\n"
    assert "rules were extracted from" in text
    found = origin_of(text)
    np.testing.assert_array_equal(found.labelled, learnt.labelled)
    np.testing.assert_array_equal(found.unlabelled, learnt.unlabelled)
    assert found.columns == learnt.columns and found.among(first)[0].all() and found.among(second)[1].all()
    (tmp_path / "r.txt").write_text(text)
    assert read_rules(tmp_path / "r.txt") == parse_rules(RULES)
    assert origin_of(RULES) is None and origin_of(None) is None


def test_files_put_together_know_the_rows_of_each():
    parts = [people(20, seed).inputs for seed in range(2)]
    text = "\n".join(f"IF age > 0 THEN ill (0.9)\n{origin_text(Learnt.of((part,), ()))}" for part in parts)
    assert all(origin_of(text).among(part)[0].all() for part in parts)


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-9], lambda t: t.replace('"labelled": 20', '"labelled": 21'), lambda t: t + "\n#~ ???"]
)
def test_damaged_lines_are_refused_in_one_sentence(damage):
    with pytest.raises(RequestError, match="with '#~' are damaged; extract the rules again"):
        origin_of(damage(origin_text(Learnt.of((people(20, 0).inputs,), ()))))


@pytest.mark.parametrize("method", ["rule-head", "weak-labels", "rule-penalty"])
def test_a_setting_keeps_them_whether_it_is_a_file_or_a_text(tmp_path, method):
    data = people(30, 0)
    text = f"{RULES}\n{origin_text(Learnt.of((data.inputs,), ()))}"
    (tmp_path / "r.txt").write_text(text)
    for given in (text, str(tmp_path / "r.txt")):
        made = make_method(method, {"rules": given})
        assert made.learnt_before().among(data.inputs)[0].all()
        assert make_method(method, {"rules": made.rules}).rules == made.rules
    assert make_method(method, {"rules": RULES}).learnt_before() is None


def test_test_rows_that_rules_were_drawn_from_are_counted_and_scored_without(tmp_path):
    data = people(300, 0)
    task = infer_task(data)
    drawn = extract_rules(data.inputs, task.encode(data.labels), task)
    learnt = Learnt.of((data.inputs.take(drawn.drawn_from),), ())
    rules = f"{drawn.rules}\n{origin_text(learnt)}"
    result = sterna.transfer(None, data, method="rule-head", labels=0, control="none", settings={"rules": rules},
                             out=tmp_path / "run")  # fmt: skip
    test = result.record["target"]["splits"]["test"]
    said = [note for note in result.evidence.target.notes if "the rules were extracted from" in note]
    known = int(said[0].split(" of the ")[0].replace(",", ""))
    assert len(said) == 1 and 0.6 * test < known < test and f"on the other {test - known} rows" in said[0]
    assert "#~" not in (tmp_path / "run/network/network.json").read_text()
    from sterna.domains.learnt import read_learnt

    assert np.isin(learnt.labelled, read_learnt(tmp_path / "run").labelled).all()
