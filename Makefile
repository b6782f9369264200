# Few targets; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench soak mutants lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The lock files are complete, so pip resolves nothing (--no-deps) and takes only known hashes.
$(VENV)/run.done: locks/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("kaquan needs Python 3.11 or newer; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV) (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes -r locks/run.txt
	@$(PIP) install setuptools wheel
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.done: locks/dev.txt $(VENV)/run.done
	@$(PIP) install --no-deps --require-hashes -r locks/dev.txt
	@touch $@

setup: $(VENV)/run.done ## make .venv with the command .venv/bin/kaquan

demo: setup ## a year of real purchases through the API, then the audits; leaves the server running
	@$(BIN)/kaquan demo $(ARGS)

check: $(VENV)/dev.done ## style and types
	@$(BIN)/ruff check src tests
	@$(BIN)/ruff format --check src tests
	@$(BIN)/mypy

test: check ## style, types and every test
	@$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

bench: setup ## measure this machine; results in bench/results
	@$(BIN)/kaquan bench all $(ARGS)

soak: $(VENV)/dev.done ## the long runs: two hours of the simulator, then histories, the state machine, fuzzing
	@$(BIN)/kaquan simulate --minutes $(or $(MINUTES),120)
	@KAQUAN_SOAK=1 $(BIN)/pytest tests/simulation tests/property tests/contract/test_fuzz.py $(ARGS)

mutants: $(VENV)/dev.done ## change what decides about money, line by line: does a unit test notice? (see docs)
	@nice $(BIN)/python tests/mutate.py
	@$(BIN)/python -m tests.mutants

lock: ## renew the lock files (needs uv)
	@for extra in "run:--extra demo" "dev:--extra demo --extra dev"; do \
	  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
	    --no-emit-index-url --no-annotate --no-header --override locks/overrides.txt \
	    $${extra#*:} -o locks/$${extra%%:*}.txt || exit 1; done

clean: ## forget the virtual environment and the embedded database
	rm -rf $(VENV) .kaquan mutants
