"""A column that gives the label away is named; an honest strong one is not."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from sterna import Domain, load_domain
from sterna.experiment.proxies import giving_away
from sterna.tasks import infer_task

DATA = Path(os.environ.get("STERNA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def named(domain):
    task = infer_task(domain)
    targets, _ = task.matched(domain)
    return giving_away(domain, task, targets, np.flatnonzero(task.labelled(targets)))


def shared(name, label, **more):
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not in {DATA}; set STERNA_DATA")
    return load_domain(DATA / name, label=label, **more)


def test_the_grade_of_a_disease_gives_the_disease_away():
    (note,) = named(shared("tab_heart_4hospitals.csv.gz", "disease"))
    assert note.startswith("Column 'num' alone tells the label of 100.0% of labelled rows") and "drop=['num']" in note


@pytest.mark.parametrize(
    ("name", "label", "drop"),
    [
        ("tab_heart_4hospitals.csv.gz", "disease", ["num"]),
        ("tab_credit_german.csv.gz", "bad_credit", []),
        ("tab_bike_dc_seoul.csv.gz", "count", []),
    ],
)
def test_real_columns_are_honest(name, label, drop):
    assert not named(shared(name, label, drop=drop))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_strong_columns_are_honest(name):
    found = getattr(datasets, f"load_{name}")()
    assert not named(Domain.from_arrays(found.data, [str(code) for code in found.target]))


def made(n=80, **columns):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"u": random.normal(size=n), "v": random.choice(["x", "y"], n)})
    return frame.assign(**columns), random


def test_a_code_a_missing_cell_and_another_unit_are_named():
    frame, random = made()
    yes = frame["u"].to_numpy() + random.normal(size=80) > 0
    code = random.permutation(["p", "q"])[yes * 1]
    ended = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(80), "D")).where(yes)
    labels = np.where(yes, "ill", "well")
    told = named(Domain.from_arrays(frame.assign(code=code, ended=ended), labels))
    assert [note.split("'")[1] for note in told] == ["code", "ended"]
    price = random.normal(size=80) * 10 + 50
    told = named(Domain.from_arrays(frame.assign(pounds=price * 0.8 + 0.001, rank=np.exp(price / 10)), price))
    assert [note.split("'")[1] for note in told] == ["pounds", "rank"]
    assert not named(Domain.from_arrays(frame.assign(near=price + random.normal(size=80)), price))


def test_nothing_is_said_of_few_rows_one_column_or_very_many():
    random = np.random.default_rng(0)
    labels = np.where(np.arange(80) % 2, "a", "b")
    table = pd.DataFrame({"code": labels, "u": random.normal(size=80)})
    assert named(Domain.from_arrays(table, labels))
    assert not named(Domain.from_arrays(table[:30], labels[:30]))
    assert not named(Domain.from_arrays(table[["u"]].assign(u=(labels == "a") * 1.0 + random.random(80) / 2), labels))
    wide = random.normal(size=(80, 90)) + 9 * (labels == "a")[:, None]
    assert not named(Domain.from_arrays(wide, labels))


@pytest.mark.parametrize("known", [True, False])
def test_what_tells_the_patient_says_nothing_of_other_patients(known):
    """Labels are a coin for each of twelve patients: their ages tell all rows, as long as rows of one are parted."""
    patients = np.repeat(np.arange(12), 20)
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": 30 + 4 * patients, "u": random.normal(size=240)}).assign(
        patient=[f"p{i}" for i in patients], y=np.array(list("ababbaabbaab"))[patients]
    )
    notes = named(load_domain(frame, label="y", **({"group": "patient"} if known else {"drop": ["patient"]})))
    assert [note.split("'")[1] for note in notes] == ([] if known else ["age"])
