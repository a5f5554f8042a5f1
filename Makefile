# Waybill. `make help` lists the targets.
# Settings are environment variables and may be given here as well: make up WEB_PORT=8010

PYTHON ?= python3
ORDERS ?=
EXIT ?=
SEED ?=
FAULTS ?=
MINUTES ?=
PYTEST_WORKERS ?= 4
# tests that start whole stacks of processes, the longest first
STACKS := tests/drill/test_run.py tests/production/test_town.py tests/end_to_end
export ORDERS EXIT SEED FAULTS MINUTES
# Hundreds of processes are started: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
OLD := import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed, but %s is %s. Name another: make PYTHON=python3.12 ..." % (sys.executable, sys.version.split()[0]))
define check-python
@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on the PATH; Python 3.11 or later is needed. Name it: make PYTHON=/path/to/python3 ..." >&2; exit 2; }
@$(PYTHON) -c '$(OLD)'
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev demo up backup restore test format lint types contracts compiled suite unit integration replay e2e test-cluster fuzz test-portals test-mutants bench bench-large drill fix lock clean bench-portals portal-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## the stack on fresh data with ORDERS=20 sample orders; EXIT=1 ends when they have ended
	@$(BIN)/python -m local demo

up: setup ## the stack with its data kept under .waybill/up, until Ctrl-C
	@$(BIN)/python -m local up

backup: setup ## the data of `make up` in one archive under TO=backups, also while it runs
	@$(BIN)/python -m local backup

restore: setup ## put FROM=archive back; REPLACE=yes where data would be replaced
	@$(BIN)/python -m local restore

# Whole stacks, types and everything else beside each other, since each of them waits much; what the stacks said comes last.
# What has ended is forgotten at once: its number may be another process's by the time at which the trap kills.
test: format lint contracts ## everything
	@told=$$(mktemp); types=; stacks=; \
	trap 'test -z "$$types$$stacks" || kill $$types $$stacks; rm -f "$$told"' EXIT; trap 'exit 130' INT TERM; \
	$(MAKE) --no-print-directory types & types=$$!; \
	$(MAKE) --no-print-directory compiled; \
	$(MAKE) --no-print-directory e2e PYTEST_WORKERS=2 >"$$told" 2>&1 & stacks=$$!; \
	$(MAKE) --no-print-directory suite PYTEST_WORKERS=3; failed=$$?; \
	wait $$stacks || failed=1; stacks=; cat "$$told"; \
	wait $$types || failed=1; types=; \
	exit $$failed

suite: setup-dev
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal $(STACKS:%=--ignore=%) tests

# Else each of the test processes compiles all code anew, at the same time. What is wrong with the code, the tests tell.
compiled: setup-dev
	-@$(BIN)/pytest --collect-only -qq tests >/dev/null 2>&1

format: setup-dev ## check the formatting
	$(BIN)/ruff format --check --quiet .

lint: setup-dev ## check the style
	$(BIN)/ruff check --quiet --output-format concise .

types: setup-dev ## check the types
	$(BIN)/mypy .

contracts: setup-dev ## check who imports whom
	$(BIN)/lint-imports --no-logo

unit: setup-dev ## test the rules alone
	$(BIN)/pytest tests/domain

integration: setup-dev ## test against real servers on this machine
	$(BIN)/pytest -n $(PYTEST_WORKERS) --ignore=tests/domain --ignore=tests/workflows/test_replay.py $(STACKS:%=--ignore=%) tests

replay: setup-dev ## replay recorded orders through today's workflows
	$(BIN)/pytest tests/workflows/test_replay.py

# The longest come first, by their order here; xdist's own would leave files of one long test to the end.
e2e: setup-dev ## test the whole stack from outside
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder $(STACKS)

test-cluster: setup-dev ## test the whole stack on the Temporal at TEMPORAL_ADDRESS; K=expression picks tests
	@test -n "$$TEMPORAL_ADDRESS" || { echo "Which Temporal? Name it: make test-cluster TEMPORAL_ADDRESS=host:port" >&2; exit 2; }
	$(BIN)/pytest tests/end_to_end -rs $(if $(K),-k "$(K)")

fuzz: setup-dev ## the long permutations, which `make test` leaves out, drawn anew each time
	$(BIN)/pytest -n $(PYTEST_WORKERS) -m fuzz --hypothesis-profile=default --ignore=tests/mutants tests

test-portals: setup-dev ## all tests of suppliers' portals in a real browser, the long ones too
	$(BIN)/pytest -m "fuzz or not fuzz" tests/portals

test-mutants: setup-dev ## plant bugs in a copy of the sources; the tests must notice
	$(BIN)/pytest -m "fuzz or not fuzz" tests/mutants

bench: setup ## measure speed and cost on fresh data; the last line is JSON (docs/performance.md)
	@$(BIN)/python -m bench

bench-large: setup ## lists and searches over a million orders
	@$(BIN)/python -m bench large

bench-portals: setup-dev ## orders a minute through a supplier's portal, and memory; JOBS=20
	@$(BIN)/python -m bench portals

portal-check: setup-dev ## is the portal PORTAL still as its adapter knows it? Orders nothing; SKU=, PICTURES= (docs/portals.md)
	@test -n "$(PORTAL)" || { echo "Which portal? Name it as PORTALS does: make portal-check PORTAL=northgate" >&2; exit 2; }
	@$(BIN)/python -m runtime.portal_check "$(PORTAL)" $(if $(SKU),--sku "$(SKU)") $(if $(PICTURES),--pictures "$(PICTURES)")

drill: setup ## kill anything at random and prove that no order suffers; SEED=, ORDERS=200, FAULTS=worker,postgres, MINUTES= (docs/reliability.md)
	@$(BIN)/python -m drill

fix: setup-dev ## format, and repair what the linter can
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

lock: setup-dev ## renew the lock files (running, local, dev) within pyproject.toml's bounds
	$(BIN)/uv pip compile pyproject.toml --extra traces --universal --generate-hashes --no-emit-index-url --upgrade --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra traces --extra local --universal --generate-hashes --no-emit-index-url --upgrade --quiet -c requirements.lock -o requirements-local.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url --upgrade --quiet -c requirements-local.lock -o requirements-dev.lock

setup: ## make .venv with what the stack on this machine needs
	$(check-python)
	@$(PYTHON) -I local/setup.py

setup-dev: ## make .venv with what developing needs too
	$(check-python)
	@$(PYTHON) -I local/setup.py --dev

clean: ## remove the data of `make up` and `make demo`, and the tools' caches
	$(check-python)
	@$(PYTHON) -I local/clean.py
