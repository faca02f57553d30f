"""Every pattern takes time in proportion to the text: on words that almost match, and never do."""

import importlib
import pkgutil
import re
import time

import sterna
from sterna.errors import closest
from sterna.rules import parse_rules
from sterna.tasks.names import natural_order

PIECES = ("1", "a", "_", " ", ".", '"', "\\", "-", "1.", "好", "rel", "pos_")
ENDINGS = ("!", "\n", "", "x1_")


def patterns():
    """Every compiled pattern of a module, by its name."""
    found = {}
    for module in pkgutil.walk_packages(sterna.__path__, "sterna."):
        if module.name != "sterna.__main__":
            for name, value in vars(importlib.import_module(module.name)).items():
                for each in value.values() if isinstance(value, dict) else [value]:
                    if isinstance(each, re.Pattern):
                        found[f"{name} {each.pattern!r:.60}"] = each
    return found


def seconds(pattern, text):
    least = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        pattern.match(text)
        pattern.fullmatch(text)
        least = min(least, time.perf_counter() - start)
    return least


def test_every_pattern_takes_time_in_proportion_to_the_text():
    found = patterns()
    assert len(found) > 10
    for name, pattern in found.items():
        for piece in PIECES:
            for ending in ENDINGS:
                short, long = (piece * n + ending for n in (500, 4000))
                if isinstance(pattern.pattern, bytes):
                    short, long = short.encode(), long.encode()
                # Eight times the text: 64 times the time of a pattern that is not linear. Nobody waits for 4 ms.
                assert seconds(pattern, long) < max(25 * seconds(pattern, short), 4e-3), (name, piece, ending)


def test_a_long_word_of_digits_is_read_at_once():
    text = f"IF {'9' * 32_000}x = 1 THEN {'9' * 32_000}y (0.5)"
    start = time.perf_counter()
    rules = parse_rules(text)
    assert time.perf_counter() - start < 5 and str(rules).count("9") == 64_000
    assert natural_order(["a" + "9" * 5000, "a" + "1" * 5001, "a2"]) == ["a2", "a" + "9" * 5000, "a" + "1" * 5001]
    assert closest("9" * 50_000, ["9" * 49_999]) == ""
