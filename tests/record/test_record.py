"""The record of a run: written once, read by all, of this format and the one before."""

import json
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna import RequestError
from sterna.evaluation import Gain as EvaluationGain
from sterna.evaluation import Score as EvaluationScore
from sterna.experiment.evidence import Evidence
from sterna.experiment.outcome import Transfer
from sterna.record.record import (
    FORMAT,
    DataRecord,
    Point,
    Record,
    SourceRecord,
    TargetRecord,
    TaskRecord,
    read_record,
)
from sterna.record.scores import Gain, Score
from sterna.report import write_report
from sterna.store.run import RunFolder

OLD = Path(__file__).parent / "format1"
LEAST = {"method": "m", "task": {"id": "classification", "metric": "a"}, "target": {"name": "t"}, "scores": {}}

words, count, number = st.text(max_size=8), st.integers(0, 10**9), st.floats(allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | count | number | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)


def named(values):
    return st.dictionaries(words, values, max_size=2)


scores = named(st.builds(Score, number, number, number))
gains = st.builds(Gain, words, words, number, number, number, st.sampled_from(["helps", "unclear", "hurts"]))
points = st.builds(
    Point, labels_per_class=count, scores=scores, controls=named(scores), gain=st.none() | gains, gains=named(gains)
)
records = st.builds(
    Record,
    format=st.just(FORMAT),
    name=words,
    method=words,
    settings=named(json_values),
    task=st.builds(TaskRecord, id=words, metric=words, classes=st.none() | st.lists(words, max_size=3))
    | st.builds(TaskRecord, id=words, metric=words, mean=number, scale=number),
    source=st.none()
    | st.builds(
        SourceRecord,
        spec=words,
        card=named(json_values),
        data=st.none() | st.builds(DataRecord, name=words, rows=count),
    ),
    target=st.builds(
        TargetRecord, name=words, kind=words, rows=count, notes=st.lists(words, max_size=2), splits=named(count),
        reading=named(json_values),
    ),
    scores=scores,
    controls=named(scores),
    gain=st.none() | gains,
    gains=named(gains),
    selected_by=words,
    chosen=st.lists(named(json_values), max_size=2),
    validation=named(number),
    trained_parameters=st.none() | count,
    confusion=st.none() | st.lists(st.lists(count, max_size=2), max_size=2),
    seeds=st.lists(count, max_size=3),
    seconds=named(number),
    budget=named(st.none() | count),
    curve=st.none() | st.lists(points, max_size=2),
)  # fmt: skip


@given(records)
def test_what_is_written_is_what_is_read(record):
    text = record.to_json()
    again = Record.model_validate(json.loads(text))
    assert again == record and again.to_json() == text


@pytest.mark.parametrize("name", ["normal", "curve", "fused"])
def test_a_record_of_format_1_is_read_whole(name):
    path = OLD / name / "manifest.json"
    record, written = read_record(path), json.loads(path.read_text())
    assert record.format == 1 and record.plain() == written
    assert record.target.classes == ("no", "yes") and record.target.reading == {"label": "y", "drop": ["z"]}
    if name == "fused":
        assert (record.method, record.scores, record.gain, record.seeds) == ("fuse", {}, None, ())
        assert record.source.spec == "run:runs/normal" and record.settings["alpha"] == 0.3
        return
    assert record.scores["accuracy"] == Score(**written["scores"]["accuracy"])
    assert record.gain == record.gains["target-only"] == Gain(**written["gain"])
    assert np.array(record.confusion).sum() == record.target.splits["test"] == 16
    points = written.get("curve", [])
    assert [point.labels_per_class for point in record.curve or ()] == ([2, 5] if name == "curve" else [])
    assert [point.gain for point in record.curve or ()] == [Gain(**point["gain"]) for point in points]


@pytest.mark.parametrize("name", ["normal", "curve", "fused"])
def test_a_record_of_format_1_is_reported_and_shown(name, tmp_path):
    page = write_report([OLD / name], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "t.csv" in page and read_record(OLD / name / "manifest.json").method in page
    folder = RunFolder(OLD / name)
    shown = Transfer(folder.read_record(), folder)
    if name == "fused":
        assert repr(shown) == "Transfer(fuse: no scores yet)"
        assert (shown.scores, shown.controls, shown.gain, shown.gains) == ({}, {}, None, {})
    else:
        assert repr(shown).startswith(f"Transfer(scratch: accuracy {shown.scores['accuracy'].value:.3f} [")
        assert shown.record["scores"]["accuracy"]["value"] == shown.scores["accuracy"].value


def test_scores_and_gains_are_those_of_the_evaluation():
    assert EvaluationScore is Score and EvaluationGain is Gain


def test_all_evidence_has_a_place_in_the_record():
    assert {each.name for each in fields(Evidence)} <= set(Record.model_fields)


def test_numbers_that_are_not_finite_are_kept_and_null_is_read_as_one():
    record = Record(**{**LEAST, "scores": {"a": Score(math.nan, -math.inf, math.inf)}, "validation": {"m": math.nan}})
    assert '"value": NaN,\n   "low": -Infinity,\n   "high": Infinity' in record.to_json()
    again = Record.model_validate(json.loads(record.to_json()))
    assert math.isnan(again.scores["a"].value) and again.scores["a"].high == math.inf
    assert again.to_json() == record.to_json()
    nulls = Record.model_validate({**LEAST, "scores": {"a": {"value": 1, "low": None}}})
    assert nulls.scores["a"].value == 1 and math.isnan(nulls.scores["a"].low) and math.isnan(nulls.scores["a"].high)


def test_a_task_keeps_all_of_its_state_and_later_names_are_passed_over():
    state = {"id": "regression", "metric": "r2", "mean": 1.5, "scale": 2.0}
    found = Record.model_validate({**LEAST, "task": state, "a later thing": 3, "format": FORMAT + 1})
    assert found.task.model_dump(exclude_none=True) == state and "a later thing" not in found.plain()
    assert found.plain()["task"] == state and found.format == FORMAT + 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is not a finished Sterna run: it has no manifest.json."),
        ("{", "cannot be read as JSON, so it is damaged or cut short: run the transfer again."),
        ("[]", "expected a JSON object, found list"),
        ('{"name": "some-js-package"}', "'method' is wrong"),
        (json.dumps({**LEAST, "scores": {"a": {"value": "high"}}}), "'scores.a.value' is wrong"),
        (
            json.dumps({**LEAST, "target": {"name": "t", "variance_factor": math.nan}}),
            "'target.variance_factor' is wrong",
        ),
        (json.dumps({**LEAST, "target": {"name": "t", "variance_factor": 0.5}}), "'target.variance_factor' is wrong"),
    ],
)
def test_what_is_no_record_is_one_sentence(content, words, tmp_path):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RequestError) as error:
        read_record(tmp_path / "manifest.json")
    assert words in str(error.value) and "\n" not in str(error.value)
