# The front door: `make demo` and `make test` do all their own set-up; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# rustup puts cargo here and tells only login shells.
export PATH := $(PATH):$(HOME)/.cargo/bin

# The newest Python that can make a virtual environment; a name on PATH may be a shim that leads nowhere, so ask it.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3.10 python3; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 \
	&& echo "$$name" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
SHARED ?= ../shared
DEMO_ARGS ?=
PYTEST_ARGS ?=

SOURCES := $(shell find src -name '*.rs') Cargo.toml Cargo.lock pyproject.toml
LINTED := python tests tools $(wildcard examples benches)
READY := $(VENV)/.ready
BUILT := $(VENV)/.built

.PHONY: help
help: ## list what can be asked for
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## the whole main job on a real data set (DEMO_ARGS="--csv FILE" for your own)
	$(BIN)/hagane demo $(DEMO_ARGS)

.PHONY: test
test: test-rust test-python ## every test; those that need a service say so and are skipped without it

.PHONY: test-rust
test-rust: ## the core's tests, built without Python
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run; \
	else echo 'cargo-nextest is not installed; running cargo test instead'; cargo test; fi

.PHONY: test-python
test-python: build ## the package's tests (PYTEST_ARGS="-k NAME" for some)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: crash
crash: build ## kill writers of both databases and pipelines on them 10,000 times each; let 1,000 pairs of writers collide
	HAGANE_CRASH_TRIALS=10000 HAGANE_INTERLEAVINGS=1000 HAGANE_REQUIRE_SERVICES=1 $(BIN)/python -m pytest \
		tests/rollback/test_store_crash.py tests/rollback/test_store_concurrency.py tests/engines/test_engine_crash.py \
		$(PYTEST_ARGS)

.PHONY: build
build: $(BUILT) ## build the extension and install the package into .venv
$(BUILT): $(READY) $(SOURCES)
	env -u CONDA_PREFIX PIP_QUIET=1 VIRTUAL_ENV="$(abspath $(VENV))" $(BIN)/maturin develop --quiet \
		--features extension-module,failpoints
	@touch $@

$(READY): pyproject.toml
	@test -n '$(PYTHON)' || { echo 'no Python >= 3.10 with venv was found; on Debian: apt-get install python3-venv' >&2; exit 2; }
	@command -v cargo >/dev/null || { echo 'cargo was not found; install a Rust toolchain (1.89 or newer)' >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

.PHONY: lint
lint: lint-rust lint-python lint-deny ## formatting, clippy, types, stubs, architecture, licences

.PHONY: lint-rust
lint-rust: test-rust
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --all-targets --features python -- -D warnings
	cargo clippy --quiet --all-targets --features python,failpoints -- -D warnings

.PHONY: lint-python
lint-python: build
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy --strict python
	cd tools/services && "$(abspath $(BIN))/mypy" --strict --config-file= *.py
	@if $(BIN)/python -c 'import grafana_foundation_sdk' 2>/dev/null; \
	then cd tools/dashboards && "$(abspath $(BIN))/mypy" --strict --config-file= *.py; \
	else echo 'grafana-foundation-sdk needs Python 3.11; the types of tools/dashboards were not checked'; fi
	$(BIN)/python -m mypy.stubtest hagane._core --ignore-disjoint-bases --allowlist tools/stubtest.allow
	$(BIN)/python -m pytest -q tests/foundation/test_architecture.py tests/foundation/test_exports.py

.PHONY: lint-deny
lint-deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error --all-features check bans licenses sources; \
	else echo 'cargo-deny is not installed (cargo install --locked cargo-deny); licences and bans were not checked'; fi

.PHONY: bench
bench: build ## run the benchmarks in benches/
	@shopt -s nullglob; files=(benches/*.py); \
	if [ $${#files[@]} = 0 ]; then echo 'there are no benchmarks yet'; fi; \
	for file in "$${files[@]}"; do echo "== $$file"; $(BIN)/python "$$file"; done

.PHONY: dashboards
dashboards: $(READY) ## write the packaged Grafana dashboard anew from tools/dashboards
	$(BIN)/python tools/dashboards

.PHONY: bench-metrics
bench-metrics: $(READY) ## metrics beside prometheus_client, optimised (AGENTFLOW=DIR for AgentFlow's own; figures in .benchmarks/)
	mkdir -p .benchmarks
	env -u CONDA_PREFIX PIP_QUIET=1 VIRTUAL_ENV="$(abspath $(VENV))" CARGO_PROFILE_RELEASE_LTO=thin \
		CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 $(BIN)/maturin develop --quiet --release
	rm -f $(BUILT)
	$(BIN)/python benches/metrics.py --json .benchmarks/metrics.json $(if $(AGENTFLOW),--agentflow "$(AGENTFLOW)")

.PHONY: bench-reliability
bench-reliability: $(READY) ## snapshots, stores, engine beside their peers, optimised (POSTGRES=URL, AGENTFLOW=DIR)
	mkdir -p .benchmarks
	env -u CONDA_PREFIX PIP_QUIET=1 VIRTUAL_ENV="$(abspath $(VENV))" CARGO_PROFILE_RELEASE_LTO=thin \
		CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 $(BIN)/maturin develop --quiet --release
	rm -f $(BUILT)
	$(BIN)/python benches/reliability.py --json .benchmarks/reliability.json $(if $(POSTGRES),--postgres "$(POSTGRES)")
	$(BIN)/python benches/reliability_engine.py $(if $(AGENTFLOW),--agentflow "$(AGENTFLOW)")
	$(BIN)/python benches/reliability_core.py $(if $(AGENTFLOW),--agentflow "$(AGENTFLOW)")
	$(BIN)/python benches/anomaly.py

.PHONY: services-install services-up services-down services-status
services-install: ## install the services from Debian's packages (as root)
	python3 tools/services install
services-up: ## start the services that tests use, on loopback, data in a temporary directory
	python3 tools/services up
services-down: ## stop them and leave nothing
	python3 tools/services down
services-status: ## say which of them answer
	python3 tools/services status

.PHONY: sync-data
sync-data: ## copy corpora, API facts and their checker from SHARED into tests/data
	mkdir -p tests/data
	cp $(SHARED)/corpus/abuse.jsonl $(SHARED)/corpus/extraction.jsonl $(SHARED)/tools/check_api.py tests/data/
	cp $(SHARED)/reference/agentflow-api-0113.json $(SHARED)/reference/agentflow-api-0130.json tests/data/

.PHONY: wheel
wheel: $(READY) ## an optimised abi3 wheel in dist/
	$(BIN)/maturin build --release --out dist

.PHONY: clean
clean: ## remove what make made (services: services-down)
	rm -rf target dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f python/hagane/_core*.so
	find python tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
