"""Sentences that name arguments of Python, as the terminal writes them."""

import pytest

from sterna.cli.wording import in_terminal


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
