# One command tests it: `make test`. `make help` lists the rest.
# Needs Python 3.11 or 3.12 with venv, make and git; everything else comes from wheels and pinned jars.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Python processes of one run share a venv: recipes are not made for -j
.NOTPARALLEL:

BIN := .venv/bin
PY := $(BIN)/python
VENV := .venv/.installed
SOURCES := services shared lab deploy tests benchmarks
TYPED := services shared lab deploy tests
LOCKED := --universal --python-version 3.11 --generate-hashes -q
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1
# compiled tests and services are kept for the next run, whatever the shell says
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo help venv lock test unit proof check sim faults control format up down reset \
	bench-throughput bench-import bench-recovery bench-memory bench-tick bench-past bench-simulate \
	check-history clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

demo: $(VENV) ## Show what it does within three minutes (DEMO_SECONDS=60: press its buttons, judge, end)
	@$(PY) -m lab.demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS)) $(ARGS)

venv: $(VENV) ## Make or repair .venv from requirements.lock

$(VENV): requirements.lock pyproject.toml deploy/local/venv.sh
	@sh deploy/local/venv.sh

lock: $(VENV) ## Pin the dependencies of pyproject.toml anew (needs uv)
	uv pip compile pyproject.toml --group dev $(LOCKED) -o requirements.lock
	uv pip compile pyproject.toml --group build $(LOCKED) -c requirements.lock -o deploy/image.lock

test: $(VENV) ## Run every test, those against real Kafka, Redis and SMTP included (ARGS="-k name")
	$(PY) -m pytest -m "not proof" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

unit: $(VENV) ## Run the tests that touch no I/O
	$(PY) -m pytest tests/unit $(ARGS)

proof: $(VENV) ## Run the tests that take longer: soak, Node's SDKs
	$(PY) -m pytest -m proof $(ARGS)

check: $(VENV) ## Lint, check types and imports, validate deployment files
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(TYPED)
	$(PY) -m pytest -q tests/unit/test_imports.py tests/unit/test_repository.py tests/unit/deploy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile
	$(BIN)/kubectl kustomize deploy/k8s > .venv/k8s.yaml
	$(BIN)/kubernetes-validate --strict .venv/k8s.yaml

sim: $(VENV) ## Simulate 5,000,000 schedules of crashes, zombies and losses (SCHEDULES=, SEED=)
	$(PY) -m tests.faults.sim --schedules $(or $(SCHEDULES),5000000) --seed $(or $(SEED),1) $(ARGS)

faults: $(VENV) ## Kill, pause, cut off and starve the real processes (MINUTES=60 SEED=1)
	$(PY) -m tests.faults.real --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) $(ARGS)

control: $(VENV) ## Do the same to a plain Faust scorer and count what it loses (MINUTES=5 SEED=1)
	$(PY) -m tests.faults.control --minutes $(or $(MINUTES),5) --seed $(or $(SEED),1) $(ARGS)

format: $(VENV) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only -q $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

up: $(VENV) ## Start Kafka, Redis, a mail catcher, a Slack double and the services
	@$(PY) -m deploy.local.stack up

down: $(VENV) ## Stop what `make up` started
	@$(PY) -m deploy.local.stack down

reset: $(VENV) ## Stop the stack and forget its events, alerts and logs (secrets stay)
	@$(PY) -m deploy.local.stack reset

bench-throughput: $(VENV) ## Measure the scorer's whole job against a bare fetch loop
	$(PY) -m benchmarks.throughput $(ARGS)

bench-import: $(VENV) ## Measure how fast a history is imported, beside a loop that only produces
	$(PY) -m benchmarks.history

bench-recovery: $(VENV) ## Measure how long a scorer takes to be itself again (ARGS="--accounts 100000")
	$(PY) -m benchmarks.recovery $(ARGS)

bench-past: $(VENV) ## Measure how long it takes to say what was known of an account among 1,000,000
	$(PY) -m benchmarks.past $(ARGS)

bench-memory: $(VENV) ## Measure bytes an account, for 10,000, 100,000 and 1,000,000 accounts
	$(PY) -m benchmarks.memory $(ARGS)

bench-simulate: $(VENV) ## Measure how fast a vendor is simulated on one core, and in what memory
	$(PY) -m benchmarks.simulate

bench-tick: $(VENV) ## Measure ticks over 10,000, 100,000 and 1,000,000 accounts
	$(PY) -m benchmarks.tick

check-history: $(VENV) ## Send real history through the whole path: DATA=<folder>
	@test -n "$(DATA)" || { echo 'set DATA to the folder of git_openstack_events.csv.gz' >&2; exit 2; }
	$(PY) -m lab.check_history --data "$(DATA)" $(ARGS)

clean: ## Remove .venv and caches; the next command makes them again
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis churnwatch.egg-info
