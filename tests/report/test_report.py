"""The page says what the run folder says, safely, for everybody, and without the network."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sterna.errors import RequestError
from sterna.record.record import read_record
from sterna.report import write_report
from sterna.report.charts import learning_curve
from sterna.report.words import plain

VOID = {"meta", "br", "img", "link", "hr", "input"}
KINDS = ["medical", "flowers", "bikes", "chinese", "bare"]
MakeRun = Callable[..., Path]


class Page(HTMLParser):
    """Checks that every element closes in order, and keeps what the tests ask about."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.words: list[str] = []
        self.data: list[float] = []
        self.feed(source)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"an attribute comes twice in <{tag}>: {names}"
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes), tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)
        if self.open and self.open[-1] == "data" and data != "–":
            self.data.append(float(data.replace("−", "-").replace(",", "")))

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


def page_of(*runs: Path, tmp: Path) -> tuple[str, Page]:
    out = write_report(list(runs), tmp / "report.html")
    source = out.read_text(encoding="utf-8")
    return source, Page(source)


def manifest_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_well_formed_small_and_asks_for_nothing(kind: str, make_run: MakeRun, tmp_path: Path) -> None:
    source, page = page_of(make_run(kind), tmp=tmp_path)
    assert source.lstrip().lower().startswith("<!doctype html>")
    assert len(re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)) < 100_000
    tags = {tag for tag, _, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes, _ in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in ("src", "href", "xlink:href", "action", "srcset"):
                assert (value or "").startswith(("data:image/png;base64,", "#")), f"<{tag} {name}={value!r}>"
    assert "url(" not in source and "@import" not in source
    assert not re.search(r"https?://", source)
    assert "default-src 'none'" in source


@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_headers_and_drawings_have_titles(kind: str, make_run: MakeRun, tmp_path: Path) -> None:
    source, page = page_of(make_run(kind), tmp=tmp_path)
    tables = re.findall(r"<table.*?</table>", source, flags=re.S)
    assert tables
    for table in tables:
        head = re.search(r"<thead.*?</thead>", table, flags=re.S)
        assert head and "<td" not in head[0] and 'scope="col"' in head[0]
        for row in re.findall(r"<tr.*?</tr>", re.search(r"<tbody.*?</tbody>", table, flags=re.S)[0], flags=re.S):  # type: ignore[index]
            assert row.count('scope="row"') == 1
    for head in re.findall(r"<th[ >].*?</th>", source, flags=re.S):
        assert "scope=" in head and re.sub(r"<[^>]+>", "", head).strip()
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("role") == "img" or svg.get("viewbox") == "0 0 100 100"
    assert len(re.findall(r'<svg[^>]*role="img"[^>]*><title>[^<]+</title>', source)) == source.count('role="img"')
    assert all(image.get("alt") for image in page.all("img"))
    assert page.all("html")[0]["lang"] == "en"


@pytest.mark.parametrize("kind", ["medical", "flowers", "bikes", "chinese"])
def test_the_verdict_comes_first_with_gain_interval_metric_and_control(
    kind: str, make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(kind)
    _, page = page_of(run, tmp=tmp_path)
    gain = manifest_of(run)["gain"]
    word = gain["verdict"].capitalize()
    first = page.text.index(word)
    assert first < page.text.index("Scores")
    decimals = 1 if kind == "bikes" else 3
    sentence = page.text[first : first + 700]
    between = f"{plain(gain['low'], decimals, signed=True)} to {plain(gain['high'], decimals, signed=True)}"
    for said in (plain(gain["value"], decimals, signed=True), between, gain["control"], "95 % interval"):
        assert said in sentence
    boxes = [a for a in page.all("div") if "verdict" in (a.get("class") or "").split()]
    assert [gain["verdict"] in (box["class"] or "") for box in boxes] == [True]


def test_the_plain_sentence_counts_rows_of_a_hundred(make_run: MakeRun, tmp_path: Path) -> None:
    _, page = page_of(make_run("medical"), tmp=tmp_path)
    assert (
        "Of 100 new images, with every class counted equally, about 83 are predicted right instead of 75." in page.text
    )
    _, page = page_of(make_run("chinese"), tmp=tmp_path)
    assert "Of 100 new texts about 74.2 are predicted right instead of 73.6." in page.text  # both would round to 74


@pytest.mark.parametrize("kind", ["medical", "flowers", "bikes", "chinese", "bare"])
def test_scores_shown_are_the_manifest_s(kind: str, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(kind)
    manifest = manifest_of(run)
    _, page = page_of(run, tmp=tmp_path)
    exact = [float(a["value"] or "nan") for a in page.all("data")]
    # Precision, recall and F1 a class are shown for the transfer only.
    controls = [s["value"] for side in manifest.get("controls", {}).values() for m, s in side.items() if "[" not in m]
    assert sorted(exact) == sorted([s["value"] for s in manifest["scores"].values()] + controls)
    assert page.data == pytest.approx(exact, rel=1e-3, abs=6e-4)


def test_every_gain_is_drawn_where_its_numbers_say(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("flowers")
    source, page = page_of(run, tmp=tmp_path)
    bars = re.findall(r'<svg class="bar (\w+)".*?</svg>', source, flags=re.S)
    gains = manifest_of(run)["gains"]
    assert bars == [gains[name]["verdict"] for name in ("target-only", "scratch", "source-only")]
    drawn = [
        [float(re.search(pattern, bar)[1]) for pattern in (r'zero" x1="([\d.]+)', r'whisker" x1="([\d.]+)',  # type: ignore[index]
                                                           r'whisker" x1="[\d.]+%" x2="([\d.]+)', r'cx="([\d.]+)')]
        for bar in re.findall(r'<svg class="bar.*?</svg>', source, flags=re.S)
    ]  # fmt: skip
    for (zero, low, high, value), gain in zip(drawn, gains.values(), strict=True):
        # One scale for all: distances to zero are in the ratio of the numbers.
        unit = (drawn[1][3] - drawn[1][0]) / gains["scratch"]["value"]
        assert (low - zero, high - zero, value - zero) == pytest.approx(
            (gain["low"] * unit, gain["high"] * unit, gain["value"] * unit), abs=0.05
        )
        assert 0 <= low <= value <= high <= 100
    assert page.text.count("the one to beat") == 1


def test_the_learning_curve_and_the_training_curves_are_drawn(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("flowers")
    source, page = page_of(run, tmp=tmp_path)
    assert "Learning curve" in page.text
    curve = source[source.index("<title>Learning curve") : source.index("labels a class</p>")]
    lines = re.findall(r'<polyline class="line (\w)" points="([^"]+)"', curve)
    assert sorted(style for style, _ in lines) == ["a", "b", "c"]
    assert curve.count("<polygon") == 2  # bands for the transfer and the control to beat
    ours = next(points for style, points in lines if style == "a").split()
    ys = [float(point.split(",")[1]) for point in ours]
    values = [point["scores"]["accuracy"]["value"] for point in manifest_of(run)["curve"]]
    ratio = [(ys[0] - y) / (v - values[0]) for y, v in zip(ys[1:], values[1:], strict=True)]
    assert ratio == pytest.approx([ratio[0]] * len(ratio), rel=0.01)  # linear in the score
    xs = [float(point.split(",")[0]) for point in ours]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.05)  # 5, 10, 20: even steps of a ratio
    training = source[source.index("fine-tuning: loss") : source.index("fine-tuning: validation score")]
    assert training.count("<polyline") == 5  # a line a draw
    assert ">linear probe<" in training and ">fine-tuning<" in training


def test_a_curve_that_begins_without_labels_has_them_at_half_of_the_least(make_run: MakeRun) -> None:
    record = read_record(make_run("flowers") / "manifest.json")
    assert record.curve is not None
    first, *others = record.curve  # 5, then 10 and 20
    without = learning_curve(
        record.model_copy(update={"curve": (first.model_copy(update={"labels_per_class": 0}), *others)})
    )
    whole = learning_curve(record)
    assert without is not None and whole is not None
    drawn = [re.findall(r'points="([^"]+)"', str(each.svg)) for each in (without, whole)]
    assert drawn[0] == drawn[1] and drawn[0] and ">0<" in str(without.svg) and ">0<" not in str(whole.svg)


def test_loss_terms_are_named_and_a_single_fit_draws_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    _, page = page_of(make_run("medical"), tmp=tmp_path)
    assert "cross_entropy" in page.text and "l2_sp" in page.text
    assert "scratch: loss" in page.text and "feature-extraction: loss" not in page.text


def test_what_a_run_repeats_is_called_draws_of_the_labels_or_seeds_where_it_used_none(
    make_run: MakeRun, tmp_path: Path
) -> None:
    _, page = page_of(make_run("flowers"), tmp=tmp_path)
    assert "5 draws of the labels" in page.text and "epoch, 5 draws of the labels" in page.text
    assert "over test rows and draws." in page.text and "bootstrap" not in page.text
    assert "5 seeds" not in page.text and "over all draws" in page.text

    def unlabelled(manifest: dict[str, Any], *_: Any) -> None:
        manifest["target"]["splits"] |= {"train": 0, "validation": 0}

    _, page = page_of(make_run("flowers", "without", change=unlabelled), tmp=tmp_path)
    assert "5 seeds" in page.text and "draws of the labels" not in page.text


def test_several_test_splits_are_counted_together_and_the_other_rows_are_those_of_the_first(
    make_run: MakeRun, tmp_path: Path
) -> None:
    def several(manifest: dict[str, Any], *_: Any) -> None:
        manifest["target"] |= {"splits": {"train": 30, "test": 24}, "test_splits": [24, 24, 25], "given": []}

    _, page = page_of(make_run("medical", change=several), tmp=tmp_path)
    for said in ("all 3 test splits73", "train (of the first)30", "test (of the first)24"):
        assert said in page.text, said


def test_the_confusion_matrix_counts_and_shades(make_run: MakeRun, tmp_path: Path) -> None:
    source, _ = page_of(make_run("medical"), tmp=tmp_path)
    table = re.search(r'<table class="confusion">.*?</table>', source, flags=re.S)
    assert table
    cells = re.findall(r'class="(right|wrong)" style="--s:([\d.]+)">(\d+)<small>(\d+)', table[0])
    assert [(kind, int(n), int(p)) for kind, _, n, p in cells] == [
        ("right", 176, 75), ("wrong", 58, 25), ("wrong", 35, 9), ("right", 355, 91),
    ]  # fmt: skip
    assert float(cells[0][1]) > float(cells[1][1]) > float(cells[2][1])


def test_many_classes_become_the_pairs_confused_most(make_run: MakeRun, tmp_path: Path) -> None:
    def many(manifest: dict[str, Any], *_: Any) -> None:
        names = [f"species {i}" for i in range(40)]
        manifest["task"]["classes"] = names
        manifest["confusion"] = [[90 if i == j else 0 for j in range(40)] for i in range(40)]
        manifest["confusion"][3][7], manifest["confusion"][5][2] = 9, 4

    _, page = page_of(make_run("flowers", change=many), tmp=tmp_path)
    table = page.text[page.text.index("The pairs that were confused most, of 40 classes.") :]
    assert table.index("species 3species 79") < table.index("species 5species 24")


def test_the_surest_mistakes_come_first_with_their_pictures(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("medical")
    source, page = page_of(run, tmp=tmp_path)
    frame = pd.read_parquet(run / "predictions.parquet")
    wrong = frame[frame.label != frame.answer].copy()
    wrong["sure"] = [row[f"p_{row['answer']}"] for _, row in wrong.iterrows()]
    worst = wrong.nlargest(12, "sure")
    shown = re.findall(r'src="data:image/png;base64,([^"]+)"', source)
    assert [base64.b64decode(s) for s in shown] == [(run / "mistakes" / f"{r}.png").read_bytes() for r in worst.row]
    assert re.findall(r"(\d+) % sure", page.text) == [f"{100 * s:.0f}" for s in worst.sure]
    first = worst.iloc[0]
    assert page.all("img")[0]["alt"] == f"{first['name']}, truly {first['label']}, predicted {first['answer']}"


def test_a_row_without_a_name_has_its_number_in_the_whole_data(make_run: MakeRun, tmp_path: Path) -> None:
    def numbered(manifest: dict[str, Any], history: Any, frame: pd.DataFrame) -> None:
        frame["name"] = [str(i) for i in range(len(frame))]  # positions in the test split

    run = make_run("medical", change=numbered)
    _, page = page_of(run, tmp=tmp_path)
    shown = [int(row) for row in re.findall(r"row (\d+)", page.text)]
    assert sorted(shown) == sorted(int(path.stem) for path in (run / "mistakes").glob("*.png"))


def test_chinese_texts_and_names_are_shown_as_they_are(make_run: MakeRun, tmp_path: Path) -> None:
    source, page = page_of(make_run("chinese"), tmp=tmp_path)
    order = [
        "等了两个小时才送到,菜都凉了,打电话也没人接。",
        "包装很精致,就是汤洒了一半,希望下次注意一点。",
        "米饭是夹生的,根本没法吃。",
    ]
    places = [page.text.index(text) for text in order]
    assert places == sorted(places)
    assert "味道也不错" not in page.text  # that answer was right
    assert "<h1><bdi>外卖评论</bdi></h1>" in source and "12 texts are longer than 256 tokens" in page.text


def test_numbers_show_their_largest_errors_and_a_scatter(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("bikes")
    source, page = page_of(run, tmp=tmp_path)
    frame = pd.read_parquet(run / "predictions.parquet")
    worst = (frame.answer - frame.label).abs().nlargest(8)
    section = source[source.index("Largest errors") :]
    assert [int(r) for r in re.findall(r'<th scope="row"><bdi>(\d+)</bdi>', section)[:8]] == list(worst.index)
    assert plain(worst.iloc[0], 0) in section
    assert source[source.index('class="points"') :].split('"')[3].count("M") == 850  # every second of 1,700 rows
    assert "RMSE (smaller is better) is 241.3 with feature-extraction and 198.4" in page.text


def test_what_chose_what_moved_and_what_it_cost_are_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("medical")
    _, page = page_of(run, tmp=tmp_path)
    for said in (
        "Selected by validation: 40 labelled target examples (blocks, penalty)", "packaged/efficientnet-lite0",
        "Apache-2.0", "2,562 of 3,373,570 parameters", "766 MiB", "42 s", "0.0316", "3 images could not be decoded",
        "The batch was halved to 16", "unlabelled", "1,100", "torch", "2.9.1", "test (came with the data)624",
        "Control to beatvalidation: 8 labelled target examples", "Chosen: blocks2, 4, 5, 6",
        "21 November 2026, 07:15", "0.875",
    ):  # fmt: skip
        assert said in page.text, said


def test_a_run_without_target_labels_says_so_in_a_whole_sentence(make_run: MakeRun, tmp_path: Path) -> None:
    words = "without target labels; cross-validation: 445 labelled source examples (penalty)"
    run = make_run("medical", change=lambda manifest, *_: manifest.update(selected_by=words))
    assert "Selected without target labels; cross-validation: 445" in page_of(run, tmp=tmp_path)[1].text


def test_hostile_names_and_texts_stay_words(make_run: MakeRun, tmp_path: Path) -> None:
    bad = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'&amp;</title></style>"

    def hostile(manifest: dict[str, Any], history: Any, frame: pd.DataFrame) -> None:
        manifest["task"]["classes"] = ["差评", bad]
        manifest["target"] |= {"name": bad, "notes": [bad]}
        manifest["source"] = {"spec": bad, "card": {bad: bad}}
        manifest |= {"method": bad, "settings": {bad: [bad]}, "selected_by": bad, "messages": [bad], "created": bad}
        manifest |= {"environment": {bad: bad}, "balance": bad, "device": bad, "budget": {bad: bad}, "sterna": bad}
        manifest["scores"][bad] = manifest["scores"][f"f1[{bad}]"] = {"value": 0.5, "low": 0.4, "high": 0.6}
        manifest["controls"][bad] = manifest["controls"]["target-only"]
        manifest["gains"][bad] = manifest["gain"] = {**manifest["gain"], "control": bad}
        manifest["curve"] = [
            {"labels_per_class": k, "scores": manifest["scores"], "controls": manifest["controls"]} for k in (5, 9)
        ]
        history[bad] = [{"stage": f"{bad}{i // 2}", "loss": i, bad: i + 1.0, "validation": i} for i in range(1, 5)]
        frame[f"p_{bad}"] = frame.pop("p_好评")
        frame["answer"] = frame["answer"].replace("好评", bad)
        frame["text"] = bad
        frame["name"] = bad

    source, page = page_of(make_run("chinese", change=hostile), make_run("medical"), tmp=tmp_path)
    assert "<script" not in source and "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert", "", source)
    assert {tag for tag, _, _ in page.elements} <= {
        "html", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2", "h3", "b", "bdi", "i",
        "br",
        "div", "section", "small", "span", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr",
        "th", "td", "data", "figure", "figcaption", "blockquote", "details", "summary", "a", "img", "footer", "svg",
        "line", "circle", "text", "polyline", "polygon", "path",
    }  # fmt: skip
    assert page.text.count(bad) > 25


def test_long_names_are_broken_rather_than_laid_over_the_scores_beside_them(make_run: MakeRun, tmp_path: Path) -> None:
    source, _ = page_of(make_run("medical", "a"), make_run("medical", "b"), tmp=tmp_path)
    style = source.split("<style>")[1].split("</style>")[0]
    assert "td small { white-space: nowrap; }" in style  # intervals stay on one line, names of targets do not
    assert ".compare .route-cell small { white-space: normal; }" in style
    assert re.search(r"\.compare tbody th \{[^}]*overflow-wrap: anywhere", style)


def test_several_runs_are_compared_before_each_is_shown(make_run: MakeRun, tmp_path: Path) -> None:
    def worse(manifest: dict[str, Any], *_: Any) -> None:
        manifest["method"] = "fine-tuning"
        manifest["gain"] |= {"value": -0.03, "low": -0.06, "high": -0.005, "verdict": "hurts"}

    runs = [make_run("medical", "a"), make_run("medical", "b", worse)]
    source, page = page_of(*runs, tmp=tmp_path)
    scores, table = re.findall(r'<table class="compare".*?</table>', source, flags=re.S)
    assert source.index('class="compare"') < source.index("<details")
    assert re.findall(r'class="bar (\w+)"', table) == ["helps", "hurts"]
    for said in ("0.832", "pneumonia", "packaged/efficientnet-lite0", ">40<"):
        assert said in scores
    for said in ("+0.085", "−0.030", "−0.060 to −0.005", "scratch, target-only", "over target-only"):
        assert said in table
    assert "1 of 2 helps." in page.text and "targets differ" not in page.text
    assert [d.get("id") for d in page.all("details")] == ["run-1", "run-2"]
    assert [a["href"] for a in page.all("a")] == ["#run-1", "#run-2"] * 2
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_runs_with_other_metrics_and_targets_are_not_drawn_on_one_axis(make_run: MakeRun, tmp_path: Path) -> None:
    source, page = page_of(*(make_run(kind) for kind in KINDS), tmp=tmp_path)
    table = "".join(re.findall(r'<table class="compare".*?</table>', source, flags=re.S))
    assert table and 'class="bar' not in table
    assert "+0.085" in table and "−42.9" in table and "Not compared" in table
    assert "different controls" in page.text and "The targets differ" in page.text and "helps." not in page.text


def test_a_run_without_a_control_says_that_nothing_was_compared(make_run: MakeRun, tmp_path: Path) -> None:
    _, page = page_of(make_run("bare"), tmp=tmp_path)
    assert "Not compared" in page.text and "Accuracy is 0.500 on the test split; no control was run" in page.text
    for part in ("Learning curve", "Most confident mistakes", "Training", "Notes", "Classes", "Gain"):
        assert f" {part} " not in page.text


def test_parts_that_are_null_are_left_out(make_run: MakeRun, tmp_path: Path) -> None:
    def nulls(manifest: dict[str, Any], *_: Any) -> None:
        for name in ("curve", "confusion", "balance", "peak_memory_bytes", "validation", "selected_by", "budget"):
            manifest[name] = None
        manifest["source"]["card"] = None
        manifest["scores"]["auroc"] = {"value": float("nan"), "low": None, "high": None}

    _, page = page_of(make_run("medical", change=nulls), tmp=tmp_path)
    assert "Peak memory" not in page.text and "Selected by" not in page.text
    assert "nan" not in page.text.lower()


def test_too_few_rows_are_not_said_to_include_zero(make_run: MakeRun, tmp_path: Path) -> None:
    def few(manifest: dict[str, Any], *_: Any) -> None:
        manifest["gain"] |= {"low": 0.01, "verdict": "unclear"}

    _, page = page_of(make_run("medical", change=few), tmp=tmp_path)
    assert "too few test rows" in page.text and "includes zero" not in page.text


def test_no_gain_of_a_run_without_a_verdict_is_called_unclear(make_run: MakeRun, tmp_path: Path) -> None:
    def alike(manifest: dict[str, Any], *_: Any) -> None:
        manifest["no_verdict"] = "All 40 labels used are 'normal', so no verdict is given."
        for gain in (manifest["gain"], *manifest["gains"].values()):
            gain["verdict"] = "unclear"

    one, two = make_run("medical", "a", alike), make_run("medical", "b")
    source, _ = page_of(one, tmp=tmp_path)
    picked = "The interval at the top allows for the best control having been picked"
    assert (
        picked not in source and picked in page_of(two, tmp=tmp_path)[0]
    )  # there is none at the top without a verdict
    assert set(re.findall(r'class="bar (\w+)"', source)) == {"none"} and "is-unclear" not in source.split("</style>")[1]
    assert ", no verdict</title>" in source
    table = page_of(one, two, tmp=tmp_path)[0].split("<details")[0].split('<table class="compare"')[2]
    assert sorted(re.findall(r'class="bar (\w+)"', table)) == ["helps", "none"]


def test_several_labels_a_row_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    def several(manifest: dict[str, Any], history: Any, frame: pd.DataFrame) -> None:
        manifest["task"] = {"id": "multilabel", "classes": ["差评", "好评"], "metric": "macro_f1"}
        manifest["confusion"] = None
        frame["label"], frame["answer"] = ["差评|好评"] + ["差评"] * 5, ["", "好评"] + ["差评"] * 4

    _, page = page_of(make_run("chinese", change=several), tmp=tmp_path)
    # 0: both labels missing, the surest at 1 - 0.09; 1: 好评 wrongly there at 0.97.
    assert [int(p) for p in re.findall(r"(\d+) % sure", page.text)] == [97, 91]
    assert "none 91 % sure, truly 好评, 差评" in page.text


@pytest.mark.parametrize("name", ["mistakes", "predictions.parquet", "history.json", "manifest.json"])
def test_nothing_from_outside_the_folder_gets_in(name: str, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("medical", "a")
    (run / name).rename(tmp_path / "elsewhere")
    (run / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match=f"{name}' is a symbolic link, which is not followed"):
        page_of(run, tmp=tmp_path)


def test_a_png_that_is_none_does_not_get_in(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("medical")
    pictures = sorted((run / "mistakes").glob("*.png"))
    pictures[0].write_bytes(b"<svg onload=alert(1)>" * 3)
    pictures[1].write_bytes(pictures[1].read_bytes() + b"0" * 200_000)
    _, page = page_of(run, tmp=tmp_path)
    assert len(page.all("img")) == len(pictures) - 2 and page.text.count("no thumbnail") == 2


def test_the_same_folders_give_the_same_page_and_replace_it(make_run: MakeRun, tmp_path: Path) -> None:
    run, out = make_run("flowers"), tmp_path / "deep" / "er" / "report.html"
    first = write_report([run], out).read_bytes()
    out.write_text("old")
    assert write_report([run], out) == out and out.read_bytes() == first
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def broken(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda run: (run / path).write_bytes(content) and None


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda run: (run / "manifest.json").unlink(), "is not a finished Sterna run: it has no manifest.json"),
        (broken("manifest.json", b'{"method": "fine'), "manifest.json' cannot be read as JSON"),
        (broken("manifest.json", b"\xff\xfe\x00"), "manifest.json' cannot be read as JSON"),
        (broken("manifest.json", b"[]"), "expected a JSON object, found list"),
        (broken("manifest.json", b'{"name": "some-js-package", "version": "1.0"}'), "'method' is wrong"),
        (broken("history.json", b"{"), "history.json' cannot be read as JSON"),
        (broken("history.json", b"[1]"), "is not a run's history"),
        (broken("predictions.parquet", b"PAR1 but no more"), "cannot be read as Parquet"),
    ],
)
def test_a_run_that_cannot_be_read_gets_one_sentence(
    harm: Callable[[Path], None], said: str, make_run: MakeRun, tmp_path: Path
) -> None:
    run, out = make_run("medical"), tmp_path / "report.html"
    out.write_text("before")
    harm(run)
    with pytest.raises(RequestError) as caught:
        write_report([run], out)
    message = str(caught.value)
    assert said in message and str(run) in message and "\n" not in message and message.endswith(".")
    assert out.read_text() == "before"


def test_a_missing_folder_a_file_and_no_folder_at_all(make_run: MakeRun, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(RequestError, match="There is no run folder at .*nowhere"):
        write_report([tmp_path / "nowhere"], out)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="is a file, not a run folder"):
        write_report([tmp_path / "file"], out)
    with pytest.raises(RequestError, match="No run was given"):
        write_report([], out)
    with pytest.raises(RequestError, match="is a folder: give the name of an HTML file"):
        write_report([make_run("bare")], tmp_path)
    for name in ("x.pdf", "x.docx", "x.html.zip"):
        with pytest.raises(RequestError, match=f"one HTML file, but its name is .*{name}': give one that ends in"):
            write_report([tmp_path / "bare"], tmp_path / name)
    assert not out.exists()
