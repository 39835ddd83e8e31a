# Everything needs only Python 3.11 or newer and make; each target sets up what it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: help demo test test-quick gateway slow conformance hostile lint up bench accuracy oracles wheel overload lock generate clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

# One environment, from the lock file, hashes checked; made anew when the lock file changes.
$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	$(BIN)/python -m compileall -q serve monitors registry configs
	@touch $(READY)

demo: $(READY) ## the whole story on real data, on this machine
	$(BIN)/weir demo

test: $(READY) ## style, types and all tests that need no gateway
	scripts/install-prometheus
	$(MAKE) lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not gateway and not hostile and not slow"

gateway: $(READY) ## the tests against a real gateway on real ports; CI runs them too
	scripts/install-prometheus
	$(BIN)/python -m pytest -m "gateway and not hostile and not slow"

test-quick: $(READY) ## what needs neither a gateway nor Prometheus
	$(BIN)/python -m pytest -m "not gateway and not deploy and not hostile and not slow"

slow: $(READY) ## the tests that take a minute each; CI runs them too
	scripts/install-prometheus
	$(BIN)/python -m pytest -m slow

hostile: $(READY) ## slow clients, hostile bytes, more load than there is room for
	$(BIN)/python -m pytest -m hostile -s

CASES ?= 1000
conformance: $(READY) ## the real clients against a running gateway; writes docs/conformance.md
	$(BIN)/python -m pytest -m conformance tests/conformance --cases $(CASES)

lint: $(READY) ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

up: $(READY) ## a gateway in the foreground
	$(BIN)/weir up

# A server whose environment cannot be made is left out, and the table says so.
bench: $(READY) ## Weir beside nine other servers, and the other figures of docs/performance.md
	benchmarks/install-tools
	-$(BIN)/python -m benchmarks.environments
	-$(BIN)/python -m benchmarks.compiled
	$(BIN)/python -m benchmarks.figures --json .tools/figures.json

accuracy: $(READY) ## Weir's monitors beside four libraries on the same streams; half an hour
	$(BIN)/python -m benchmarks.accuracy

oracles: $(READY) ## Weir's figures beside those of other libraries, to 1e-9; four minutes
	$(BIN)/python -m benchmarks.oracles

wheel: $(READY) ## the package with its request path compiled, into dist/; needs a C compiler
	@command -v $${CC:-cc} >/dev/null || { echo "make wheel needs a C compiler: install one, or name it with CC="; exit 1; }
	rm -rf build
	WEIR_COMPILE=1 $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index -w dist .

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
  --python-version 3.11 pyproject.toml

overload: $(READY) ## what a model does when it is asked for more than it can answer
	$(BIN)/python -m benchmarks.overload

lock: $(READY) ## resolve the dependencies anew
	$(COMPILE) -o requirements.lock
	$(COMPILE) --extra demo --group dev --constraint requirements.lock -o requirements-dev.lock

generate: $(READY) ## dashboards, alert rules, docs/signals.md and the messages of the gRPC protocol
	$(BIN)/python -m monitors.telemetry.generate
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. serve/protocol/inference.proto

clean: ## forget the environment, the tools and what was built
	rm -rf $(VENV) .tools build dist
