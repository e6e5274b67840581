# One line per task; each also works when typed without make.
# `demo` and `test` install what is missing; the others only say what is.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
PYTEST := $(BIN)/pytest -q
# As PYTEST; a few tests that failed are run again, alone.
RUN_TESTS := $(BIN)/python scripts/run-tests -q
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types soak bench fix coverage clean parts installed

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: $(VENV)/.installed  ## see fleetctl work on a throw-away fleet on this machine
	@$(BIN)/fleetctl demo

test: $(VENV)/.installed parts lint types  ## run everything: lint, types and all tests, on real sshd
	@echo '--- fleet tests, plain asyncio in debug mode; comparisons with other programs have no loop'
	@FLEETCTL_LOOP=asyncio PYTHONASYNCIODEBUG=1 $(RUN_TESTS) -n 3 -m fleet tests/fleet \
		--ignore-glob='*oracle*' --ignore=tests/fleet/test_shells.py
	@echo '--- all tests; those of keys on hosts, which are not about a loop, ran above'
	@$(RUN_TESTS) -n 3 --ignore=tests/fleet/keys

check: installed lint types  ## the quick part of test: lint, types and all tests that need no sshd
	@$(PYTEST) -n 2 -m 'not fleet'

lint:
	@echo '--- lint'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types:
	@echo '--- types'
	@$(BIN)/mypy

soak: installed parts  ## the tests of large numbers at their full size; takes many minutes
	@$(PYTEST) --full-size --timeout 1800 -m fleet tests/fleet/test_session_sizes.py tests/fleet/test_session_crowds.py
	@$(PYTEST) --full-size --timeout 5400 tests/cli/test_no_secret_leaves.py

bench: installed  ## measure fleetctl beside other tools, on loopback
	@$(BIN)/python benchmarks/bench.py

fix: installed  ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

coverage: installed  ## which lines the tests reach
	@$(PYTEST) -n 2 --cov --cov-report=term --cov-report=html

clean:  ## remove everything that was made here, the virtual environments included
	rm -rf $(VENV) .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov dist build
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml scripts/make-venv
	@scripts/make-venv $(VENV) $(PYTHON)

parts:
	@scripts/need-parts

installed:
	@test -e $(VENV)/.installed || { echo 'not installed yet: run `make test` or `make demo` first' >&2; exit 1; }
