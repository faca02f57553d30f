"""The package of examples/sterna-tides, installed and used: every door that docs/extending.md shows is open."""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import cohen_kappa_score

import sterna
from sterna import RequestError
from sterna.cli.doctor import added
from sterna.sources import list_sources, load_source
from sterna.tasks import Regression, infer_task

PACKAGE = Path(__file__).parents[1] / "examples" / "sterna-tides"
GRADES = ["calm", "watch", "warning", "severe"]
METRICS = ["grade_error", "accuracy", "log_loss", "quadratic_kappa"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that the package is installed in."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(PACKAGE, folder / "source")  # a build leaves files behind
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder / "site"), str(folder / "source")], check=True)
    return folder / "site"


@pytest.fixture
def tides(site, monkeypatch):
    """The package, installed for this process; gives its modules by name."""
    monkeypatch.syspath_prepend(site)
    yield lambda name: importlib.import_module(f"sterna_tides.{name}")
    for name in [name for name in sys.modules if name.startswith("sterna_tides")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def bight(tmp_path_factory):
    """A file of 10 gauges on 24 days: three days of hourly levels, and the grade of the highest water of the next."""
    random, hours = np.random.default_rng(0), np.arange(96)
    lines = [{"grades": GRADES}]
    for station in range(10):
        usual = random.uniform(0.6, 1.4)
        for day in range(24):
            moon = 1 + 0.4 * np.cos(2 * np.pi * day / 14.77)
            level = random.gumbel(0, 0.25) + random.normal(0, 0.05, 96)
            for period, size in ((23.934, 0.15), (12.421, usual * moon), (6.21, 0.1 * usual)):
                level += size * np.cos(2 * np.pi * (hours / period + random.random()))
            grade = GRADES[int(np.searchsorted([1.0, 1.4, 1.8], level[72:].max()))]
            levels = level[:72].round(3).tolist()
            lines.append({"station": f"gauge {station}", "day": f"2025-01-{day + 1:02}", "levels": levels})
            lines[-1]["grade"] = None if day == 0 else grade
    path = tmp_path_factory.mktemp("data") / "bight.tides"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def command(site, *arguments):
    """What ``sterna ...`` prints where the package is installed, in a process of its own."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = subprocess.run(
        [sys.executable, "-m", "sterna", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def run(site, bight, tmp_path_factory):
    """A run that needs every part of the package: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    printed = command(
        site, "transfer", bight, "--source", "packaged/three-day-tides", "--method", "principal-features",
        "--set", "components=4", "--task", "grades", "--metric", "quadratic_kappa", "--labels-per-class", 12,
        "--epochs", 40, "--seeds", 1, "--out", folder, "--json", "--quiet",
    )  # fmt: skip
    return folder, json.loads(printed)


# -- from the command line ------------------------------------------------------------------------------


def test_its_method_is_listed_with_what_it_needs_and_its_settings(site):
    found = {about["id"]: about for about in json.loads(command(site, "methods", "--json"))}
    about = found["principal-features"]
    assert list(found)[-1] == "principal-features" and len(found) > 20
    assert about["kind"] == "features" and about["needs"] == ["labelled target examples"]
    assert [(s["name"], s["default"], s["values"]) for s in about["settings"]] == [
        ("components", 8, "whole number ≥ 1")
    ]


def test_a_run_is_scored_by_its_metric_and_its_task_beside_controls_of_its_kind(run):
    folder, record = run
    table = pd.read_parquet(folder / "predictions.parquet")
    number = {grade: i for i, grade in enumerate(GRADES)}
    truth, values = table["label"].map(number), {}
    for name, column in (
        ("principal-features", "answer"),
        *((c, f"control_{c}") for c in ("constant", "target-only", "scratch")),
    ):
        answers = table[column].map(number)
        kappa = cohen_kappa_score(truth, answers, weights="quadratic")
        values[name] = {"quadratic_kappa": kappa, "grade_error": (answers - truth).abs().mean()}
        values[name]["accuracy"] = (answers == truth).mean()
    sides = {"principal-features": record["scores"], **record["controls"]}
    assert set(sides) == set(values) and record["task"]["metric"] == "quadratic_kappa"
    for name, metrics in values.items():
        assert list(sides[name]) == METRICS
        for metric, value in metrics.items():
            score = sides[name][metric]
            assert score["value"] == pytest.approx(value, abs=1e-12), (name, metric)
            spread = score["low"] < score["value"] < score["high"]
            assert spread or (name, metric) == ("constant", "quadratic_kappa"), (name, metric, score)  # always 0
    over = record["gain"]["control"]
    gained = values["principal-features"]["quadratic_kappa"] - values[over]["quadratic_kappa"]
    assert record["gain"]["value"] == pytest.approx(gained, abs=1e-12)
    assert record["gain"]["value"] == min(gain["value"] for gain in record["gains"].values())
    assert record["gain"]["verdict"] == "unclear"  # one draw of 48 labels, and rows of two stations alone
    p = table[[f"p_{grade}" for grade in GRADES]].to_numpy()
    above = [p[:, j + 1 :].sum(1) for j in range(3)]
    sides_of_label = [np.where(truth > j, above[j], 1 - above[j]) for j in range(3)]
    assert record["scores"]["log_loss"]["value"] == pytest.approx(-np.log(sides_of_label).sum(0).mean(), rel=1e-6)


def test_its_rows_are_split_by_station_and_a_row_without_a_grade_has_no_label(run):
    folder, record = run
    names = pd.read_parquet(folder / "predictions.parquet")["name"].str.rsplit(" ", n=1, expand=True)
    assert (names[0].value_counts() == 23).all() and names[0].nunique() == 2 and "2025-01-01" not in set(names[1])
    splits = record["target"]["splits"]
    assert splits["train"] + splits["validation"] == 48 and splits["unlabelled"] == 8 * 24 - 48 and splits["test"] == 46
    assert record["target"]["kind"] == "tides" and record["task"]["classes"] == GRADES


def test_new_rows_are_answered_as_those_of_the_run_were(site, run, bight):
    folder, _ = run
    found = pd.DataFrame(json.loads(command(site, "predict", folder, bight, "--json", "--quiet"))).set_index("name")
    table = pd.read_parquet(folder / "predictions.parquet").set_index("name")
    assert len(found) == 240 and len(table) > 20 and set(table.index) < set(found.index)
    assert (found.loc[table.index, "answer"] == table["answer"]).all()
    p = [f"p_{grade}" for grade in GRADES]
    np.testing.assert_allclose(found.loc[table.index, p], table[p], rtol=1e-4, atol=1e-6)
    median = np.array(GRADES)[(found[p].to_numpy().cumsum(1) < 0.5).sum(1)]
    assert (median == found["answer"]).all()


def test_the_report_knows_its_metrics(site, run, tmp_path):
    folder, record = run
    command(site, "report", folder, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    row = page[page.index("<bdi>grade error</bdi>") :].partition("</tr>")[0]
    assert "smaller is better" in row
    best = min(side["grade_error"]["value"] for side in (record["scores"], *record["controls"].values()))
    assert f'<span class="best"><data value="{best!r}">' in row
    assert "Quadratic kappa is" in page and "a grade, scored by quadratic kappa" in page


# -- each part ------------------------------------------------------------------------------------------


def test_doctor_and_the_list_of_sources_name_what_it_adds(tides):
    assert added()["sterna-tides 0.1"] == [
        "kinds/tides", "loaders/tides", "methods/principal-features", "metrics/quadratic_kappa",
        "preparations/tides", "readers/tides", "sources/three-day-tides", "tasks/grades",
    ]  # fmt: skip
    listed = {each.spec: (each.kind, each.note) for each in list_sources()}
    assert listed["packaged/three-day-tides"] == ("tides", "Amplitudes of the tides in records of 72 hours.")
    assert listed["tides/<hours>"] == ("tides", "amplitudes of the tides in records of so many hours")


def test_its_source_says_the_amplitudes_of_the_tides(tides):
    hours = np.arange(72)
    level = 0.3 + 1.1 * np.cos(2 * np.pi * hours / 12.421 + 0.7) + 0.2 * np.sin(2 * np.pi * hours / 23.934)
    features = load_source("packaged/three-day-tides").body(torch.tensor(level, dtype=torch.float32)[None])
    np.testing.assert_allclose(features.detach().numpy()[0], [0.3, 0.2, 1.1, 0.0], atol=1e-4)


def test_its_form_of_sources_is_loaded_and_refused(tides):
    source = load_source("tides/96")
    assert (source.spec, source.kind, source.body.width, source.preparation.hours) == ("tides/96", "tides", 4, 96)
    with pytest.raises(RequestError, match="'tides/a day' asks for the tides of a day hours; 48 or more"):
        load_source("tides/a day")


def test_its_source_can_be_trained_saved_and_loaded(tides, bight, tmp_path):
    domain = sterna.load_domain(bight)
    options = {"method": "fine-tuning", "labels_per_class": 8, "epochs": 2, "control": "none"}
    result = sterna.transfer("tides/72", domain, task="grades", out=tmp_path / "run", **options)
    again = sterna.load_transfer(tmp_path / "run")
    assert result.evidence.task.metric == "grade_error"
    assert again.network.body.recipe["options"] == {"hours": 72}
    assert (again.predict(domain) == result.predict(domain)).all()
    assert set(again.score(domain)) == {"grade_error", "accuracy", "log_loss"}


@pytest.mark.parametrize("method", ["coral", "label-propagation"])
def test_methods_of_sterna_move_labels_of_other_records_to_these(tides, bight, tmp_path, method):
    lines = bight.read_text().splitlines()
    for name, some in (("north", lines[1:121]), ("south", lines[121:])):
        (tmp_path / f"{name}.tides").write_text("\n".join([lines[0], *some]))
    north, south = (sterna.load_domain(tmp_path / f"{name}.tides") for name in ("north", "south"))
    source = load_source("tides/72").with_data(north)
    options = {"task": "grades", "metric": "quadratic_kappa", "labels": 0, "control": "none"}
    result = sterna.transfer(source, south, method=method, out=tmp_path / "run", **options)
    assert result.scores["quadratic_kappa"].value > 0.7


def test_the_loss_of_grades_is_that_of_every_step_between_two(tides):
    task = tides("grades").Grades(tuple(GRADES))
    logits, codes = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double(), torch.arange(50) % 4
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = [
        -sum(np.log(p[i, j + 1 :].sum() if codes[i] > j else p[i, : j + 1].sum()) for j in range(3)) for i in range(50)
    ]
    np.testing.assert_allclose(task.losses(logits, codes).numpy(), expected, rtol=1e-10)
    shares = torch.nn.functional.one_hot(codes, 4).double()
    np.testing.assert_allclose(task.losses(logits, shares), expected, rtol=1e-10)
    mixed = (task.losses(logits, codes) + task.losses(logits, 3 - codes)) / 2  # half one grade, half another
    np.testing.assert_allclose(task.losses(logits, (shares + shares.flip(1)) / 2), mixed, rtol=1e-10)
    distance = np.abs(np.arange(4)[:, None] - np.arange(4))  # the answer has the smallest expected error
    assert (task.codes(logits.numpy()) == (p @ distance).argmin(1)).all()


def test_weights_of_a_resample_are_rows_that_were_repeated(tides):
    task = tides("grades").Grades(tuple(GRADES), "quadratic_kappa")
    random = np.random.default_rng(0)
    outputs, codes, weights = random.normal(size=(30, 4)), random.integers(0, 4, 30), random.integers(0, 4, (5, 30))
    found = task.metrics(task.statistics(outputs, codes), weights)
    assert list(found) == METRICS
    for i, counts in enumerate(weights):
        rows = np.repeat(np.arange(30), counts)
        again = task.metrics(task.statistics(outputs[rows], codes[rows]))
        for name in METRICS:
            assert found[name][i] == pytest.approx(again[name][0], abs=1e-12), name
    assert task.higher_is_better("quadratic_kappa") and not task.higher_is_better("grade_error")


def test_its_metric_scores_classes_too_and_is_refused_for_numbers(tides):
    domain = sterna.Domain.from_arrays(np.arange(8.0)[:, None], ["a", "b", "c", "b"] * 2)
    task = infer_task(domain, metric="quadratic_kappa")
    outputs, codes = np.eye(3)[[0, 1, 2, 2, 0, 1, 1, 0]], task.encode(domain.labels)
    expected = cohen_kappa_score(codes, outputs.argmax(1), weights="quadratic")
    assert task.metrics(task.statistics(outputs, codes))["quadratic_kappa"][0] == pytest.approx(expected, abs=1e-12)
    assert "quadratic_kappa" not in infer_task(domain).metrics(task.statistics(outputs, codes))
    with pytest.raises(RequestError, match="'quadratic_kappa' is unknown for regression; it has r2, rmse, mae, mse"):
        Regression("quadratic_kappa")
    with pytest.raises(RequestError, match="it has accuracy, .*, quadratic_kappa. Did you mean 'quadratic_kappa'"):
        infer_task(domain, metric="quadratic_kapa")


def test_grades_need_an_order_and_records_one_length(tides, tmp_path):
    with pytest.raises(RequestError, match="'arrays' does not name its grades in their order"):
        infer_task(sterna.Domain.from_arrays(np.arange(4.0)[:, None], ["a", "b"] * 2), "grades")
    rows = [{"grades": ["a", "b"]}, *({"station": "s", "day": "d", "levels": [0.0] * n} for n in (2, 3))]
    (tmp_path / "x.tides").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(RequestError, match=r"x\.tides has records of \[2, 3\] hours; one length was expected"):
        sterna.load_domain(tmp_path / "x.tides")
    with pytest.raises(RequestError, match="label='grade' is for tables, but .* is a file of tide records"):
        sterna.load_domain(tmp_path / "x.tides", label="grade")


def test_principal_axes_are_those_of_an_independent_implementation(tides):
    x = np.random.default_rng(0).normal(size=(40, 6)) @ np.diag([5.0, 3, 2, 1, 0.5, 0])
    axes, centre = tides("principal_features").principal_axes(x, 3)
    other = PCA(3).fit(x)
    np.testing.assert_allclose(np.abs((axes * other.components_).sum(1)), 1, atol=1e-9)
    np.testing.assert_allclose(centre, other.mean_)
    layer = tides("principal_features").projection(axes, centre)
    np.testing.assert_allclose(
        layer(torch.tensor(x).float()).detach().numpy(), (x - centre) @ axes.T, atol=1e-5, rtol=1e-4
    )
    assert len(tides("principal_features").principal_axes(x, 9)[0]) == 5  # the sixth does not vary


def test_a_method_needs_few_names_of_sterna():
    tree = ast.parse((PACKAGE / "sterna_tides" / "principal_features.py").read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module.startswith("sterna")]
    assert {name.name for node in imports for name in node.names} == {"Bench", "Fitted", "Method", "Needs"}
