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

.PHONY: help train test test-long test-kill test-configs notebook docs references lock clean

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

notebook: .venv/.installed ## open the notebooks in jupyter
	@echo "Installing jupyter if it is missing"
	@$(BIN)/python -m pip install --quiet -e ".[notebooks]"
	@$(BIN)/jupyter lab notebooks

references: .venv/.installed ## compute the reference returns of the default cases
	@echo "Computing references"
	@$(BIN)/python -m slowfast_rl.cli.references "worlds=[pronounced,calibrated]"

lock: ## pin the newest set of packages that pyproject.toml allows, with hashes
	@echo "Resolving dependencies in a fresh environment"
	@$(PYTHON) -m venv --clear .venv-lock
	@.venv-lock/bin/python -m pip install --quiet -r requirements-torch.txt -e ".[dev]"
	@.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude slowfast_rl --exclude torch \
	   | sed -E '/^(nvidia|cuda|triton)/d' > .venv-lock/pinned.txt
	@echo "Writing requirements.lock"
	@.venv-lock/bin/python -m pip install --quiet uv
	@{ echo "# The tested set of packages. Written by \`make lock\`; do not edit."; \
	   .venv-lock/bin/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate \
	   --python .venv-lock/bin/python .venv-lock/pinned.txt; } > .venv-lock/requirements.lock
	@mv .venv-lock/requirements.lock requirements.lock
	@rm -rf .venv-lock

clean: ## remove the environment, caches and builds; runs/ stays
	@echo "Removing the environment, caches and builds"
	@rm -rf .venv .venv-lock .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis build dist site
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# requirements.lock holds what torch and slowfast_rl depend on, so the second call adds only these two
# (and CUDA's libraries, where torch's build needs them). pip cannot mix hashed and unhashed in one call.
.venv/.installed: pyproject.toml requirements.lock requirements-torch.txt
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@echo "Installing the locked packages and slowfast_rl (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet -r requirements-torch.txt -e .
	@$(BIN)/python -m pip check
	@touch $@
