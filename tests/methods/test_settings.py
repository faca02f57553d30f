"""Settings that are searched: their ranges, what is suggested, and what earlier searches lend to later ones."""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import sterna
from sterna import Domain, RequestError, RunError, transfer
from sterna.methods.by_labels import ByLabels
from sterna.methods.candidates import Candidate, again, candidates
from sterna.methods.examples.label_propagation import LabelPropagation
from sterna.methods.journal import PROBLEMS, Entry, nearest, opened, told_to_all, unreachable
from sterna.methods.method import make_method, method_class, method_ids
from sterna.methods.settings import FACTOR, Suggestions, leading, ranges, searched

pytest.importorskip("optuna", reason="the extra tune is not installed")

ASKED = {
    "method": "auto", "settings": {"methods": ("label-propagation",)}, "labels": 40, "seeds": 1, "control": "none",
    "trials": 8, "budget": 600,
}  # fmt: skip


def search(name, seed=0):
    return Suggestions(Candidate(make_method(name)), seed)


def taken(found, count, seed=0):
    """What is suggested in turn, where how it did follows from the seed."""
    random, settings = np.random.default_rng(seed), []
    for _ in range(count):
        candidate = found.ask()
        if candidate is None:
            return settings
        found.tell(candidate, random.random(), "COMPLETE")
        settings.append(candidate.method.model_dump())
    return settings


@pytest.mark.parametrize("name", sorted(method_ids()))
def test_every_suggestion_makes_a_method_and_lies_in_its_range(name):
    """A method refuses what its bounds do not allow; what no range is of has its default."""
    found, default = search(name), method_class(name)().model_dump()
    for settings in taken(found, 25):
        assert make_method(name, settings).model_dump() == settings
        for setting, value in settings.items():
            if setting not in found.ranges:
                assert value == default[setting]
            elif value not in found.ranges[setting].values:
                assert found.ranges[setting].low <= value <= found.ranges[setting].high
    assert (
        not {"epochs", "epochs_after", "patience", "rules", "columns", "freeze_until", "budget", "methods"}
        & set(found.ranges)
        or name == "auto"
    )


@pytest.mark.parametrize(
    ("method", "setting", "values", "low", "high", "log", "whole"),
    [
        ("fine-tuning", "learning_rate", (), 1e-4 / FACTOR, 1e-4 * FACTOR, True, False),  # around the default
        ("fine-tuning", "gradual", (False, True), None, None, False, False),
        ("fine-tuning", "layer_decay", (), 0.8 / FACTOR, 1.0, True, False),  # up to its bound
        ("fine-tuning", "label_smoothing", (), 0.0, np.nextafter(1, 0), False, False),  # below its bound
        ("fine-tuning", "share", (None,), 0.0, 1.0, False, False),
        ("joint-training", "learning_rate", (None,), 1e-3 / FACTOR, 1e-3 * FACTOR, True, False),
        ("feature-extraction", "blocks", ("last", "auto"), None, None, False, False),  # names of blocks are not drawn
        ("feature-extraction", "penalty", (None,), 1 / FACTOR, FACTOR, True, False),
        ("weight-fusion", "alpha", ("search",), 0.0, 1.0, False, False),
        ("knowledge-propagation", "beta", ("search",), np.nextafter(-1, 0), 1.0, False, False),
        ("label-propagation", "neighbours", (), 1, 100, True, True),
        ("parameter-sharing", "mode", ("fixed", "weights", "gradients"), None, None, False, False),
        ("dan", "weight", (), 1 / FACTOR, FACTOR, True, False),  # without an upper bound
    ],
)
def test_a_range_follows_from_the_field(method, setting, values, low, high, log, whole):
    found = ranges(method_class(method))[setting]
    assert (found.values, found.log, found.whole) == (values, log, whole)
    if low is None:
        assert np.isnan(found.low) and np.isnan(found.high)
    else:
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-15)


def test_the_same_seed_suggests_the_same_and_nothing_twice():
    one, two, other = (taken(search("label-propagation", seed), 12) for seed in (3, 3, 4))
    assert one == two != other
    assert len({json.dumps(each, sort_keys=True) for each in one}) == 12
    both = taken(search("prototypes"), 9)
    assert sorted(each["normalize"] for each in both) == [False, True]  # there are no more


def test_what_is_started_with_comes_first_and_what_is_out_of_range_is_left_out():
    found = search("label-propagation")
    found.start({"alpha": 0.4, "rules": "x"})
    found.start({"alpha": 7.0, "neighbours": True})
    first, second = taken(found, 2)
    assert first == {"neighbours": 10, "alpha": 0.4}
    assert 0 < second["alpha"] <= 0.99 and 1 <= second["neighbours"] <= 100


@pytest.fixture
def planted(monkeypatch):
    """A method that does well above α = 0.25 alone, which is not the default, and takes little time."""
    names = {True: "prototypes", False: "constant"}
    monkeypatch.setattr(LabelPropagation, "run", lambda self, bench: bench.component(names[self.alpha > 0.25]))


@pytest.fixture(scope="module")
def cells():
    """Two parts of real data: breast cancer by measures of cells."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return [Domain.from_arrays(x[start::5], y[start::5], name=f"part {start}") for start in (0, 1)]


def run(target, journal, **more):
    return transfer(None, target, **{**ASKED, "storage": str(journal), **more}).evidence


def tried(bench, journal, trials=8, seconds=600.0):
    bench.trainer.search.storage = str(journal)
    board = ByLabels(bench, seconds)
    board.best(candidates(bench.problem, ("label-propagation",)), partial(searched, trials=trials))
    return board


def test_a_search_finds_what_does_better_than_the_defaults(cells, planted, tmp_path):
    found = run(cells[0], tmp_path / "journal")
    chosen = found.chosen[0]
    assert chosen["method"] == "label-propagation" and chosen["settings"]["alpha"] > 0.25
    assert found.scores["balanced_accuracy"].value > 0.6
    losses = {json.dumps(each.settings): each.loss for each in found.candidates}
    assert len(losses) == 9 and losses["{}"] > 0.6 > min(loss for loss in losses.values() if loss is not None)
    assert "cross-validation" in found.selected_by and "settings" in found.selected_by
    assert run(cells[0], tmp_path / "journal", trials=0, storage=None).chosen[0].get("settings") is None


def test_defaults_are_kept_where_no_settings_are_clearly_better(cells, problem_of, bench_of, tmp_path):
    board = tried(bench_of(problem_of(None, cells[0], labels=40)[0]), tmp_path / "journal", trials=3)
    trial, default = board.tried[1], board.tried[0]
    assert len(board.tried) == 4 and not default.candidate.settings() and trial.candidate.settings()
    rows = default.asked
    trial.outputs[rows] = default.outputs[rows] * 1.0001
    assert board.chosen() is default or not default.trial(board.bench.problem, rows).is_near(
        board.chosen().trial(board.bench.problem, rows)
    )


def test_a_search_starts_from_what_did_best_on_another_target_and_never_on_the_same(
    cells, planted, problem_of, bench_of, tmp_path
):
    journal = tmp_path / "journal"

    def settings_of(target, seed=0):
        board = tried(bench_of(problem_of(None, target, labels=40, seed=seed)[0]), journal)
        return [each.candidate.settings() for each in board.tried], board.bench.trainer.log.messages

    first, said = settings_of(cells[0])
    (entry,) = opened(str(journal)).trials
    best = entry.user_attrs["settings"]
    assert said == [] and best in first[1:] and best["alpha"] > 0.25
    second, said = settings_of(cells[1])
    assert said == ["Started from settings that did best on 1 earlier problem."] and second[1] == best
    for same in (cells[1], cells[1].take(np.arange(20, 114))):  # also other labels of it, and fewer rows
        third, said = settings_of(same, seed=1)
        assert said == ["Started from settings that did best on 1 earlier problem."] and third[1] == best
    journal.unlink()
    settings_of(cells[0])
    again, said = settings_of(cells[0], seed=1)
    assert said == [] and again[1] != best


def test_the_journal_holds_settings_losses_and_sizes_alone(cells, planted, problem_of, bench_of, tmp_path):
    journal = tmp_path / "journal"
    board = tried(bench_of(problem_of(None, cells[0], labels=40)[0]), journal)
    (entry,) = opened(str(journal)).trials
    known = entry.user_attrs
    done = [each.trial(board.bench.problem, each.asked).loss for each in board.tried if each.done]
    assert (known["default"], entry.value) == pytest.approx((done[0], min(done)), rel=1e-12)
    assert {name: known[name] for name in ("method", "kind", "task", "source")} == {
        "method": "label-propagation", "kind": "table", "task": "classification", "source": "",
    }  # fmt: skip
    assert known["sizes"] == {
        "classes": 2, "labels": 40, "unlabelled": len(board.bench.problem.unlabelled), "columns": 30, "width": 0,
        "source": 0,
    }  # fmt: skip
    assert set(known) == {"method", "kind", "task", "source", "sizes", "rows", "settings", "default"}
    assert len(known["rows"]) == 32 and "part" not in journal.read_text()


def entry(alpha, rows, labels=60, loss=0.1, **more):
    about = {"method": "label-propagation", "kind": "table", "task": "classification", "source": "data"}
    sizes = {"classes": 2.0, "labels": float(labels)}
    return Entry(**{**about, **more}, sizes=sizes, rows=rows, settings={"alpha": alpha}, loss=loss, default=0.2)


def test_the_most_similar_problems_are_those_whose_sizes_differ_least_by_their_logarithms():
    here = entry(0.0, (1, 2))
    near, far, other = entry(0.1, (3,), 61), entry(0.2, (4,), 600), entry(0.3, (5,), 61, source="model")
    assert here.distance(far) == pytest.approx(np.log(601 / 61))
    assert here.distance(other) == pytest.approx(np.hypot(1, np.log(62 / 61)))
    useless = [
        entry(0.4, (2, 9)), entry(0.5, (6,), kind="text"), entry(0.6, (7,), task="regression"),
        entry(0.7, (8,), method="coral"), entry(0.8, (10,), loss=0.2), entry(0.9, (3, 11), 100),
    ]  # fmt: skip
    assert [each.settings["alpha"] for each in nearest([far, *useless, other, near], here)] == [0.1, 0.3, 0.2]
    assert len(nearest([entry(0.1, (n,)) for n in range(20, 30)], here)) == PROBLEMS


@pytest.mark.parametrize("address", ["sqlite:///{}/trials.db", "{}/deep/trials.journal"])
def test_searches_share_a_storage_that_is_named(cells, planted, tmp_path, address):
    place = address.format(tmp_path)
    started = "Started from settings that did best on 1 earlier problem."
    assert [started in run(part, place).messages for part in cells] == [False, True]
    assert len(opened(place).trials) == 2


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://me:s3%40cret@nowhere.invalid/db?password=s3%40cret", "postgresql://nowhere.invalid/db'.*cannot"),
        ("sqlite:////no/such/folder/trials.db", "unable to open database file"),
        ("nothing://me:s3%40cret@here/db", "nothing://here/db"),
        ("/proc/version/trials.journal", "The journal of searches '/proc/version/trials.journal' cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_sentence_without_its_password(cells, address, words, tmp_path):
    with pytest.raises(RequestError, match=words) as said:
        run(cells[0], address, out=tmp_path / "run")
    assert "s3" not in str(said.value) and "me:" not in str(said.value) and not (tmp_path / "run").exists()
    assert said.value.__cause__ is None


def test_what_a_driver_says_of_an_address_is_told_without_the_password():
    said = unreachable("postgresql://me:s3%40cret@here/db?x=y9", OSError("s3@cret of me:s3%40cret, y9, is refused"))
    assert "here/db' cannot be used (... of ..., ..., is refused)" in said


@pytest.mark.parametrize("damage", ["torn", "words", "folder"])
def test_a_local_journal_that_cannot_be_used_costs_no_run(cells, planted, monkeypatch, tmp_path, damage):
    monkeypatch.setenv("STERNA_CACHE", str(tmp_path))
    journal = tmp_path / "trials.journal"
    if damage == "folder":
        journal.mkdir()
    else:
        run(cells[0], "", storage=None)
        whole = journal.read_bytes()
        journal.write_bytes(whole[:-9] if damage == "torn" else b"{}\nno\n" + whole)
        before = journal.read_bytes()
    found = run(cells[1], "", storage=None)
    assert found.scores["balanced_accuracy"].value > 0.6 and found.chosen[0]["settings"]["alpha"] > 0.25
    said = [message for message in found.messages if "trials.journal" in message]
    assert len(said) == 1 and "starts without what did best before, and keeps nothing" in said[0]
    assert damage == "folder" or journal.read_bytes() == before
    if damage != "folder":
        with pytest.raises(RequestError, match="it is damaged.; move it away"):
            run(cells[1], journal)


def test_processes_that_write_at_once_are_all_kept(tmp_path):
    code = (
        "import sys; from types import SimpleNamespace as N; from sterna.methods.journal import Entry, keep\n"
        "trainer = N(strategy=N(leads=True), search=N(storage=sys.argv[1]))\n"
        "for n in range(10):\n"
        "    entry = Entry('coral', 'table', '', '', {}, (int(sys.argv[2]), n), {}, 1.0, 2.0)\n"
        "    keep(N(trainer=trainer, say=print), [entry])\n"
    )
    asked = [sys.executable, "-c", code, str(tmp_path / "journal")]
    writers = [subprocess.Popen([*asked, str(n)], stdout=subprocess.PIPE) for n in range(3)]
    assert [process.communicate()[0] for process in writers] == [b""] * 3
    rows = sorted(tuple(trial.user_attrs["rows"]) for trial in opened(str(tmp_path / "journal")).trials)
    assert rows == [(process, n) for process in range(3) for n in range(10)]


def interrupts(monkeypatch, fit):
    """Ctrl-C in so many-th fit of label propagation."""
    fits, before = [], LabelPropagation.run

    def stops(self, bench):
        fits.append(self.alpha)
        if len(fits) == fit:
            raise KeyboardInterrupt
        return before(self, bench)

    monkeypatch.setattr(LabelPropagation, "run", stops)
    return fits


def test_a_resumed_search_suggests_the_same_and_asks_nothing_twice(cells, planted, tmp_path, monkeypatch):
    import pandas as pd

    journal, folder = tmp_path / "journal", tmp_path / "run"
    run(cells[0], journal)
    text = journal.read_bytes()
    whole = interrupts(monkeypatch, 0)
    run(cells[1], journal, out=tmp_path / "whole")
    journal.write_bytes(text)
    first = interrupts(monkeypatch, len(whole) - 12)
    with pytest.raises((KeyboardInterrupt, RunError)):
        run(cells[1], journal, out=folder)
    journal.unlink()  # what it started from is kept with the run
    second = interrupts(monkeypatch, 0)
    found = run(cells[1], journal, out=folder, resume=True)
    tables = [pd.read_parquet(place / "candidates.parquet") for place in (tmp_path / "whole", folder)]
    columns = ["settings", "loss", "left", "chosen"]
    assert tables[0][columns].equals(tables[1][columns]) and len(tables[0]) == 9
    assert len(first) > 15 and len(second) < len(whole) - 15
    assert "Started from settings that did best on 1 earlier problem." in found.messages


def test_what_an_ended_search_chose_is_found_again(problem_of, cells):
    problem = problem_of(None, cells[0], labels=40)[0]
    (found,) = candidates(problem, ("label-propagation",))
    about = {"method": "label-propagation", "source": "", "settings": {"alpha": 0.5}}
    assert again(problem, [found], {**about, "settings": {}}) is found
    assert again(problem, [found], about).method.alpha == 0.5
    assert again(problem, [found], {**about, "method": "coral"}) is None is again(problem, [found], None)


def test_methods_far_behind_the_best_are_not_searched(problem_of, bench_of, cells, tmp_path):
    bench = bench_of(problem_of(None, cells[0], labels=40)[0])
    names = ("label-propagation", "prototypes", "target-only")
    board = ByLabels(bench, 1e9)
    board.best(candidates(bench.problem, names))
    found = {each.candidate.method.id() for each in leading(board)}
    losses = {each.candidate.method.id(): each for each in board.tried}
    near = {
        name
        for name, each in losses.items()
        if each.trial(bench.problem, each.asked).is_near(board.chosen().trial(bench.problem, each.asked), 2.0)
    }
    assert found == near - {"target-only"}  # which has no settings
    losses["prototypes"].outputs[:] *= -5
    assert "prototypes" not in {each.candidate.method.id() for each in leading(board)}


def test_the_budget_bounds_the_trials_too_and_that_is_said(problem_of, bench_of, cells, tmp_path):
    board = tried(bench_of(problem_of(None, cells[0], labels=40)[0]), tmp_path / "journal", seconds=1e-9)
    assert len(board.tried) == 1
    assert board.bench.trainer.log.messages == ["0 of 8 trials were made: the budget was over (budget= gives more)."]


def test_trials_are_for_auto_and_a_storage_for_trials(cells, tmp_path):
    asked = {"labels": 20, "seeds": 1, "control": "none"}
    with pytest.raises(RequestError, match="trials=3 is for the method auto, which searches settings.*target-only"):
        transfer(None, cells[0], method="target-only", trials=3, **asked)
    with pytest.raises(RequestError, match="storage= is where a search.*trials= asks for none"):
        transfer(None, cells[0], method="auto", storage="x.journal", **asked)
    with pytest.raises(RequestError, match="trials=-1; expected 0 or more"):
        transfer(None, cells[0], method="auto", trials=-1, **asked)


def test_without_optuna_a_sentence_names_the_extra(cells, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RequestError, match=r"'optuna', which is not installed: pip install 'sterna\[tune\]'"):
        run(cells[0], tmp_path / "journal", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_labels_nothing_is_searched_and_that_is_said(cells, tmp_path):
    source = sterna.Source("other", data=cells[0])
    asked = {**ASKED, "labels": 0, "settings": {}, "storage": str(tmp_path / "journal")}
    found = transfer(source, cells[1], **asked).evidence
    assert any("no settings were searched" in message for message in found.messages)


def test_every_process_is_told_what_the_first_one_read():
    class Others:
        leads, sent = False, []

        def shared(self, values):
            return self.sent.pop(0)[: len(values)]

    text = "α, 源"
    others = Others()
    others.sent += [(float(len(text.encode())),), tuple(map(float, text.encode()))]
    assert told_to_all(others, "") == text


@pytest.mark.slow
def test_two_processes_suggest_what_one_does(cells, tmp_path):
    x = cells[0].inputs.frame.assign(label=cells[0].labels)
    x.to_csv(tmp_path / "cells.csv", index=False)
    asked = [
        "-m", "sterna", "transfer", str(tmp_path / "cells.csv"), "--label", "label", "--method", "auto", "--labels",
        "40", "--seeds", "1", "--control", "none", "--trials", "4", "--budget", "10m", "--set",
        "methods=[label-propagation, prototypes]", "--json",
    ]  # fmt: skip
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = []
    for name, command in (("one", []), ("two", many)):
        more = ["--out", str(tmp_path / name), "--storage", str(tmp_path / f"{name}.journal")]
        done = subprocess.run(
            [sys.executable, *command, *asked, *more], capture_output=True, text=True, timeout=400, env={**os.environ}
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found.append([each["settings"] for each in json.loads(done.stdout)["candidates"]])
        assert len(opened(str(tmp_path / f"{name}.journal")).trials) in (1, 2)
    assert found[0] == found[1] and len(found[0]) > 4
