"""A process that is killed at any file operation leaves what the next command takes up, and nothing is lost.

The fits are made once and handed out again, so that hundreds of runs take seconds; `make kills` kills real ones.
"""

import copy
import functools
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from kills import EVERY, killed_after, points

from sterna import Domain, RequestError, load_transfer, transfer
from sterna.experiment import recording, units
from sterna.files import atomic
from sterna.leftovers import sweep_all
from sterna.methods import method as methods
from sterna.report import write_report
from sterna.store import fusing_runs


@pytest.fixture(scope="module")
def quick():
    """Whatever takes long beside the files is done once."""
    made, seeded = {}, units.seeded

    def once(method, problem, trainer):
        key = (repr(method), problem.seed, len(problem.train), len(problem.targets))
        if key not in made:
            made[key] = seeded(method, problem, trainer)
        return copy.deepcopy(made[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "seeded", once)
        patch.setattr(recording, "environment", dict)
        patch.setattr(methods, "method_class", functools.cache(methods.method_class))
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=40), "b": random.normal(size=40)})
    return Domain.from_arrays(frame, (frame["a"] > 0).map({True: "yes", False: "no"}), name="t")


def names_and_bytes(folder):
    """All files and folders, and what is in those that do not say when they were written or how long it took."""
    dated = ("manifest.json", "history.json", ".skops")
    found = {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}
    return {k: None if k.endswith(dated) else v for k, v in found.items()}


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Runs:
    """A run in a folder of its own, over what stood there before."""

    def __init__(self, place, domain, asked):
        self.place, self.domain, self.asked, self.out = place, domain, asked, place / "run"

    def go(self, **more):
        return transfer(None, self.domain, out=self.out, **{**self.asked, **more})

    def at(self, place):
        return Runs(place, self.domain, self.asked)


ASKED = {"method": "target-only", "control": "none", "seeds": 1}
CASES = {"one": {}, "seeds": {"seeds": 2}, "curve": {"curve": (3, 5)}, "tests": {"test_repeats": 2}}


@pytest.mark.parametrize(
    ("case", "before"),
    [
        (case, before)
        for before in ("nothing", "finished", "begun over finished")
        for case in CASES
        if EVERY or case == "one" or (case, before) == ("curve", "finished")
    ],
)
def test_a_killed_run_goes_on_and_the_finished_one_before_it_is_never_lost(quick, table, tmp_path, case, before):
    base = Runs(tmp_path / "base", table, {**ASKED, **CASES[case]})
    base.place.mkdir()
    if before != "nothing":
        base.go(seed=7)
    old = contents(base.place)
    if before == "begun over finished":
        with killed_after(45):
            base.go(seed=8, overwrite=True)
    asked = {} if before == "nothing" else {"overwrite": True}
    whole = base.at(shutil.copytree(base.place, tmp_path / "whole"))
    with killed_after(10**6) as watch:
        whole.go(**asked)
    expected = names_and_bytes(whole.place)
    for k in points(watch):
        cut = base.at(shutil.copytree(base.place, tmp_path / f"{k}"))
        with killed_after(k):
            cut.go(**asked)
        if before != "nothing":
            assert kept_somewhere(cut.out, old, table), k
        if before != "nothing" and (EVERY or k % 2):  # the user repeats the command
            other = cut.at(shutil.copytree(cut.place, tmp_path / f"{k}-other"))
            other.go(overwrite=True)
            assert names_and_bytes(other.place) == expected, k
        try:  # or goes on
            cut.go(resume=True)
        except RequestError as error:
            assert "there is no run" in str(error) or "asked for with another seed=" in str(error), k
            cut.go(**asked)
        assert names_and_bytes(cut.place) == expected, k


def kept_somewhere(out, old, table):
    """Whether the run before, or the new one, can be read where the words of an error say."""
    try:
        load_transfer(out)
    except RequestError as error:
        assert "resume=True" in str(error) and "work/replaced" in str(error), error
        load_transfer(out / "work" / "replaced")
        kept = contents(out / "work" / "replaced")
        return {f"run/{name}": value for name, value in kept.items()} == old
    return True


def test_a_wrong_request_that_is_killed_while_it_is_taken_back_loses_nothing(quick, table, tmp_path):
    base = Runs(tmp_path / "base", table, ASKED)
    base.place.mkdir()
    base.go()
    old = contents(base.place)

    def wrong(*_):
        raise RequestError("wrong on the way")

    def asked(run):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(RequestError, match="wrong on the way"):
            patch.setattr(units, "seeded", wrong)
            run.go(seed=3, overwrite=True)

    with killed_after(10**6) as watch:
        asked(base)
    assert contents(base.place) == old
    for k in range(len(watch.seen)):
        cut = base.at(shutil.copytree(base.place, tmp_path / f"{k}"))
        with killed_after(k):
            asked(cut)
        assert kept_somewhere(cut.out, old, table), k
        asked(cut)
        assert contents(cut.place) == old, k


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory, table):
    """Two small networks, in run folders."""
    place = tmp_path_factory.mktemp("two")
    for seed, name in enumerate(("a", "b")):
        transfer(None, table, method="scratch", epochs=1, control="none", seed=seed, out=place / name)
    return place


def fuse_over(place):
    fusing_runs.fuse_runs(place / "a", place / "b", 0.5, place / "c", overwrite=True)


def fuse_anew(place):
    fusing_runs.fuse_runs(place / "a", place / "b", 0.5, place / "new")


def save(place):
    load_transfer(place / "a").save(place / "new")


def report(place):
    write_report([place / "a"], place / "c" / "report.html")


def predict(place):
    with atomic(place / "answers.csv") as temporary:
        temporary.write_text("x" * 100)


@pytest.mark.parametrize("command", [fuse_over, fuse_anew, save, report, predict])
def test_a_killed_command_leaves_nothing_behind_and_can_be_repeated(two_runs, tmp_path, command):
    base = shutil.copytree(two_runs, tmp_path / "base")
    shutil.copytree(base / "a", base / "c")
    whole = shutil.copytree(base, tmp_path / "whole")
    with killed_after(10**6) as watch:
        command(whole)
    for k in range(len(watch.seen)):
        cut = shutil.copytree(base, tmp_path / f"{k}")
        with killed_after(k):
            command(cut)
        tidied = shutil.copytree(cut, tmp_path / f"{k}-tidied")
        sweep_all(tidied)  # as `sterna doctor` does
        assert names_and_bytes(tidied).keys() in (names_and_bytes(base).keys(), names_and_bytes(whole).keys()), k
        for name in ("a", "b", "c"):
            load_transfer(cut / name)
        if not (cut / "new").exists():  # else the command was done, and says so
            command(cut)
        assert names_and_bytes(cut).keys() == names_and_bytes(whole).keys(), k
