import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pandas as pd
import pytest

from sterna.cli.app import pairs_of, settings_of

QUICK = ("--method", "scratch", "--steps", "1", "--control", "none")


@pytest.mark.parametrize(
    "target", ["t.csv", "t.tsv", "t.parquet", "t.jsonl.gz", "prices.csv", "texts.csv", "pictures.npz", "照片"]
)
def test_any_kind_of_data_gives_one_json_object_and_no_noise(sterna, tmp_path, target):
    label = {"prices.csv": ("--label", "price"), "texts.csv": ("--text", "text")}.get(target, ())
    found = sterna("transfer", target, *label, *QUICK, "--json", "--out", tmp_path / "运行 1")
    assert found.code == 0, found.error
    assert found.error == ""
    record = json.loads(found.out)
    assert record["target"]["name"].startswith(target.split(".")[0])
    assert {"method", "settings", "task", "source", "scores", "controls", "gain", "selected_by", "seeds", "seconds",
            "peak_memory_bytes", "trained_parameters", "total_parameters", "run"} <= set(record)  # fmt: skip


def test_a_person_sees_scores_the_verdict_and_where_the_run_is(sterna, tmp_path):
    found = sterna("transfer", "t.csv", "--method", "scratch", "--steps", "2", "--seeds", "2", "--out", tmp_path / "r")
    assert found.code == 0
    for part in (
        "scratch: no source",
        "target-only",
        "accuracy",
        "gain over target-only",
        "draws of the labels: 2",
        "run folder",
    ):
        assert part in found.out
    first, second, third = found.error.splitlines()
    assert first.startswith("task: classification (told from the labels); metric: ")
    assert second == "rows: train 51, validation 13, test 16 (drawn at random, --split-seed 0)"
    assert third.startswith("classes: no 5")


def test_the_second_command_of_getting_started_works(sterna, tmp_path, files, monkeypatch):
    found = sterna("transfer", files / "t.csv", "--label", "y", "--control", "none", "--out", tmp_path / "r")
    assert found.code == 0, found.error
    assert "auto: no source" in found.out and "No method was asked for: auto" in found.out


def test_names_that_look_like_markup_are_shown_as_they_are(sterna, files, tmp_path):
    table = pd.read_csv(files / "t.csv")
    table.assign(where=["[/x]", "[bold]b"] * 40).to_csv(tmp_path / "t.csv", index=False)
    asked = ("--domain-column", "where", "--source-domain", "[/x]", "--target-domain", "[bold]b", "--method", "pooled")
    found = sterna(
        "transfer", tmp_path / "t.csv", *asked, "--control", "constant", "--seeds", "1", "--out", tmp_path / "r[/x]"
    )
    assert found.code == 0, found.error
    assert "pooled: t.csv:[/x] → " in found.out and "[bold]b" in found.out and "r[/x]" in found.out
    missing = sterna("transfer", "t.csv", "--source", "no[/x]", "--out", tmp_path / "none")
    assert missing.code == 2 and "'no[/x]' is not understood" in missing.error


def test_quiet_says_nothing(sterna, tmp_path):
    found = sterna("transfer", "t.csv", *QUICK, "--quiet", "--out", tmp_path / "r")
    assert (found.code, found.out, found.error) == (0, "", "")


def test_a_config_file_has_the_names_of_the_options(sterna, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("method: scratch\nsteps: 1\ncontrol: none\nset: {learning_rate: 0.01}\nlabels-per-class: 5\n")
    found = sterna("transfer", "t.csv", "--config", config, "--json", "--out", tmp_path / "r")
    record = json.loads(found.out)
    assert record["settings"]["learning_rate"] == 0.01
    assert record["target"]["splits"]["train"] + record["target"]["splits"]["validation"] == 10


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("method: [scratch, pooled]", "'method' of 'c.yaml' holds 2 values; it takes one."),
        ("method: scratch\nmethod: pooled", "'method' is given twice"),
        ("labels-per-class: 3\nlabels_per_class: 5", "has 'labels_per_class' twice"),
        ("set: {learning_rate: 1, learning_rate: 0.1}", "'learning_rate' is given twice"),
    ],
)
def test_a_config_file_gives_one_value_where_one_is_taken(sterna, lines, words, files):
    (files / "c.yaml").write_text(lines)
    found = sterna("transfer", "t.csv", "--config", "c.yaml")
    assert found.code == 2 and words in found.error


RULES = 'IF a > 0 AND 城市 != "b: c" THEN yes (0.9)\n# by hand\nIF a <= 0 THEN no (0.8)'


def test_rules_come_whole_from_a_config_file_and_from_an_option(sterna, tmp_path):
    config = tmp_path / "c.yaml"
    lines = "".join(f"    {line}\n" for line in RULES.splitlines())
    config.write_text(f"method: rule-head\nlabels: 0\ncontrol: none\nset:\n  rules: |\n{lines}", encoding="utf-8")
    first = sterna("transfer", "t.csv", "--config", config, "--json", "--out", tmp_path / "r1")
    options = ("--method", "rule-head", "--labels", 0, "--control", "none")
    second = sterna("transfer", "t.csv", *options, "--set", f"rules={RULES}", "--json", "--out", tmp_path / "r2")
    assert first.code == second.code == 0
    assert json.loads(first.out)["settings"]["rules"] == json.loads(second.out)["settings"]["rules"]
    assert json.loads(first.out)["settings"]["rules"].startswith('IF a > 0 AND 城市 != "b: c" THEN yes (0.9)\nIF a')


@pytest.mark.parametrize(
    "value",
    [1e-5, 3, True, None, "5", "a\nb: c # d '\"", "好😀" * 60, ["a", 2.5e-7], {f"A {i}": "c" for i in range(40)}],
)
def test_a_setting_of_a_config_file_is_the_value_it_holds(value):
    assert settings_of(pairs_of({"x": value})) == {"x": value}


def test_a_learning_curve_has_a_point_for_each_number_of_labels(sterna, tmp_path):
    found = sterna("transfer", "t.csv", *QUICK, "--curve", "2,5", "--json", "--out", tmp_path / "r")
    assert [point["labels_per_class"] for point in json.loads(found.out)["curve"]] == [2, 5]


def test_the_default_folder_is_numbered_and_resume_takes_the_latest(sterna, tmp_path, files, monkeypatch):
    command = ("transfer", files / "t.csv", *QUICK, "--json")
    here = pytest.MonkeyPatch()
    try:
        folders = []
        for _ in range(2):
            here.chdir(tmp_path)
            folders.append(json.loads(sterna(*command).out)["run"])
        assert folders == ["runs/t.csv-scratch", "runs/t.csv-scratch-2"]
        assert json.loads(sterna(*command, "--resume").out)["run"] == folders[-1]
    finally:
        here.undo()


def test_texts_that_are_cut_are_counted(sterna, tmp_path):
    import pandas as pd

    long = [" ".join(f"word{i}x{j}" for j in range(2000)) for i in range(20)]
    path = tmp_path / "long.csv"
    pd.DataFrame({"text": long, "label": ["a", "b"] * 10}).to_csv(path, index=False)
    found = sterna("transfer", path, "--text", "text", *QUICK, "--json", "--out", tmp_path / "r")
    assert any("texts are longer than" in message for message in json.loads(found.out)["messages"])


def test_what_was_decided_about_splits_is_in_the_record(sterna, tmp_path, files):
    import pandas as pd

    frame = pd.read_csv(files / "t.csv").assign(split=["train", "train", "train", "val"] * 20)
    frame.to_csv(tmp_path / "s.csv", index=False)
    found = sterna("transfer", tmp_path / "s.csv", *QUICK, "--json", "--out", tmp_path / "r")
    assert any("is the test split" in note for note in json.loads(found.out)["target"]["notes"])


def test_predictions_are_named_by_the_rows_of_the_file(sterna, tmp_path):
    import pandas as pd

    sterna("transfer", "t.csv", *QUICK, "--quiet", "--out", tmp_path / "r")
    table = pd.read_parquet(tmp_path / "r" / "predictions.parquet")
    assert table["name"].tolist() == table["row"].astype(str).tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "foo=1"), "scratch has no setting 'foo'"),
        (("--set", "learning_rat=1"), "Did you mean 'learning_rate'?"),
        (("--set", "learning_rate=-1"), "learning_rate is -1"),
        (("--set", "learning_rate"), "expected NAME=VALUE"),
        (("--method", "scrach"), "Did you mean 'scratch'"),
        (("--metric", "acuracy"), "Did you mean 'accuracy'"),
        (("--steps", "x"), "--steps is 'x'; expected a whole number."),
        (("--seconds=soon",), "--seconds is 'soon'; expected a number."),
        (("--balance", "foo"), "--balance is 'foo'; expected one of none, weights, sampler, auto."),
        (("--stepz", "4"), "No such option"),
        (("--steps", "0"), "--steps 0; expected"),
        (("--seed", "-1"), "--seed -1; expected"),
        (("--labels-per-class", "1000"), "--labels-per-class 1000 needs"),
        (("--labels", "3", "--labels-per-class", "2"), "give one of them"),
        (("--labels", "0"), "--labels 0 hides every target label, but scratch learns from them"),
        (("--curve", "a"), "--curve is 'a'"),
        (("--curve", "5,5"), "name each number of labels once"),
        (("--label", "z"), "--label z: t.csv has no such column"),
        (("--column", "a"), "expected NAME=KIND"),
        (("--task", "regression"), "regression needs numbers"),
        (("--control", "foo"), "is not one of the controls"),
        (("--source", "nope"), "The source 'nope' is not understood"),
        (("--source", "a", "--source", "a"), "--source names 'a' twice; name each once."),
        (("--source", "file:nope.pt"), "There is no file 'nope.pt'"),
        (("--architecture", "timm:resnet18"), "--architecture timm:resnet18 is for a source"),
        (("--method", "pooled"), "--method is given 2 times ('scratch', 'pooled'), but takes one value; give it once."),
        (("--labels=3", "--labels", "4"), "--labels is given 2 times ('3', '4')"),
        (("--source-domain", "a", "--source-domain", "a"), "--source-domain names 'a' twice"),
        (("--balance", "none", "--balance", "auto"), "--balance is given 2 times"),
        (("--set", "learning_rate=1", "--set", "learning-rate=0.1"), "--set learning_rate is given twice"),
        (("--column", "a=number", "--column", "a=category"), "--column a is given twice"),
        (("--config", "nope.yaml"), "there is no file 'nope.yaml'"),
        (("--resume",), "there is no run"),
    ],
)
def test_a_wrong_request_gets_one_sentence_and_leaves_nothing(sterna, tmp_path, options, words):
    out = () if options == ("--resume",) else ("--out", tmp_path / "r")
    names = {option.partition("=")[0] for option in options} if "times" not in words else ()
    usual = [one for name, value in (("--method", "scratch"), ("--steps", "1")) if name not in names
             for one in (name, value)]  # fmt: skip
    found = sterna("transfer", "t.csv", *usual, *out, *options)
    assert found.code == 2
    assert words in found.error
    assert found.error.startswith("Error: ") and found.error.count("\n") == 1 and found.out == ""
    assert not (tmp_path / "r").exists()


def test_a_run_that_exists_is_left_as_it_was(sterna, tmp_path):
    run = tmp_path / "r"
    assert sterna("transfer", "t.csv", *QUICK, "--quiet", "--out", run).code == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    again = sterna("transfer", "t.csv", *QUICK, "--out", run)
    wrong = sterna("transfer", "t.csv", *QUICK, "--out", run, "--overwrite", "--metric", "foo")
    assert (again.code, wrong.code) == (2, 2)
    assert "--overwrite" in again.error
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_folder_that_is_no_run_is_never_replaced(sterna, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    found = sterna("transfer", "t.csv", *QUICK, "--out", tmp_path, "--overwrite")
    assert found.code == 2 and "not a Sterna run" in found.error
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_code_in_a_file_of_weights_is_refused_and_never_run(sterna, tmp_path):
    import torch

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"weight": Hostile()}, tmp_path / "hostile.pt")
    found = sterna("transfer", "照片", "--source", f"file:{tmp_path / 'hostile.pt'}", "--architecture", "timm:resnet18")
    assert found.code == 2 and "nothing of it was run" in found.error
    assert not (tmp_path / "ran").exists()


def interrupted(process):
    """What a process says after Ctrl-C, pressed again where Python itself lost it.

    CPython ignores an exception raised in a weak reference's callback, which each import has, and says so.
    """
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            out, error = process.communicate(timeout=20)
            return out, re.sub(r"Exception ignored in: .*?KeyboardInterrupt: ?\n", "", error, flags=re.DOTALL)
    raise AssertionError("five times Ctrl-C, and it still runs")


def test_ctrl_c_keeps_what_was_done_and_says_how_to_go_on(files, tmp_path):
    run = tmp_path / "run 1"
    command = [sys.executable, "-m", "sterna", "transfer", "t.csv", "--method", "scratch", "--control", "none", "--out",
               str(run), "--epochs", "100000"]  # fmt: skip
    # Tests that a shell started in the background inherit a SIGINT that is ignored.
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, cwd=files, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard
    )
    try:
        deadline = time.monotonic() + 60
        while not (run / "request.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        out, error = interrupted(process)
    finally:
        process.kill()
    assert process.returncode == 1 and out == "", error
    last = error.splitlines()[-1]
    assert last.startswith("Error: Stopped") and "--resume" in last and "Traceback" not in error
    assert (run / "request.json").exists()
