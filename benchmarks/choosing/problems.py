"""The problems that choosing is measured on: pairs of a source and a target from the shared sets, all kinds of data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

from benchmarks.common import data, trained
from benchmarks.pairs.digits import mnist, smaller
from sterna import Domain, Source, load_domain, load_source


@dataclass(frozen=True)
class Pair:
    """A source and a target.

    Attributes
    ----------
    sets
        Which group of data sets it is of: choices are tuned with whole groups left out.
    name
        Of both.
    source, target
        How to get them.
    metric
        Of the target; by the task if none.
    steps, batch_size
        Budget of what trains.
    """

    sets: str
    name: str
    source: Callable[[], Source | None]
    target: Callable[[], Domain]
    metric: str | None = None
    steps: int | None = None
    batch_size: int | None = None


def pairs() -> Iterator[Pair]:
    """All pairs, by sets."""
    for part in (hearts, gas, credit, bikes, office, leukemia, amazon, films, shopping, pacs, digits, speech, emotion):
        yield from part()


def _source(spec: str, domain: Callable[[], Domain], model: str | None = None) -> Callable[[], Source]:
    def make() -> Source:
        return Source(spec=spec, data=domain()) if model is None else load_source(model).with_data(domain())

    return make


def _loaded(name: str, **options: object) -> Callable[[], Domain]:
    return lambda: _domain(name, tuple(sorted(options.items())))


@lru_cache(maxsize=16)
def _domain(name: str, options: tuple[tuple[str, object], ...]) -> Domain:
    return load_domain(data(name), **{k: list(v) if isinstance(v, tuple) else v for k, v in options})


def _between(
    sets: str, domains: dict[str, Callable[[], Domain]], names: Iterator[tuple[str, str]], model: str | None = None,
    **more: object,
) -> Iterator[Pair]:  # fmt: skip
    for one, other in names:
        yield Pair(sets, f"{sets}, {one} → {other}", _source(one, domains[one], model), domains[other], **more)


def hearts() -> Iterator[Pair]:
    names = ("cleveland", "hungarian", "switzerland", "va_long_beach")
    some = {
        name: _loaded(
            "tab_heart_4hospitals.csv.gz", label="disease", drop=("num",), domain_column="hospital", domain=name
        )
        for name in names
    }
    yield from _between("hearts", some, permutations(names, 2))


def gas() -> Iterator[Pair]:
    some = {
        str(n): _loaded("tab_gas_sensor_drift.npz", domain_column="batch", domain=str(n))
        for n in (1, 2, 3, 4, 5, 6, 8, 9)
    }
    later = [("1", other) for other in ("2", "3", "4", "5", "6", "8", "9")]
    yield from _between("gas", some, [*later, ("2", "3"), ("3", "4"), ("6", "8"), ("8", "9")], metric="accuracy")


def credit() -> Iterator[Pair]:
    def of(column: str, low: int, high: int) -> Callable[[], Domain]:
        def make() -> Domain:
            import pandas as pd

            frame = pd.read_csv(data("tab_credit_taiwan.csv.gz"))
            frame = frame[frame[column].between(low, high)]
            return load_domain(frame.sample(min(len(frame), 3000), random_state=0), label="default_next_month")

        return make

    some = {
        "young": of("AGE", 0, 28), "old": of("AGE", 50, 99), "graduates": of("EDUCATION", 1, 1),
        "high school": of("EDUCATION", 3, 3)
    }  # fmt: skip
    names = [("young", "old"), ("old", "young"), ("graduates", "high school"), ("high school", "graduates")]
    yield from _between("credit", some, names, metric="auroc")


def bikes() -> Iterator[Pair]:
    def city(name: str, year: int | None = None) -> Callable[[], Domain]:
        def make() -> Domain:
            import pandas as pd

            frame = pd.read_csv(data("tab_bike_dc_seoul.csv.gz"))
            frame = frame[(frame.city == name) & ((frame.year == year) if year else True)]
            frame = frame.drop(columns=["city", "date", "year"])
            return load_domain(frame.sample(min(len(frame), 3000), random_state=0), label="count")

        return make

    some = {
        "Washington": city("washington_dc"), "Seoul": city("seoul"), "2011": city("washington_dc", 2011),
        "2012": city("washington_dc", 2012),
    }  # fmt: skip
    names = [("Washington", "Seoul"), ("Seoul", "Washington"), ("2011", "2012"), ("2012", "2011")]
    yield from _between("bikes", some, names)


def office() -> Iterator[Pair]:
    def surf(name: str) -> Callable[[], Domain]:
        def make() -> Domain:
            with np.load(data("office_caltech10_surf.npz")) as found:
                x, y = found[f"{name}_X"].astype(float), found[f"{name}_y"]
            return Domain.from_arrays(x / x.sum(1, keepdims=True), y, name=name)

        return make

    def decaf(name: str) -> Callable[[], Domain]:
        def make() -> Domain:
            with np.load(data("office10_decaf6_webcam_dslr.npz")) as found:
                return Domain.from_arrays(found[f"{name}_X"].astype(np.float32), found[f"{name}_y"], name=name)

        return make

    names = ("amazon", "caltech", "dslr", "webcam")
    yield from _between("office", {name: surf(name) for name in names}, permutations(names, 2), metric="accuracy")
    deep = ("webcam", "dslr")
    for one, other in permutations(deep, 2):
        yield Pair("office", f"DeCAF, {one} → {other}", _source(one, decaf(one)), decaf(other), metric="accuracy")


def leukemia() -> Iterator[Pair]:
    def part(name: str) -> Callable[[], Domain]:
        def make() -> Domain:
            with np.load(data("tab_leukemia_golub.npz")) as found:
                return Domain.from_arrays(found[f"{name}_X"].astype(float), found[f"{name}_y"], name=name)

        return make

    some = {name: part(name) for name in ("train", "independent")}
    yield from _between("leukemia", some, permutations(some, 2), metric="balanced_accuracy")


MINILM = "packaged/minilm-l6"


def amazon() -> Iterator[Pair]:
    names = ("books", "dvd", "electronics", "kitchen")
    some = {
        name: _loaded("text_en_amazon_multidomain.csv.gz", text="text", label="label", domain_column="domain",
                      domain=name)
        for name in names
    }  # fmt: skip
    yield from _between("amazon", some, permutations(names, 2), MINILM)
    yield from _between("amazon, words", some, permutations(names, 2))


def films() -> Iterator[Pair]:
    names = ("airline", "imdb", "blog")
    some = {
        name: _loaded("text_en_airline_imdb_blog.csv.gz", text="text", label="label", domain_column="domain",
                      domain=name)
        for name in names
    }  # fmt: skip
    yield from _between("films", some, permutations(names, 2), MINILM)


def shopping() -> Iterator[Pair]:
    def shop(name: str) -> Callable[[], Domain]:
        def make() -> Domain:
            whole = _loaded("text_zh_shopping10.csv.gz", text="review", label="label", domain_column="domain",
                            drop=("cat_zh",), domain=name)()  # fmt: skip
            rows = np.random.default_rng(0).permutation(len(whole))[:2000]
            return whole.take(np.sort(rows))

        return make

    names = [("books", "tablet"), ("tablet", "phone"), ("phone", "fruit"), ("fruit", "hotel"), ("hotel", "clothes"),
             ("clothes", "water_heater"), ("shampoo", "books"), ("computer", "mengniu_dairy")]  # fmt: skip
    some = {name: shop(name) for pair in names for name in pair}
    yield from _between("shopping", some, names, metric="balanced_accuracy")


def pacs() -> Iterator[Pair]:
    names = ("photo", "art_painting", "cartoon", "sketch")
    some = {name: _loaded("images_pacs_subset.zip", domain=name) for name in names}

    def model(name: str) -> Callable[[], Source]:
        return lambda: load_source("packaged/efficientnet-lite0", image_size=128).with_data(some[name]())

    for one, other in permutations(names, 2):
        yield Pair("PACS", f"PACS, {one} → {other}", model(one), some[other], metric="accuracy", steps=20)


def digits() -> Iterator[Pair]:
    def usps() -> Domain:
        return load_domain(data("digits_usps.npz"))

    def taught() -> Domain:
        whole = usps()
        return whole.take(whole.splits["train"])

    def some() -> Domain:
        whole = load_domain(data("digits_mnist.npz"))
        return whole.take(np.concatenate([whole.splits["train"][:5000], whole.splits["test"][::5]]))

    @lru_cache
    def model(name: str) -> Source:
        return trained(mnist() if name == "mnist" else taught(), epochs=4)

    targets = {"USPS": usps, "street digits": lambda: load_domain(data("digits_street_chars74k.npz")),
               "MNIST-M": lambda: load_domain(data("digits_mnistm.npz"))}  # fmt: skip
    for name, target in targets.items():
        yield Pair("digits", f"digits, MNIST → {name}", lambda: model("mnist"), target, "accuracy", steps=300)
    yield Pair("digits", "digits, USPS → MNIST", lambda: model("usps"), some, "accuracy", steps=300)
    yield Pair("digits", "digits, MNIST → Fashion-MNIST", lambda: model("mnist"),
               lambda: smaller(load_domain(data("fashion_mnist_20k.npz"))), "accuracy", steps=150)  # fmt: skip


def speech() -> Iterator[Pair]:
    def speaker(name: str) -> Callable[[], Domain]:
        return _loaded("audio_fsdd.zip", label="digit", domain_column="speaker", domain=name)

    names = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")

    @lru_cache
    def model(name: str) -> Source:
        return trained(speaker(name)())

    for one, other in zip(names, (*names[1:], names[0]), strict=True):
        yield Pair("speech", f"spoken digits, {one} → {other}", lambda one=one: model(one), speaker(other), "accuracy")


def emotion() -> Iterator[Pair]:
    english = _loaded("audio_emotion_ravdess_en.zip", label="emotion", group="speaker")
    german = _loaded("audio_emotion_emodb_de.zip", label="emotion", group="speaker")
    for one, other, name in ((english, german, "English → German"), (german, english, "German → English")):
        yield Pair("emotion", f"emotion, {name}", _source(name, one), other, "balanced_accuracy")
