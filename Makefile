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

.PHONY: help train test test-long test-ray test-kill test-configs test-faults test-generator \
	test-minimum test-latest test-extras notebook docs references lock licences sbom clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

test-long: .venv/.installed test-ray ## the tests that take minutes
	@echo "Running the long tests"
	@$(BIN)/pytest -n $(WORKERS) -m long

# One after another: each starts workers of its own on all cores.
test-ray: .venv-ray/.installed ## the tests on Ray and joblib, which the lock leaves out
	@echo "Running the tests on Ray and joblib"
	@.venv-ray/bin/python -m pytest -n 0 -m ray

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

# Dieharder's own tests by number; its default sizes. Needs the command dieharder.
DIEHARDER ?= 0 1 2 3 8 9 12 15 16 100 101 102
test-generator: .venv/.installed ## feed the random numbers to Dieharder, in three orders
	@for order in "slots of a member" "members of a slot" seeds; do for test in $(DIEHARDER); do \
	   $(BIN)/python -m tests.members.random_battery "$$order" | dieharder -g 200 -d $$test \
	   | grep -E "PASSED|WEAK|FAILED" | sed "s/^/$$order: /"; done; done

# A part: make test-minimum TESTS="tests/members tests/store". TORCH tells uv where torch is from; by
# default from PyTorch's own index. TORCH="torch==2.13.0+cpu --find-links wheels" does without it.
TORCH ?= --torch-backend cpu

test-minimum: ## the tests with the lowest versions that pyproject.toml allows
	@echo "Making .venv-minimum"
	@$(PYTHON) -m venv --clear .venv-minimum
	@.venv-minimum/bin/python -m pip install --quiet uv
	@.venv-minimum/bin/uv pip install --quiet --python .venv-minimum \
	   --resolution lowest-direct $(TORCH) -e ".[dev]"
	@echo "Running the tests; old versions may warn of what newer ones deprecate"
	@.venv-minimum/bin/pytest -n $(WORKERS) -W default::DeprecationWarning \
	   -m "not long and not configs" $(TESTS)

test-latest: ## the tests with the newest versions that pyproject.toml allows
	@echo "Making .venv-latest"
	@$(PYTHON) -m venv --clear .venv-latest
	@.venv-latest/bin/python -m pip install --quiet uv
	@.venv-latest/bin/uv pip install --quiet --python .venv-latest $(TORCH) -e ".[dev]"
	@echo "Running the tests"
	@.venv-latest/bin/pytest -n $(WORKERS) -m "not long and not configs" $(TESTS)

test-extras: ## pip check in a fresh environment for each extra
	@for extra in $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"])'); do \
	   echo "Installing slowfast_rl[$$extra]"; \
	   $(PYTHON) -m venv --clear .venv-extra; \
	   .venv-extra/bin/python -m pip install --quiet -r requirements-torch.txt -e ".[$$extra]"; \
	   .venv-extra/bin/python -m pip check; \
	   .venv-extra/bin/python -c "import slowfast_rl"; \
	 done
	@rm -rf .venv-extra

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

licences: .venv/.installed .venv-tools/.installed ## list the locked packages with versions and licences
	@.venv-tools/bin/pip-licenses --python=$(BIN)/python --with-system --with-urls --format=markdown \
	   --packages $$(sed -nE 's/^([A-Za-z0-9._-]+)==.*/\1/p' requirements.lock requirements-torch.txt)

sbom: .venv-tools/.installed ## write the locked packages and their hashes to dist/sbom.cdx.json (CycloneDX)
	@mkdir -p dist
	@# The tool warns that a list of pins does not say which package requires which.
	@cat requirements.lock requirements-torch.txt \
	   | PYTHONWARNINGS=ignore .venv-tools/bin/cyclonedx-py requirements \
	   --pyproject pyproject.toml --mc-type library --output-reproducible -o dist/sbom.cdx.json -

clean: ## remove the environment, caches and builds; runs/ stays
	@echo "Removing the environment, caches and builds"
	@rm -rf .venv .venv-*/ .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis build dist site
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip checks hashes for all packages of a call or for none, so torch needs a second one. That call finds
# everything else installed, and adds only what other systems need (CUDA's libraries, say).
.venv/.installed: pyproject.toml requirements.lock requirements-torch.txt
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@echo "Installing the locked packages and slowfast_rl (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet -r requirements-torch.txt -e ".[dev]"
	@touch $@

# Beside what .venv has; Ray is large, and not to be had for each new Python at once.
.venv-ray/.installed: .venv/.installed
	@echo "Installing Ray and joblib beside the locked packages"
	@$(BIN)/python -m venv --clear .venv-ray
	@.venv-ray/bin/python -c "import pathlib, site, sys; \
	   [place] = site.getsitepackages(); \
	   locked, = pathlib.Path('.venv').resolve().glob('lib/*/site-packages'); \
	   pathlib.Path(place, 'locked.pth').write_text(f'import site; site.addsitedir({str(locked)!r})')"
	@.venv-ray/bin/python -m pip install --quiet -e ".[ray,sweep]"
	@touch $@

.venv-tools/.installed:
	@echo "Installing pip-licenses and cyclonedx-bom"
	@$(PYTHON) -m venv --clear .venv-tools
	@.venv-tools/bin/python -m pip install --quiet pip-licenses cyclonedx-bom
	@touch $@
