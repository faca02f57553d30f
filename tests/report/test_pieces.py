"""The small pure functions: numbers in words, scales, ticks; and the colours, which everybody must be able to read."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.report import words
from sterna.report.draw import Line, Mark, Scale, line_chart, ticks

finite = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "expected"),
    [
        (0.8316, 3, False, "0.832"), (-0.05, 2, False, "−0.05"), (0.05, 2, True, "+0.05"), (-0.0004, 3, True, "0.000"),
        (12345.6, 0, False, "12,346"), (float("nan"), 3, False, "–"), (float("inf"), 1, True, "–"),
        (None, 2, False, "–"),
    ],
)  # fmt: skip
def test_numbers_as_a_person_reads_them(value: float | None, decimals: int, signed: bool, expected: str) -> None:
    assert words.plain(value, decimals, signed=signed) == expected


@given(finite.filter(lambda v: abs(v) > 1e-5))
def test_at_least_three_figures_are_shown_and_few_more(value: float) -> None:
    shown = words.plain(value, words.places([value]))
    assert float(shown.replace("−", "-").replace(",", "")) == pytest.approx(value, rel=5e-3, abs=5e-4)
    assert len(shown.strip("−").replace(",", "").replace(".", "").lstrip("0")) <= 7


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.42, "0.4 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (192, "3 min 12 s"), (3839, "1 h 03 min"), (None, "–")],
)
def test_durations(seconds: float | None, expected: str) -> None:
    assert words.duration(seconds) == expected


def test_settings_in_words() -> None:
    assert words.said([True, None, 0.0003, 5, "last", {"a": 1.5}]) == "yes, –, 0.0003, 5, last, a: 1.5"


@given(finite, st.floats(1e-6, 1e6))
def test_ticks_are_round_even_and_inside(low: float, width: float) -> None:
    high = low + width
    if not high > low:
        return
    found = ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), width)
    assert all(low - slack <= t <= high + slack for t in found) and 1 <= len(found) <= 8
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3, abs=slack) if steps else True


@given(st.floats(0.1, 100), st.floats(1.1, 100), st.floats(0, 1))
def test_a_logarithmic_scale_is_one_of_ratios(low: float, ratio: float, part: float) -> None:
    scale = Scale(low, low * ratio, logarithmic=True)
    assert scale(low * ratio**part) == pytest.approx(100 * part, abs=1e-6)
    assert Scale(low, low + ratio)(low + part * ratio) == pytest.approx(100 * part, abs=1e-6)


def test_a_line_of_one_mark_is_a_dot_and_words_are_escaped() -> None:
    svg = line_chart([Line("a", (Mark(1.0, 2.0),), dots=False)], title="<b>&", x_ticks=[(1.0, "<i>")])
    assert svg.count("<circle") == 1 and "<title>&lt;b&gt;&amp;</title>" in svg and "<i>" not in svg
    assert 'cx="50.00%" cy="50.00%"' in svg


def _rgb(colour: str) -> tuple[float, ...]:
    if colour.startswith("#"):
        return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return tuple(float(part) for part in colour.split())


def _luminance(rgb: tuple[float, ...]) -> float:
    r, g, b = ((c / 255 / 12.92) if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_has_enough_contrast(theme: int) -> None:
    import sterna.report

    style = (Path(sterna.report.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, flags=re.S)[theme]
    colours = {name: _rgb(value) for name, value in re.findall(r"--([\w-]+): (#\w{6}|\d+ \d+ \d+);", block)}
    on = [("ink", "paper"), ("soft", "paper"), ("ink", "faint"), ("soft", "faint")]
    on += [(letter, "paper") for letter in "abcdef"]
    for verdict in ("helps", "unclear", "hurts"):
        on += [(verdict, "paper"), (verdict, f"{verdict}-tint"), ("ink", f"{verdict}-tint")]
    for text, ground in on:
        assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for shade in ("right", "wrong"):  # the darkest cell of the confusion matrix
        mixed = tuple(0.45 * s + 0.55 * p for s, p in zip(colours[shade], colours["paper"], strict=True))
        assert _contrast(colours["ink"], mixed) >= 4.5


def test_rows_are_called_what_their_kind_says_without_a_heavy_library() -> None:
    code = (
        "import sys\nfrom sterna.report import words\n"
        "kinds = ('images', 'table', 'text', 'audio', 'of-no-package')\n"
        "print([(words.rows_name(kind), words.pictured(kind)) for kind in kinds])\n"
        "print([name for name in ('torch', 'pandas', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    named = [("images", True), ("rows", False), ("texts", False), ("recordings", False), ("rows", False)]
    assert done.stdout.splitlines() == [str(named), "[]"]
