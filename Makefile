# Every target sets itself up: a fresh clone needs only Python 3.11 or newer and make.
# ARGS goes on to the command: make test ARGS="-k plan", make demo ARGS=--help

.DEFAULT_GOAL := help
.PHONY: help demo test quick check bench docs pictures clean .venv

BIN := .venv/bin
space := $() $()
ARGS ?=

# The first of these that runs and is new enough. 3.11 comes first because the pins were resolved on it.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in python3.11 python3 python; do \
	"$$each" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo "$$each"; break; }; done)

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-16s%s\n", $$1, $$2 }'

demo: .venv  ## see it work: a few seconds
	@$(BIN)/colonnade demo $(ARGS)

# The stores that tests make wait for the disk at every commit; in memory they do not, and a killed process is no
# different there. Where there is no /dev/shm the tests take twice as long.
MEMORY := $(shell [ -w /dev/shm ] && echo PYTEST_DEBUG_TEMPROOT=/dev/shm)

# A core that has nothing left to do takes what waits for the other one.
TEST = $(MEMORY) $(BIN)/pytest -n 2 --dist worksteal

test: .venv  ## run the tests: some 25 minutes on two cores
	@echo "Running the tests: examples on every store, the conformance machine, and what kills processes. Some 25"
	@echo "minutes on two cores; make quick takes four and starts no server ..."
	@$(TEST) $(ARGS)

# Neither servers nor browsers, nothing that is killed or measured, and fewer examples of each property.
SERVED := lance clickhouse libsql sqld d1 postgres upstash mongodb mssql composite injection
QUICK := --ignore=tests/crash --ignore=tests/processes --ignore=tests/browser \
	$(foreach page,bench docs notebooks packaging exports,--ignore=tests/test_$(page).py)

quick: .venv  ## run the tests that need no server: a few minutes
	@echo "Running the tests that need no server (a few minutes; make test runs all) ..."
	@COLONNADE_HYPOTHESIS=dev $(TEST) $(QUICK) -k "not ($(subst $(space),$(space)or$(space),$(SERVED)))" $(ARGS)

check: .venv  ## lint, formatting, types, import directions: half a minute
	@echo "Checking style (ruff) ..."
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check .
	@echo "Checking types (mypy; up to half a minute the first time) ..."
	@$(BIN)/mypy
	@echo "Checking the direction of imports (import-linter) ..."
	@$(BIN)/lint-imports --no-logo

bench: .venv  ## measure, beside floors and peers: some fifteen minutes; ARGS=--quick takes one, ARGS=stores five
	@$(BIN)/python -m bench $(ARGS)

docs: .venv  ## run the notebooks, and make pages of them and of the docs in build/docs: a minute
	@$(BIN)/python -m docs.pages

pictures: .venv  ## make the pictures of the documentation anew; needs chromium
	@$(BIN)/python -m docs.pictures

clean:  ## remove build output, results and caches; .venv stays
	@rm -rf build dist bench/results htmlcov .coverage .coverage.* *.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find colonnade tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Clean. To make the virtualenv anew as well: rm -rf .venv"

.venv: .venv/.installed

# The stamp is written last, so an install that broke off is taken up again by the next make.
.venv/.installed: requirements/dev.txt requirements/runtime.txt pyproject.toml
	@[ -n "$(PYTHON)" ] || { \
		echo "colonnade needs Python 3.11 or newer, and none of python3.11, python3, python is."; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; } >&2
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "colonnade needs Python 3.11 or newer, and $(PYTHON) is not:"; "$(PYTHON)" --version; exit 1; } >&2
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtualenvs: its venv and ensurepip modules are missing."; \
		echo "On Debian or Ubuntu: apt install python3-venv (or python3.11-venv, to match the version)."; exit 1; } >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		echo "Making the virtualenv .venv with $(PYTHON) (a few seconds) ..."; \
		"$(PYTHON)" -m venv --clear .venv; }
	@echo "Installing the pinned packages into .venv (about a minute the first time, downloads included) ..."
	@# Twice quiet: errors only. What pip warns of (slow mirrors, odd configuration) is not about colonnade.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements/dev.txt
	@# The build backend is among the pins: no isolation, so nothing else is downloaded; it is looked up on PATH.
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install -qq --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	@touch $@
