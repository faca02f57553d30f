"""What methods are called, need, and accept."""

import re
from pathlib import Path

import pytest

from sterna import RequestError, list_methods
from sterna.methods.method import Needs, check_needs, make_method, method_class, method_ids

FIRST = {"scratch", "target-only", "source-only", "feature-extraction", "fine-tuning"}


def test_every_method_is_found_and_tells_about_itself():
    found = {about["id"]: about for about in list_methods()}
    assert set(found) >= FIRST
    for name, about in found.items():
        assert method_class(name).id() == name
        assert about["kind"] in method_ids()[name]
        assert about["summary"].endswith(".") and len(about["summary"]) < 140
        assert all(setting["description"] for setting in about["settings"]), name


def test_methods_are_frozen_values():
    method = make_method("fine-tuning", {"learning_rate": 0.01})
    with pytest.raises(Exception, match="frozen"):
        method.learning_rate = 1.0
    assert method == make_method("fine-tuning", {"learning_rate": 0.01})


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("fine-tunning", {}, r"no method 'fine-tunning'. Did you mean 'fine-tuning'"),
        ("fine-tuning", {"learning_rat": 1}, "no setting 'learning_rat'. Did you mean 'learning_rate'"),
        ("fine-tuning", {"learning_rate": -1}, "learning_rate is -1.*greater than 0.*sterna methods fine-tuning"),
        ("fine-tuning", {"layer_decay": 1.5}, "layer_decay is 1.5.*less than or equal to 1"),
        ("feature-extraction", {"penalty": 0}, "penalty is 0"),
        ("source-only", {"x": 1}, "Its settings: none"),
    ],
)
def test_a_wrong_name_or_setting_gets_one_sentence(name, settings, words):
    with pytest.raises(RequestError, match=words):
        make_method(name, settings)


def test_needs_that_are_not_met_name_the_methods_that_fit():
    with pytest.raises(RequestError, match=r"needs a source model \(--source\).*these fit: .*target-only"):
        check_needs(make_method("fine-tuning"), Needs.TARGET_LABELS, list(method_ids()))
    with pytest.raises(RequestError, match="these fit: none"):
        check_needs(make_method("scratch"), Needs.NOTHING, list(method_ids()))
    check_needs(make_method("scratch"), Needs.TARGET_LABELS, list(method_ids()))


def test_a_run_keeps_the_rules_and_not_the_name_of_their_file(tmp_path):
    path = tmp_path / "rules.txt"
    path.write_text("# by hand\nIF age >= 60 THEN yes (0.8)\n", encoding="utf-8")
    first = make_method("weak-labels", {"rules": str(path), "columns": "AGE=age"})
    assert "age >= 60" in first.rules and "0.8" in first.rules and first.columns == {"AGE": "age"}
    path.write_text("IF age >= 70 THEN yes (0.8)\n", encoding="utf-8")
    assert make_method("weak-labels", {"rules": str(path)}).rules != first.rules
    path.write_text("IF age >= 70\nTHEN\n", encoding="utf-8")
    with pytest.raises(RequestError, match="line"):
        make_method("weak-labels", {"rules": str(path)})


def test_without_source_data_nothing_is_said_of_what_they_should_be_like():
    with pytest.raises(RequestError, match=r"^dann needs labelled source data \(--source-data\); with what there is"):
        check_needs(make_method("dann"), Needs.TARGET_LABELS | Needs.UNLABELLED_TARGET, list(method_ids()))


@pytest.mark.parametrize(
    ("name", "settings", "use", "few", "many"),
    [
        ("feature-extraction", {}, "joined", True, True),
        ("scratch", {}, "epoch", True, False),
        ("dann", {}, "kept", False, False),
        ("fine-tuning", {}, "kept", False, False),  # it chooses its share by them, and sees to all labels itself
        ("fine-tuning", {"share": 0.5}, "epoch", True, False),
        ("fine-tuning", {"linear_probe": False}, "epoch", True, False),
    ],
)
def test_validation_rows_are_trained_on_in_the_end_where_they_chose_nothing(
    name, settings, use, few, many, digits, problem_of
):
    method = make_method(name, settings)
    assert method.validated() == use
    for rows, expected in ((0, few), (99, few), (100, many)):
        problem, _ = problem_of(None, digits(200, splits=(60, rows)))
        assert method.refits(problem) is expected


PAGES = Path(__file__).parents[2] / "docs" / "methods"


@pytest.mark.parametrize("name", method_ids())
def test_every_method_has_a_page_in_both_languages_with_an_example_that_runs(name, capsys):
    english, chinese = ((PAGES / f"{name}{end}").read_text("utf-8") for end in (".md", ".zh.md"))
    assert english.splitlines()[0] == chinese.splitlines()[0] == f"# {name}"
    if method_class(name).kind() != "controls":
        assert "when it hurts" in english.lower() and "何时有害" in chinese
        assert "**Paper" in english or "arXiv" in english
    code, same = (re.search(r"```python\n(.*?)```", page, re.DOTALL)[1] for page in (english, chinese))
    assert code == same and f'method="{name}"' in code
    exec(compile(code, f"{name}.md", "exec"), {})
    assert capsys.readouterr().out.startswith(f"Transfer({name}: ")
