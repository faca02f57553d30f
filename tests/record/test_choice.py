"""The sentence that says which labels chose the model."""

import pytest

from sterna.record.choice import Choice, selected_by
from sterna.training.log import Log

PENALTY, BLOCKS = Choice("penalty", 0.1, "cross-validation", 40), Choice("blocks", ["a"], "cross-validation", 40)


@pytest.mark.parametrize(
    ("choices", "labels", "words"),
    [
        ([], 20, "nothing was selected: fixed settings"),
        ([], 0, "without target labels"),
        ([PENALTY, BLOCKS], 40, "cross-validation: 40 labelled target examples (penalty, blocks)"),
        ([PENALTY, PENALTY], 40, "cross-validation: 40 labelled target examples (penalty)"),
        (
            [BLOCKS, Choice("epoch", "epoch 3", "validation", 8)],
            48,
            "cross-validation: 40 labelled target examples (blocks); validation: 8 labelled target examples (epoch)",
        ),
        (
            [Choice("penalty", 1, "cross-validation", 300, "source and target")],
            0,
            "without target labels; cross-validation: 300 labelled source and target examples (penalty)",
        ),
        ([Choice("penalty", 1, "cross-validation", 1)], 1, "nothing was selected: fixed settings"),
        ([Choice("temperature", 1, "leave-one-out", 1), PENALTY], 1,
         "cross-validation: 40 labelled target examples (penalty)"),
        ([Choice("epoch", "epoch 1", "validation", 1)], 2, "validation: 1 labelled target examples (epoch)"),
    ],
)  # fmt: skip
def test_labels_that_chose_are_named_and_one_alone_chooses_by_validation_only(choices, labels, words):
    assert selected_by(choices, labels) == words
    log = Log()
    log.choices.extend(choices)
    assert log.selected_by(labels) == words
    assert log.chosen == {choice.what: choice.value for choice in choices}
