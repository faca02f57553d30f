"""What methods are called, need, and accept."""

import json
import re
import sys
from pathlib import Path

import pytest

from sterna import RequestError, list_methods, transfer
from sterna.cli import main
from sterna.experiment import plan
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


@pytest.mark.parametrize("word", ["none", "None", "null", None])
def test_where_the_list_says_or_none_the_word_is_taken(word):
    found = 0
    for name in method_ids():
        for setting in method_class(name).about()["settings"]:
            if " or none" in setting["values"]:
                assert getattr(make_method(name, {setting["name"]: word}), setting["name"]) is None
                found += 1
    assert found >= 4
    with pytest.raises(RequestError, match="setting layer_decay is"):
        make_method("fine-tuning", {"layer_decay": word})


@pytest.mark.parametrize("name", sorted(method_ids()))
def test_a_setting_of_a_wrong_type_is_named_without_inner_paths(name):
    for setting in method_class(name).about()["settings"]:
        for wrong in ({"x": {"y": 1}}, [[object()]], -(10**9)):
            try:
                make_method(name, {setting["name"]: wrong})
            except RequestError as error:
                assert f"{setting['name']}." not in str(error) and "[" not in str(error).partition(" is ")[0]


def test_needs_that_are_not_met_name_the_methods_that_fit():
    with pytest.raises(RequestError, match=r"needs a source model \(source=\).*these fit: .*target-only"):
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
    with pytest.raises(
        RequestError, match=r"^dann needs labelled source data \(source=load_domain\(...\)\); with what there is"
    ):
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


CONSTANT = '''
"""constant-answer: the class that most labels have."""

from pydantic import Field

from sterna.bench import Bench, Fitted
from sterna.methods.method import Method, Needs


class ConstantAnswer(Method):
    """Every row gets the class that most training rows have.

    What moves: the share of each class.
    """

    needs = Needs.TARGET_LABELS
    knowledge = "examples"

    power: float = Field(1.0, ge=0, le=4, description="of the shares")

    def run(self, bench: Bench) -> Fitted:
        network = bench.fresh(bench.problem.inputs)
        network.head.weight.data.zero_()
        counts = [float((bench.problem.targets[bench.problem.train] == i).sum()) for i in range(bench.task.outputs)]
        network.head.bias.data[:] = network.head.bias.new_tensor(counts) * self.power
        return Fitted(network)
'''


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package that adds a method by an entry point, as pip would have installed it."""
    about = tmp_path / "site" / "terns-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: terns\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[sterna.methods]\nconstant-answer = terns.constant_answer:ConstantAnswer\n"
    )
    (tmp_path / "site" / "terns").mkdir()
    (tmp_path / "site" / "terns" / "__init__.py").write_text("")
    (tmp_path / "site" / "terns" / "constant_answer.py").write_text(CONSTANT)
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    for name in ("terns", "terns.constant_answer"):
        sys.modules.pop(name, None)


def test_another_package_adds_a_method_by_an_entry_point(packaged):
    assert method_ids()["constant-answer"] == "terns.constant_answer"
    cls = method_class("constant-answer")
    assert (cls.id(), cls.kind(), cls.__name__) == ("constant-answer", "examples", "ConstantAnswer")
    assert make_method("constant-answer", {"power": 2}).power == 2
    with pytest.raises(RequestError, match="constant-answer: setting power is 5, but .*sterna methods constant-answer"):
        make_method("constant-answer", {"power": 5})
    with pytest.raises(RequestError, match="no method 'constant-anser'. Did you mean 'constant-answer'"):
        make_method("constant-anser")


def test_such_a_method_is_listed_and_described_as_all_others(packaged, capfd, monkeypatch):
    def shown(*words):
        monkeypatch.setattr(sys, "argv", ["sterna", "methods", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capfd.readouterr().out

    every = {about["id"]: about for about in json.loads(shown("--json"))}
    assert set(every) > FIRST
    about = every["constant-answer"]
    assert about["kind"] == "examples" and about["needs"] == ["labelled target examples"]
    assert about["summary"] == "Every row gets the class that most training rows have."
    power = {"name": "power", "default": 1.0, "values": "number ≥ 0 ≤ 4", "description": "of the shares"}
    assert about["settings"] == [power]
    text = shown("constant-answer")
    assert text.startswith("constant-answer (examples)") and "number ≥ 0 ≤ 4" in text and "of the shares" in text


def test_such_a_method_runs(packaged, digits):
    domain = digits(120)
    result = transfer(None, domain, method="constant-answer", control="none", seeds=1)
    answers = set(result.predict(domain.inputs.take(range(20))))
    assert len(answers) == 1 and result.record["method"] == "constant-answer"


def test_such_a_method_may_be_a_control(packaged, digits, monkeypatch):
    monkeypatch.setattr(method_class("constant-answer"), "knowledge", "controls")
    result = transfer(None, digits(120), method="target-only", control="constant-answer", epochs=1, seeds=1)
    assert list(result.controls) == ["constant-answer"] and result.gain.control == "constant-answer"
    with pytest.raises(RequestError, match="not one of the controls: .*, constant-answer, ablation"):
        transfer(None, digits(120), method="target-only", control="fine-tuning", seeds=1)


PAGES = Path(__file__).parents[2] / "docs" / "methods"


@pytest.mark.parametrize("name", method_ids())
def test_every_method_has_a_page_in_both_languages_with_an_example_that_runs(name, capsys, monkeypatch):
    for draws in ("DRAWS", "DEAR_DRAWS"):
        monkeypatch.setattr(plan, draws, 1)
    english, chinese = ((PAGES / f"{name}{end}").read_text("utf-8") for end in (".md", ".zh.md"))
    assert english.splitlines()[0] == chinese.splitlines()[0] == f"# {name}"
    if method_class(name).kind() != "controls":
        assert "when it hurts" in english.lower() and "何时有害" in chinese
        assert "**Paper" in english or "arXiv" in english
    code, same = (re.search(r"```python\n(.*?)```", page, re.DOTALL)[1] for page in (english, chinese))
    assert code == same and f'method="{name}"' in code
    exec(compile(code, f"{name}.md", "exec"), {})
    assert capsys.readouterr().out.startswith(f"Transfer({name}: ")


def test_settings_that_exclude_each_other_are_refused_before_anything_is_written(source, digits, tmp_path):
    wrong = {"share": 0.5, "linear_probe": False}
    sentence = r"^fine-tuning: share weighs the linear probe, but linear_probe is false; leave one of the two out\.$"
    with pytest.raises(RequestError, match=sentence):
        make_method("fine-tuning", wrong)
    with pytest.raises(RequestError, match=sentence):
        transfer(source, digits(60), method="fine-tuning", settings=wrong, out=tmp_path / "run", seeds=1)
    assert not list(tmp_path.iterdir())
    assert make_method("fine-tuning", {"linear_probe": False}).share is None
