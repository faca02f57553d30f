"""The leader board in words."""

from types import SimpleNamespace

from sterna.methods.tried import BEHIND, CHANCE, FEW, KNOWN, OVER
from sterna.record.record import CandidateRecord
from sterna.report.board import tried
from sterna.report.language import CHINESE
from sterna.training.search import ENDED


def test_each_candidate_is_a_line():
    found = SimpleNamespace(candidates=(
        CandidateRecord(method="pooled", source="a.csv", score=0.9, loss=0.25, draws=3, chosen=2, seconds=12.0),
        CandidateRecord(method="coral", settings={"strength": 2}, score=0.8, loss=0.5, draws=3, chosen=0, seconds=1.5,
                        left="behind the best of before"),
        CandidateRecord(method="scratch", draws=3, seconds=0.0, left="the budget was over"),
        CandidateRecord(method="prototypes", draws=3, seconds=1.0, left="It needs <labels>."),
        CandidateRecord(method="constant", score=0.5, loss=0.7, draws=3, seconds=1.0),
    ))  # fmt: skip
    lines = tried(found)
    assert [each.name for each in lines[:2]] == ["pooled from a.csv", "coral (strength=2)"]
    assert [each.state for each in lines] == [
        "chosen in 2 of 3 draws", "behind the best of before", "the budget was over", "It needs <labels>.",
        "another did better, or as well for less",
    ]  # fmt: skip
    assert (lines[2].score, lines[2].loss, lines[2].seconds) == ("", "", "") and lines[0].score.startswith("0.9")
    chinese = tried(found, CHINESE)
    assert chinese[0].state == "3 次抽样中有 2 次选中" and chinese[2].state == "预算已用完"


def test_every_reason_why_a_candidate_was_left_is_translated():
    for reason in (OVER, BEHIND, FEW, CHANCE, KNOWN, ENDED):
        found = SimpleNamespace(candidates=(CandidateRecord(method="pooled", draws=1, seconds=1.0, left=reason),))
        assert tried(found)[0].state == reason and not tried(found, CHINESE)[0].state.isascii()
