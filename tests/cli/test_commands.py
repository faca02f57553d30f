import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sterna.cli import can_say_all

COMMANDS = (
    "transfer",
    "predict",
    "score",
    "rank",
    "report",
    "methods",
    "sources",
    "demo",
    "doctor",
    "fuse",
    "shift",
    "rules",
)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_fits_eighty_columns(sterna, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    found = sterna(*command, "--help")
    assert found.code == 0 and "Usage: sterna" in found.out
    assert max(map(len, found.out.splitlines())) <= 80


def test_no_argument_is_help(sterna):
    found = sterna()
    assert found.code == 0 and "transfer" in found.out


@pytest.mark.parametrize(("encoding", "written"), [
    ("ascii", "坏 🐦 \\udcff\n".encode()), ("utf-8", "坏 🐦 \\udcff\n".encode()),
    ("gbk", "坏 ".encode("gbk") + b"\\U0001f426 \\udcff\n"),
])  # fmt: skip
def test_what_is_printed_needs_no_locale(encoding, written):
    kept = io.BytesIO()
    stream = io.TextIOWrapper(kept, encoding=encoding, newline="\n")
    can_say_all(stream)
    print("坏 🐦 \udcff", file=stream, flush=True)
    assert kept.getvalue() == written


@pytest.mark.parametrize("command", ["methods", "sources", "doctor"])
def test_lists_are_json(sterna, command):
    assert json.loads(sterna(command, "--json").out)


def test_a_method_is_described_with_its_settings(sterna):
    lines = sterna("methods").out.splitlines()
    assert len(lines) <= 28 and max(map(len, lines)) <= 80
    assert [line.split()[1] for line in lines[:-1]] == [a["id"] for a in json.loads(sterna("methods", "--json").out)]
    found = sterna("methods", "fine-tuning")
    assert "learning_rate" in found.out and "References: " in found.out and "----" not in found.out


def test_an_unknown_method_or_command_is_near_a_known_one(sterna):
    for words, near in ((("methods", "fine-tunin"), "'fine-tuning'"), (("transfr",), "'transfer'")):
        found = sterna(*words)
        assert found.code == 2 and near in found.error and found.error.count("\n") == 1


@pytest.mark.parametrize("file", ["t.csv", "unlabelled.csv", "order.csv", "t.parquet", "t.jsonl.gz"])
def test_answers_do_not_depend_on_the_label_the_order_or_the_kind_of_file(sterna, runs, file):
    expected = json.loads(sterna("predict", runs / "table", "t.csv", "--json").out)
    found = json.loads(sterna("predict", runs / "table", file, "--json").out)
    assert [row["answer"] for row in found] == [row["answer"] for row in expected]


def test_answers_of_texts_and_pictures(sterna, runs, tmp_path):
    texts = sterna("predict", runs / "text", "texts.csv")
    assert texts.out.splitlines()[0] == "name,answer,p_n,p_p" and len(texts.out.splitlines()) == 41
    pictures = sterna("predict", runs / "images", "照片", "照片/红/0.png", "--out", tmp_path / "答.json", "--json")
    assert json.loads(pictures.out) == {"rows": 25, "out": str(tmp_path / "答.json"), "notes": []}
    assert len(json.loads((tmp_path / "答.json").read_text())) == 25


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("predict", "{runs}/table", "lacking.csv"), "lacking.csv: the table lacks 'b'"),
        (("predict", "{runs}/table", "nope.csv"), "There is no input 'nope.csv'"),
        (("predict", "{runs}/table", "照片"), "is a folder"),
        (("predict", "{runs}/images", "t.csv"), "is not an image"),
        (("predict", "{runs}/table", "t.csv", "--out", "x.xlsx"), "ends in .csv or .json"),
        (("predict", "{runs}/nope", "t.csv"), "There is no run folder"),
        (("predict", "{runs}", "t.csv"), "not a finished Sterna run"),
        (("score", "{runs}/table", "unlabelled.csv"), "has no such column"),
        (("score", "{runs}/table", "lacking.csv"), "lacking.csv: the table lacks 'b'"),
        (("score", "{runs}/table", "other-classes.csv"), "other-classes.csv: the label 'maybe' is none of the classes"),
        (("score", "{runs}/table", "照片"), "is a set of files, but this run learnt from a table"),
        (("score", "{runs}/images", "t.csv"), "but this run learnt from images"),
        (("report", "{runs}/nope"), "There is no run folder"),
        (("report", "t.csv"), "is a file, not a run folder"),
        (("doctor", "nope"), "There is no folder 'nope'"),
        (("predict", "{runs}/table", "照片"), "'照片' is a folder; give a file"),
    ],
)
def test_a_wrong_request_gets_one_sentence(sterna, runs, words, sentence):
    found = sterna(*(word.format(runs=runs) for word in words))
    assert found.code == 2, found.error
    assert sentence in found.error and found.error.count("\n") == 1 and found.out == ""


def test_a_run_is_scored_and_reported(sterna, runs, tmp_path):
    found = json.loads(sterna("score", runs / "table", "t.csv", "--json").out)
    assert found["rows"] == 80 and 0 <= found["scores"]["accuracy"]["value"] <= 1
    page = json.loads(sterna("report", runs / "table", runs / "images", "--out", tmp_path / "报告.html", "--json").out)
    assert (tmp_path / "报告.html").read_text(encoding="utf-8").startswith("<!")
    assert page == {"report": str(tmp_path / "报告.html")}
    assert sterna("report", runs / "table", "--out", tmp_path / "zh.html", "--lang", "zh").code == 0
    assert '<html lang="zh">' in (tmp_path / "zh.html").read_text(encoding="utf-8")
    assert "no report in the language 'fr'" in sterna("report", runs / "table", "--lang", "fr").error


def test_doctor_speaks_of_every_extra_that_a_user_may_want():
    import tomllib

    from sterna.cli.doctor import EXTRAS

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert EXTRAS.keys() == project["optional-dependencies"].keys() - {"docs", "dev", "all"}


def test_a_report_names_options_as_who_asks_for_it_types_them(sterna, runs, tmp_path):
    from sterna.report import write_report

    run = shutil.copytree(runs / "table", tmp_path / "run")
    record = {name: value for name, value in json.loads((run / "manifest.json").read_text()).items() if name != "hash"}
    record |= {"messages": ["One draw says little: use seeds=3."], "left_out": {"scratch": "control='scratch' runs it"}}
    (run / "manifest.json").write_text(json.dumps(record))
    assert sterna("report", run, "--out", tmp_path / "typed.html").code == 0
    typed, called = (tmp_path / "typed.html").read_text(), write_report([run], tmp_path / "called.html").read_text()
    for python, terminal in (("use seeds=3.", "use --seeds 3."), ("control=&#39;scratch&#39;", "--control scratch")):
        assert terminal in typed and python not in typed and python in called and terminal not in called


def test_what_inputs_do_not_say_as_they_stand_is_said_at_predict_and_score(sterna, runs, files, tmp_path):
    import pandas as pd

    import sterna as library

    frame = pd.read_csv(files / "t.csv").head(4).astype({"a": object})
    frame.loc[1, "a"], frame.loc[2, "城市"] = "Private", "广州"
    frame.to_csv(tmp_path / "odd.csv", index=False)
    number = "column 'a' of odd.csv: 1 values that are no numbers, such as 'Private', are taken as missing"
    word = "column '城市': 1 values that no training row had, such as '广州', count as no category"
    found = sterna("predict", runs / "table", tmp_path / "odd.csv", "--json")
    assert f"note: {number}\nnote: {word}\n" in found.error and len(json.loads(found.out)) == 4
    kept = sterna("predict", runs / "table", tmp_path / "odd.csv", "--out", tmp_path / "out.csv", "--json", "--quiet")
    assert json.loads(kept.out)["notes"] == [number, word] and kept.error == ""
    scored = sterna("score", runs / "table", tmp_path / "odd.csv", "--json")
    own, *notes = json.loads(scored.out)["notes"]  # two of the rows are the run's own
    assert "the run learnt from" in own and notes == [number, word] and f"note: {number}\n" in scored.error
    result = library.load_transfer(runs / "table")
    result.predict(frame)
    assert result.input_notes == (number.replace("odd.csv", "DataFrame"), word)
    result.predict(pd.read_csv(files / "t.csv"))
    assert result.input_notes == ()


def test_columns_of_another_kind_in_the_source_are_refused(sterna, tmp_path):
    (tmp_path / "numbers.csv").write_text("temp,label\n" + "37.5,a\n38.5,b\n" * 20)
    (tmp_path / "words.csv").write_text("temp,label\n" + "low,a\nhigh,b\n" * 20)
    for target, source in (("numbers", "words"), ("words", "numbers")):
        found = sterna("transfer", tmp_path / f"{target}.csv", "--source-data", tmp_path / f"{source}.csv",
                       "--method", "pooled", "--control", "none", "--out", tmp_path / "run")  # fmt: skip
        assert found.code == 2 and f"Column 'temp' holds {source} in {source}.csv" in found.error


def test_a_reader_that_leaves_early_causes_no_noise(runs, files):
    command = f"{sys.executable} -m sterna predict {runs}/table t.csv | head -1"
    found = subprocess.run(["bash", "-c", command], cwd=files, capture_output=True, text=True)
    assert found.stderr == "" and found.stdout.startswith("name,")


def test_importing_and_help_cost_no_torch():
    heavy = ("torch", "pandas", "sklearn")
    code = f"import sterna, sterna.cli.commands, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_doctor_tidies_what_killed_commands_left(sterna, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / "table", "runs/t")
    left = ("", "runs", "runs/t", "runs/t/network")
    for place in left:
        Path(place, ".x.csv.0123abcd.sterna").write_text("half")
    Path("elsewhere/deep").mkdir(parents=True)
    Path("elsewhere/deep", ".x.csv.0123abcd.sterna").write_text("half")
    assert json.loads(sterna("doctor", "--json").out)["tidied"] == [str(Path(place, "x.csv")) for place in left]
    assert json.loads(sterna("doctor", "elsewhere/deep", "--json").out)["tidied"] == ["elsewhere/deep/x.csv"]
    assert not [path for path in tmp_path.rglob("*.sterna")]
    assert json.loads(sterna("doctor", "--json").out)["tidied"] == []


def test_a_long_name_a_folder_and_a_closed_cache_are_one_sentence(sterna, runs, files, monkeypatch):
    for words in (
        ("transfer", "t.csv", "--method", "target-only", "--quiet", "--out", "x" * 300),
        ("predict", runs / "table", "t.csv", "--out", "x" * 300 + ".csv"),
        ("report", runs / "table", "--out", "x" * 300 + ".html"),
        ("fuse", runs / "table", runs / "table", "--out", "x" * 300),
        ("rules", "extract", runs / "table", "--out", "x" * 300),
    ):
        found = sterna(*words)
        assert found.code in (1, 2) and found.error.count("\n") == 1, words
        assert "shorter name" in found.error, (words, found.error)
    monkeypatch.setenv("STERNA_CACHE_GB", "abc")
    for words in (("transfer", "t.csv", "--method", "target-only"), ("doctor",), ("predict", runs / "table", "t.csv")):
        assert "STERNA_CACHE_GB is 'abc'; expected gigabytes" in sterna(*words).error


def test_a_home_of_nobody_and_a_name_that_no_file_has_are_one_sentence(sterna, runs):
    table = runs / "table"
    for words in (
        ("transfer", "~nobody-here/t.csv"),
        ("shift", "~nobody-here/t.csv", "t.csv"),
        *(("transfer", "t.csv", "--source", f"{form}~nobody-here") for form in ("file:", "run:", "hf/")),
    ):
        found = sterna(*words)
        assert found.code == 2 and "~nobody-here" in found.error and found.error.count("\n") == 1, words
    for words in (("predict", table, "x" * 300 + ".csv"), ("score", table, "x" * 300 + ".csv"), ("doctor", "x" * 300)):
        found = sterna(*words)
        assert found.error.count("\n") == 1 and "Unexpected" not in found.error, (words, found.error)


def test_the_demo_tells_of_the_data_once_and_in_the_words_of_the_terminal(sterna, runs, tmp_path, monkeypatch):
    from sterna import load_transfer
    from sterna.cli import demo
    from sterna.experiment import run as experiment

    def told_of(source, target, request, progress, told):
        told("rows: train 40 (drawn at random, split_seed=0)")
        told(f"{request.method}: fit 1 of 3")
        return load_transfer(runs / "table")

    monkeypatch.setattr(experiment, "run", told_of)
    monkeypatch.setattr("sterna.sources.load_source", lambda spec: None)
    monkeypatch.setattr(demo, "demo_domain", lambda name: None)
    found = sterna("demo", "pneumonia", "--out", tmp_path)
    assert found.code == 0 and found.error.splitlines() == [
        "rows: train 40 (drawn at random, --split-seed 0)", "feature-extraction: fit 1 of 3", "fine-tuning: fit 1 of 3",
    ]  # fmt: skip
