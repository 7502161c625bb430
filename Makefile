# `make` alone lists what there is to run. Everything needed is installed on the way.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard shared/*/pyproject.toml services/*/pyproject.toml deploy/*/pyproject.toml))
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
export UV_PYTHON_DOWNLOADS := never

# Tests that need more than the locked packages; what is not named here is `make test`.
ELSEWHERE := chaos or plants or containers or kubernetes or extra
IMAGES := intake tickets routing sla notify analytics gateway mailbox

.PHONY: help check test test-extra chaos chaos-parts mutants demo up down docs bench clean lock images compose-secrets compose kubernetes

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | column -t -s "$$(printf '\t')"

.tools/bin/uv: tools/uv.txt
	@echo "installing uv into .tools"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r tools/uv.txt
	@touch $@

$(VENV)/.installed: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS)) | $(filter .tools/bin/uv,$(UV))
	@echo "installing the locked dependencies and the $(words $(MEMBERS)) packages of the workspace"
	@$(UV) venv -q --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip sync --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps $(foreach m,$(MEMBERS),-e $(m))
	@touch $@

lock: | $(filter .tools/bin/uv,$(UV)) ## resolve the dependencies anew and write requirements.lock
	$(UV) lock
	$(UV) export -q --all-packages --all-groups --no-emit-workspace --no-header -o requirements.lock
	@for m in $(MEMBERS); do name=$$(sed -n 's/^name = "\(.*\)"/\1/p' $$m/pyproject.toml); \
		$(UV) export -q --package $$name --no-dev --no-emit-workspace --no-header -o $$m/requirements.lock; done

check: $(VENV)/.installed ## format, lint, types, imports, generated files current
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m "not extra" tests/contract/test_contracts.py tests/contract/test_openapi.py tests/contract/test_asyncapi.py \
		tests/contract/test_guides_subscriber.py services/tickets/tests/unit/test_golden_pairs.py

# Those that take longest come first, so that none is left over at the end.
PARTS := services/intake services/analytics services/gateway services shared deploy

test: check ## check, then unit, component, contract and end-to-end tests on real Kafka and PostgreSQL
	@mkdir -p .deskline
	@echo "the tests of the whole system run beside those of its parts; what they say comes at the end"
	@$(BIN)/pytest -q -m "not ($(ELSEWHERE))" tests > .deskline/system-tests.log 2>&1 & system=$$!; \
	trap "kill $$system" INT TERM; \
	$(BIN)/pytest -q -n 4 --dist loadgroup -m "not ($(ELSEWHERE))" $(PARTS); parts=$$?; \
	wait $$system; whole=$$?; cat .deskline/system-tests.log; exit $$((parts | whole))

test-extra: $(VENV)/.installed ## what needs kubectl, promtool and npm from Debian: rendered overlays, alarms, AsyncAPI
	tools/extra.sh
	PATH="$(CURDIR)/.tools/prometheus/usr/bin:$$PATH" $(BIN)/pytest -q -m extra tests

chaos: $(VENV)/.installed ## faults on purpose, a verdict in .deskline/chaos (MINUTES=60, CHAOS_SEED=n; PLANT=all: planted mistakes)
ifdef PLANT
	$(BIN)/pytest -m plants tests/chaos/test_plants.py $(if $(filter-out all,$(PLANT)),-k $(PLANT))
else
	$(BIN)/pytest -s -m chaos tests/chaos/test_promises.py
	$(if $(MINUTES),,$(MAKE) chaos-parts)
	$(if $(MINUTES),,$(BIN)/pytest -m chaos tests/chaos/test_overload.py)
endif

# What is disturbed by itself: the chassis, one means of disturbance after the other, recovery.
chaos-parts: $(VENV)/.installed
	$(BIN)/pytest -m chaos $(addprefix --deselect tests/chaos/,test_promises.py test_overload.py) tests shared services

mutants: $(VENV)/.installed ## break the domains' rules one by one, and write docs/mutants.md (PART=tickets, SAMPLE=40)
	$(BIN)/python -m tools.mutants $(PART) $(if $(SAMPLE),--sample $(SAMPLE))

images: ## the container images, deskline-<service>:dev
	@for service in $(IMAGES); do \
		echo "building deskline-$$service:dev"; \
		member=services/$$service; [ -d $$member ] || member=deploy/$$service; \
		docker build -q -f deploy/image/Dockerfile --build-arg SERVICE=$$service --build-arg MEMBER=$$member \
			--build-arg REVISION=$$(git rev-parse HEAD) -t deskline-$$service:dev . || exit 1; done

compose-secrets: $(VENV)/.installed ## write the secrets of docker-compose.yml into .env, unless they are there
	$(BIN)/python deploy/compose/new_secrets.py .env

compose: $(VENV)/.installed ## docker compose: build, up, the end-to-end tests through its doors, the images' tests, down
	deploy/compose/check.sh
	$(BIN)/pytest -q -m containers tests/delivery

kubernetes: $(VENV)/.installed ## overlay small on the cluster of KUBECONFIG: the story, then updates, drains and kills
	$(BIN)/pytest -m kubernetes tests/kubernetes -s

demo: $(VENV)/.installed ## the whole system and a story played on it (ONCE=1: end after the story)
	$(BIN)/deskline-local demo $(if $(ONCE),--once)

up: $(VENV)/.installed ## the same system in the background, in a folder that lasts
	$(BIN)/deskline-local up

down: $(VENV)/.installed ## stop what `make up` started
	$(BIN)/deskline-local down

docs: $(VENV)/.installed ## write the generated files: schemas, samples, AsyncAPI, OpenAPI, topics, tables, guides
	$(BIN)/python -m tests.contract.contracts
	$(BIN)/python -m tests.contract.asyncapi
	$(BIN)/python -m deskline_gateway.openapi
	$(BIN)/python -m tests.contract.kafka_resources
	$(BIN)/python -m tests.contract.tables_page

bench: $(VENV)/.installed ## measure, and write docs/benchmarks.md (RUNS=5, ROWS=cpu,mails,forms for some rows)
	$(BIN)/python -m bench

clean: ## remove what was installed and built, and the local stack's folders
	rm -rf $(VENV) .tools .deskline .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
