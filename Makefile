# What a person types. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak bench lint local stop env

STAMP := .venv/.complete
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/[$$][$$]/, "$$", $$2); printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## .venv with bin/causeway, pulumi, and a look for the Firestore emulator
	@$(BIN)/python -m standin.install </dev/null

$(STAMP): requirements.lock pyproject.toml
	@PYTHON=$$(for p in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done); \
	test -n "$$PYTHON" || { echo "Python 3.11 or later is not on PATH; install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 9; }; \
	test -x $(BIN)/python || { echo "making .venv with $$PYTHON"; "$$PYTHON" -m venv .venv; }
	@echo "installing the packages of requirements.lock into .venv (a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock </dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . </dev/null
	@touch $@

demo: setup ## take CVPlus from legacy to packages and back, under load (8 minutes)
	$(BIN)/python -m examples.cvplus.demo

test: lint ## everything: lint, unit tests, 10,000 random matrices, end-to-end tests
	$(PYTEST) tests -m "not e2e and not soak" -n 2
	$(PYTEST) tests/model/test_bruteforce.py -m soak -n 2
	$(PYTEST) tests -m "e2e and not soak"

soak: setup ## long rounds of faults and load
	$(PYTEST) tests -m soak

bench: setup ## measure, and print
	$(BIN)/python -m benchmarks

lint: setup ## ruff, mypy, the walls between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

local: setup ## start the local stand-in in the background, for use by hand
	@$(BIN)/python -m standin start

stop: ## stop what make local started
	@test ! -x $(BIN)/python || $(BIN)/python -m standin stop

env: ## for a shell: eval "$$(make -s env)"
	@$(BIN)/python -m standin env
