# Every target sets up .venv by itself, once; a changed lock sets it up again.
# A fresh Debian with python3, python3-venv, git and make is enough.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PARTS = $(wildcard src tests bench)
BENCHES = $(filter-out bench/_%,$(wildcard bench/*.py))
DATA ?=
JOBS ?= $(shell expr $$(nproc) + 2)
ARGS ?=

.PHONY: help demo test crash lint style types bench locks clean

help:
	@echo "make demo    show one real job through the gate, in a throw-away estate"
	@echo "make test    lint, and every test but the long ones; JOBS=N at a time, else two more than there are cores"
	@echo "make crash   the whole crash suite, kills at random included (minutes)"
	@echo "make lint    ruff, mypy and the contracts of the layers"
	@echo "make bench   the benchmarks; DATA=FOLDER names the data that some of them read"
	@echo "make locks   resolve the dependencies anew and pin their hashes"

demo: .venv/.run
	@$(BIN)/freehold demo $(ARGS)

test: style
	@tools/test $(BIN)/python $(JOBS) $(ARGS)

crash: .venv/.dev
	@$(BIN)/python -m pytest tests/crash -m "" --timeout 3600 $(ARGS)

lint: style types

style: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.dev
	@$(BIN)/mypy $(PARTS)
	@$(BIN)/lint-imports --no-logo

bench: .venv/.bench
	@mkdir -p bench/out
	@DATA='$(DATA)' BIN=$(BIN) tools/bench $(BENCHES)

# ------------------------------------------------------------------ the environment

.venv/.made:
	@tools/check-python $(PYTHON)
	@echo "Setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) uninstall --yes setuptools 2>/dev/null || true # nothing needs it, and it slows every start
	@touch $@

.venv/.run: requirements/run.lock pyproject.toml | .venv/.made
	@$(PIP) install --no-deps --require-hashes -r requirements/run.lock
	@$(PIP) install --no-deps --no-index --no-build-isolation --editable .
	@$(PIP) check
	@$(BIN)/python -m compileall -q src || true
	@touch $@

.venv/.dev: requirements/dev.lock .venv/.run
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.lock
	@$(PIP) check
	@touch $@

.venv/.bench: requirements/bench.lock .venv/.dev
	@$(PIP) install --no-deps --require-hashes -r requirements/bench.lock
	@$(PIP) check
	@touch $@

locks:
	@tools/lock

clean:
	@rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache bench/out
