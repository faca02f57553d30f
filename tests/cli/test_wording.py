"""Sentences that name arguments of Python, as the terminal writes them."""

import ast
import re
from pathlib import Path

import pytest

import sterna
from sterna.cli.wording import OF_THE_SOURCE, in_terminal
from sterna.record.request import options


@pytest.mark.parametrize(
    ("python", "terminal"),
    [
        ("labels_per_class=5 needs more.", "--labels-per-class 5 needs more."),
        ("name their column with label=...", "name their column with --label ..."),
        ("say label=NAME, or test= later", "say --label NAME, or --test later"),
        ("use task='multilabel'.", "use --task multilabel."),
        ("the size is test_size=0.2.", "the size is --test-size 0.2."),
        ("go on with resume=True; or overwrite=True.", "go on with --resume; or --overwrite."),
        ("columns={'zip': 'category'} keeps it", "--column zip=category keeps it"),
        ("leave it out with drop=['the id']", "leave it out with --drop 'the id'"),
        ("map_classes={'cat': 'Cat', 'sea lions': 'Sea-Lion'} makes",
         "--map-classes cat=Cat --map-classes 'sea lions=Sea-Lion' makes"),
        ("settings={'rules': 'FILE'}", "--set rules=FILE"),
        ("(settings={'learning_rate': ...}), or", "(--set learning_rate=...), or"),
        ("settings={'columns': 'AGE=age,SEX=sex'}.", "--set columns=AGE=age,SEX=sex."),
        ("needs trust=['m:one', 'm:two'].", "needs --trust m:one --trust m:two."),
        ("such source data (source=load_domain(...)); a", "such source data (--source-data ...); a"),
        ("packaged/minilm-l6 (body=load_source('packaged/minilm-l6')).",
         "packaged/minilm-l6 (--source packaged/minilm-l6)."),
        ("out='runs/my run' is a folder", "--out 'runs/my run' is a folder"),
        ("architecture='timm:<name>', such as", "--architecture 'timm:<name>', such as"),
        ("as image_size=.", "as --image-size."),
        ("curve=[5, 10] is", "--curve 5,10 is"),
        ("source='packaged/minilm-l6' is", "--source packaged/minilm-l6 is"),
        ("its rows' labels, for it's late: labels=0", "its rows' labels, for it's late: --labels 0"),
    ],
)  # fmt: skip
def test_options_are_called_as_they_are_typed(python, terminal):
    assert in_terminal(python) == terminal


@pytest.mark.parametrize(
    "sentence",
    [
        "'label=x' is a column", "give load_domain(data, label=...)", "--set labels=3", "mylabels=3", "two = three",
        "It's the file's label, 'a'.",
    ],
)  # fmt: skip
def test_what_was_typed_and_whole_calls_stay(sentence):
    assert in_terminal(sentence) == sentence


def test_of_the_source_label_and_domain_have_options_of_their_own():
    sentence = "name one of a, b with label=..., or choose one with domain='x', columns={'a': 'number'}"
    assert in_terminal(sentence, OF_THE_SOURCE) == (
        "name one of a, b with --source-label ..., or choose one with --source-domain x, --column a=number"
    )


PYTHON_ALONE = (
    "load_domain(",
    "load_source(",
    "transfer(",
    "Preparation(",
    "as label=: ",
    "column of the inputs;",
    "for each row",
)
"""What is said of data in memory, which no command has."""


def test_every_sentence_of_the_source_comes_out_in_the_words_of_the_terminal():
    """What stands in braces is put in as it might be: of ``{x!r}`` a word, else a number."""
    names = "|".join([*options(), "columns", "domain"])
    found = 0
    for path, text in sentences(Path(sterna.__file__).parent):
        told = in_terminal(text)
        if re.search(rf"(?<![\w'-])(?:{names})=", text) and not any(words in text for words in PYTHON_ALONE):
            found += 1
            assert re.search(r"(?<![\w-])--[a-z]", told), (path, text)
            assert not re.search(
                rf"(?<![\w'-])(?:{names})=(?!x=)", re.sub(r"--(set|column|map-classes) \S+", "", told)
            ), (path, told)
    assert found > 60


def sentences(root):
    """All texts of the modules below the command line but docstrings, with the file each is in."""
    for path in sorted(root.rglob("*.py")):
        if "cli" in path.relative_to(root).parts or "report" in path.relative_to(root).parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in node.values}
        parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) not in parts and isinstance(node, ast.JoinedStr | ast.Constant):
                yield path.name, "".join(map(as_said, node.values if isinstance(node, ast.JoinedStr) else [node]))


def as_said(part):
    if isinstance(part, ast.Constant):
        return str(part.value)
    return "'x'" if part.conversion == ord("r") else "3"


def test_a_setting_of_a_method_that_is_called_like_an_option_stays_a_setting():
    from sterna.experiment.controls import without_knowledge
    from sterna.methods.method import make_method

    method = make_method("dann", {})
    said = without_knowledge(method, method.ablated())
    assert "dann with weight = 0" in said and in_terminal(said) == said
