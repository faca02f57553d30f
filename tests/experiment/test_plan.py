"""What a plan says before anything is fitted."""

from types import SimpleNamespace

from sterna import Domain, Source
from sterna.experiment.plan import make_plan
from sterna.methods.method import make_method
from sterna.networks.small import small_body
from sterna.record.request import Request


def test_what_the_source_cannot_read_is_asked_of_rows_that_may_be_seen_and_said():
    seen = []

    def unknown(inputs):
        seen.extend(inputs)
        return [f"{len(inputs)} texts were asked about"]

    texts = [f"text {i}" for i in range(400)]
    domain = Domain.from_arrays(texts, ["ab"[i % 2] for i in range(400)])
    body, _ = small_body(domain.inputs)
    source = Source("known", body, SimpleNamespace(kind="text", unknown=unknown))
    plan = make_plan([source], domain, make_method("target-only"), Request(control=("none",)))
    assert f"{len(seen)} texts were asked about." in plan.notes and seen
    assert not set(seen) & {texts[row] for row in plan.exam.rows}
