"""The candidates of a method that tries others: how each did on held-out labels, and why it was left."""

from __future__ import annotations

from dataclasses import dataclass

from sterna.record.record import CandidateRecord, Record
from sterna.report.language import ENGLISH, Language
from sterna.report.words import duration, places, plain


@dataclass(frozen=True)
class Tried:
    """A candidate in words; a number that nobody knows is empty."""

    name: str
    score: str
    loss: str
    seconds: str
    state: str
    chosen: bool


def tried(record: Record, say: Language = ENGLISH) -> tuple[Tried, ...]:
    """A line for each candidate, the chosen ones first."""
    found = record.candidates
    decimals = [places(value) for value in ([each.score for each in found], [each.loss for each in found])]
    return tuple(
        Tried(
            _name(each, say),
            plain(each.score, decimals[0]) if each.score is not None else "",
            plain(each.loss, decimals[1]) if each.loss is not None else "",
            duration(each.seconds, say) if each.seconds else "",
            _state(each, say),
            each.chosen > 0,
        )
        for each in found
    )


def _name(each: CandidateRecord, say: Language) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in each.settings.items())
    words = f"{each.method} ({settings})" if settings else each.method
    return say("{method} from {source}", method=words, source=each.source) if each.source else words


def _state(each: CandidateRecord, say: Language) -> str:
    if each.chosen == each.draws:
        return say("chosen")
    if each.chosen:
        return say("chosen in {n} of {draws} draws", n=each.chosen, draws=each.draws)
    known = {
        "": say("another did better, or as well for less"),
        "the budget was over": say("the budget was over"),
        "behind the best of before": say("behind the best of before"),
        "its source learnt from labels that choose": say("its source learnt from labels that choose"),
        "the trying was ended": say("the trying was ended"),
        "its training takes long, and too few rows validate": say("its training takes long, and too few rows validate"),
        "worse than the source's model on held-out rows of the source": say(
            "worse than the source's model on held-out rows of the source"
        ),
        "another source seems nearer": say("another source seems nearer"),
        "its training takes longer than the budget": say("its training takes longer than the budget"),
        "on the validation rows not better than by chance": say("on the validation rows not better than by chance"),
    }
    return known.get(each.left, each.left)
