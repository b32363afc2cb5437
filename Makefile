# Everything a user or developer runs; `make` alone lists it.
PYTHON ?= python3
WORKERS ?= 2

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The nets are small: a second torch thread costs more than it gives.
export OMP_NUM_THREADS := 1

BIN := .venv/bin

.PHONY: help train test test-long test-kill test-faults test-configs notebook docs references lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train: .venv/.installed ## train the default experiment and print its leaderboard
	@echo "Training experiment=slowfast"
	@$(BIN)/slowfast-train experiment=slowfast

test: .venv/.installed ## format, lint, types, import layers and the test suite
	@echo "Checking the format"
	@$(BIN)/ruff format --check
	@echo "Linting"
	@$(BIN)/ruff check
	@echo "Checking types"
	@$(BIN)/mypy
	@echo "Checking import layers"
	@$(BIN)/lint-imports
	@echo "Running the tests"
	@$(BIN)/pytest -n $(WORKERS) -m "not long and not configs"

test-long: .venv/.installed ## the tests that take minutes
	@echo "Running the long tests"
	@$(BIN)/pytest -n $(WORKERS) -m long

test-configs: .venv/.installed ## 10,000 generated worlds, each refused or simulated
	@echo "Running the generated configurations"
	@$(BIN)/pytest -n $(WORKERS) -m configs

docs: .venv/.installed ## build the documentation site into site/
	@echo "Writing the tables of settings"
	@$(BIN)/python docs/hooks/config_page.py
	@echo "Building site/; a warning is an error"
	@$(BIN)/mkdocs build --quiet --strict

test-kill: .venv/.installed ## kill 50 trainings and continue them
	@echo "Killing 50 trainings"
	@KILLS=50 $(BIN)/pytest -n $(WORKERS) tests/cli/test_kills.py

test-faults: .venv/.installed ## kill planner and executor 20 times each on either shared store
	@echo "Killing planner and executor 20 times each on either shared store"
	@KILLS=20 $(BIN)/pytest -n $(WORKERS) tests/cli/test_random_faults.py tests/cli/test_stream_faults.py

notebook: .venv/.installed ## open the notebooks in jupyter
	@echo "Installing jupyter if it is missing"
	@$(BIN)/python -m pip install --quiet -e ".[notebooks]"
	@$(BIN)/jupyter lab notebooks

references: .venv/.installed ## compute the reference returns of the default cases
	@echo "Computing references"
	@$(BIN)/python -m slowfast_rl.cli.references "worlds=[pronounced,calibrated]"

lock: ## pin the newest set of packages that pyproject.toml allows
	@echo "Resolving dependencies in a fresh environment"
	@$(PYTHON) -m venv --clear .venv-lock
	@.venv-lock/bin/python -m pip install --quiet torch==2.13.0 -e ".[dev]"
	@echo "Writing requirements.lock"
	@{ echo "# The tested set of packages. Written by \`make lock\`; do not edit."; \
	   .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude slowfast_rl \
	   | sed -E -e 's/\+cpu$$//' -e '/^(nvidia|cuda|triton)/d'; } > .venv-lock/requirements.lock
	@mv .venv-lock/requirements.lock requirements.lock
	@rm -rf .venv-lock

clean: ## remove the environment, caches and builds; runs/ stays
	@echo "Removing the environment, caches and builds"
	@rm -rf .venv .venv-lock .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis build dist site
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml requirements.lock
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@echo "Installing the locked packages and slowfast_rl (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet -r requirements.lock -e .
	@touch $@
