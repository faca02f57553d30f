# make demo   a sentence encoder moved to a few reviews, the best way chosen, beside controls: a table, and a report
# make test   the tests
# make fuzz   damaged files for every reader: N=10000 inputs each (the tests take dozens; ONLY=json: one reader)
# make kills  every file operation of runs and commands as the last one before a kill (about an hour)
# make house  import cycles, what a method costs to write, kinds and tasks asked for by name, long modules (PLACES=1: where)
# The first two set up all they need by themselves, in .venv, from Python 3.11 or newer; the rest is for those who work
# on Sterna.

PYTHON ?= python3
BIN := .venv/bin
# .venv is current while what it was made from has not changed.
KEY := $(shell cat pyproject.toml constraints.txt | cksum | tr ' ' -)
DEMO := .venv/.ready-demo-$(KEY)
DEV := .venv/.ready-dev-$(KEY)

.PHONY: demo test fuzz kills lint types contracts house docs bench format clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^# make/s/^# //p' Makefile

demo: $(DEMO)
	@$(BIN)/sterna demo

# One process a core, at most four, each with one thread (tests/conftest.py) and up to 2 GB.
test: $(DEV)
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

N ?= 10000
fuzz: $(DEV)
	@STERNA_FUZZ=$(N) $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal tests/fuzz $(if $(ONLY),-k $(ONLY))

kills: $(DEV)
	@STERNA_KILLS=1 $(BIN)/python -m pytest -n 0 tests/store/test_kills.py
	@$(BIN)/python -m benchmarks.kills

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV)
	@$(BIN)/mypy

contracts: $(DEV)
	@$(BIN)/lint-imports

house:
	@$(PYTHON) .ci/house.py $(if $(PLACES),--places)

docs: $(DEV)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "docs: site/index.html"

# Takes hours on two cores; one measurement: make bench ONLY=hymenoptera
bench: $(DEV)
	@$(BIN)/python -m benchmarks $(ONLY)

$(DEMO):
	@PYTHON="$(PYTHON)" sh .ci/setup "sterna[demo]" $@

# The tests need what the demo needs, so one .venv serves both.
$(DEV):
	@PYTHON="$(PYTHON)" sh .ci/setup "sterna[all,dev]" $@
	@touch $(DEMO)

clean:
	rm -rf .venv site build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
