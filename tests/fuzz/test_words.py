"""Damaged texts that people write: a config, a map of columns, a setting, rules."""

import typer
from harness import TEXT

from sterna.cli.app import settings_of
from sterna.cli.commands import app
from sterna.errors import RequestError
from sterna.rules import column_map, read_rules
from sterna.rules.grammar import rules_text
from sterna.rules.origin import origin_of

CONFIG = b"""method: fine-tuning
labels-per-class: 5
curve: [5, 10, 20]
set: {learning_rate: 0.01, blocks: last, penalties: [l2-sp, delta]}
source-data: a.csv
control: &names [scratch, pooled]
drop: *names
quiet: true
epochs: 3
"""

RULES = b"""# by hand
IF age >= 60 AND "chest pain" IN (typical, "4", 4) AND thal IS NOT MISSING THEN ill (0.82)
IF sex != m AND text NOT CONTAINS "\\u597d" THEN well (.7)
OTHERWISE well (0.6)
#~ {"columns": [["age"]], "labelled": 1, "unlabelled": 1}
#~ AAAAAAAAAAABAAAAAAAAAA==
"""


def test_configs(fuzz, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(CONFIG)
    command = typer.main.get_command(app).commands["transfer"]

    def read():
        try:
            command.make_context("transfer", ["t.csv", "--config", str(path)])
        except Exception as error:
            if not hasattr(error, "format_message"):  # of click, which main() makes a sentence of
                raise
            raise RequestError(error.format_message()) from error

    fuzz.file(path, read, TEXT, inputs=150, name="config.yaml")


def test_maps_of_columns(fuzz, tmp_path):
    path = tmp_path / "m.yaml"
    path.write_bytes(b'"AGE": age\nPAY 0: pay\nx: {<<: {}}\n'.replace(b"x: {<<: {}}\n", b"4: four\n"))
    fuzz.file(path, lambda: column_map(str(path)), TEXT, inputs=150, name="map.yaml")


def test_maps_of_columns_as_pairs(fuzz):
    fuzz("map pairs", b"AGE=age, PAY 0 = pay", lambda c: column_map(c.decode("utf-8", "surrogateescape")), TEXT)


def test_settings(fuzz):
    def read(content):
        settings_of([content.decode("utf-8", "surrogateescape")])

    fuzz("settings", b"blocks=[a, {b: 0.5}, 'c']", read, TEXT, inputs=150)


def test_rules(fuzz, tmp_path):
    path = tmp_path / "rules.txt"
    path.write_bytes(RULES)

    def read():
        str(read_rules(path)).encode()
        origin_of(rules_text(path))

    fuzz.file(path, read, TEXT, inputs=200)
