# Gymbal. `make` alone lists the targets; each one first makes the .venv it needs.
#
# Variables:  PYTHON=python3.12       the interpreter of a new .venv (3.11 or newer)
#             PIP_ARGS="--index-url https://download.pytorch.org/whl/cpu --extra-index-url ..."
#             ARGS="..."              passed on by train, test and test-thin

PYTHON ?= python3
PIP_ARGS ?=
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
STAMP := .venv/.installed
THIN_BIN := .venv-thin/bin
THIN_STAMP := .venv-thin/.installed

INPUTS := pyproject.toml constraints.txt
THIN_INPUTS := $(INPUTS) $(shell find runtime -name '*.py')
BENCHMARKS := engine training masked_ppo runtime fidelity shared_llc llc_profiles
PIP_INSTALL = -m pip install --disable-pip-version-check $(PIP_ARGS) -c constraints.txt

.PHONY: help venv train test test-thin check format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## make .venv with everything for development

train: $(STAMP)  ## train a policy, compare it with the heuristics, export it, run it (10 minutes)
	$(BIN)/python scripts/first_run.py $(ARGS)

test: $(STAMP)  ## run the tests, two at a time, without the slow ones
	$(BIN)/pytest -n 2 -m "not slow" $(ARGS)

test-thin: $(THIN_STAMP)  ## run the runtime's tests where only the base package is installed
	$(THIN_BIN)/python -m pytest -m "not slow" tests/runtime $(ARGS)

check: $(STAMP)  ## check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(STAMP)  ## format the code and repair what lint can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## measure speed and fidelity; each benchmark prints one JSON line last
	for name in $(BENCHMARKS); do $(BIN)/python "benchmarks/$$name.py"; done

clean:  ## remove the environments and caches; trained runs in outputs/ stay
	rm -rf .venv .venv-thin build dist .{mypy,ruff,pytest,import_linter}_cache .hypothesis
	find . -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf {} +

# Installing takes minutes, so it happens again only when an input changed.
$(STAMP): $(INPUTS)
	$(call require_python)
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes, about 2 GB)"
	$(BIN)/python $(PIP_INSTALL) -e ".[dev]"
	@touch $@

# The wheel and not an editable install: so a file missing from the package is found here.
$(THIN_STAMP): $(THIN_INPUTS)
	$(call require_python)
	@$(PYTHON) -m venv --clear .venv-thin
	@echo "installing the base package alone into .venv-thin"
	$(THIN_BIN)/python $(PIP_INSTALL) --quiet . pytest pytest-timeout hypothesis
	@touch $@

define require_python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Gymbal needs Python 3.11 or newer as $(PYTHON); try: make PYTHON=python3.11" >&2; exit 1; }
endef
