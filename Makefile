# Slipway's own commands. They need git, make and Python 3.11 or later; the rest is fetched.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: help new test prove matrix bench bench-serving bench-update lint format examples tags release lock

PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
RUN := .venv/bin/python

# Take these as typed: a dollar sign in a path or an answer must not be expanded by make.
$(foreach name,DEST ARGS DATA READ TARGET REF FROM VERSION,$(eval override $(name) := $$(value $(name))))
export DEST DATA TARGET REF FROM VERSION

help:  ## list the targets
	@echo "make new DEST=../churn   start a project (see README.md for ARGS, DATA, READ, REF, FROM)"
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 25

new: .venv/command
	@$(RUN) -m slipway new --from "$$FROM" --ref "$$REF" --adopt "$$DATA" --target "$$TARGET" $(READ) -- "$$DEST" $(ARGS)

test: .venv/developer  ## test every combination of answers, reusing committed verdicts; REQUIRE_ALL=1 fails on a skipped test
	$(RUN) -m pytest $(or $(ARGS),--numprocesses=2)

prove: .venv/developer  ## test everything from nothing, and check the committed verdicts
	PROVE=1 $(RUN) -m pytest $(or $(ARGS),--numprocesses=2)

matrix: .venv/developer  ## check every combination of answers; ARGS="--help" lists its commands
	@$(RUN) -m tests.checks $(or $(ARGS),run)

bench: .venv/developer  ## compare the speed of the matrix with other ways to test combinations
	@PATH="$$PATH:$(CURDIR)/.tools/bin" $(RUN) -m bench.matrix

bench-serving: .venv/developer  ## compare the speed of the emitted service with others; ARGS="--quick" for a short run
	@PATH="$$PATH:$(CURDIR)/.tools/bin" $(RUN) -m bench.serving $(ARGS)

bench-update: .venv/developer  ## compare the time of an update without changes with Copier alone
	@$(RUN) -m bench.update

lint: .venv/developer  ## check format, lint and types
	$(RUN) -m black --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: .venv/developer  ## format the code and apply automatic fixes
	$(RUN) -m ruff check --fix .
	$(RUN) -m black .

examples: .venv/developer  ## regenerate examples/, docs/questions.md, CHANGELOG.md and parts of hooks/
	$(RUN) -m tests.manifests
	$(RUN) -m tests.examples
	$(RUN) -m tests.reference
	$(RUN) -m slipway.changes

tags: .venv/command  ## create the tags of all releases in a clone that lacks them
	@$(RUN) -m slipway tags

release: .venv/developer  ## prove everything, then tag a release; VERSION=0.2.0
	@$(RUN) -m slipway release "$$VERSION"

lock: .venv/developer  ## lock the newest versions with hashes; UPGRADE= keeps versions that still fit
	$(UV) pip compile $(LOCK) pyproject.toml --output-file requirements.txt
	$(UV) pip compile $(LOCK) pyproject.toml --group dev --output-file requirements-dev.txt
	$(RUN) -m tests.checks.lock
	$(UV) pip compile $(LOCK) tests/checks/emitted.in --output-file tests/checks/emitted.txt
	echo uv | $(UV) pip compile $(LOCK) --no-annotate - --output-file template/tools/uv.txt

UPGRADE := --upgrade
LOCK = --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.venv/command: requirements.txt | $(UV)
	@$(UV) venv --quiet --allow-existing --python '>=3.11' .venv
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements.txt
	@touch $@

.venv/developer: requirements-dev.txt | $(UV)
	@$(UV) venv --quiet --allow-existing --python '>=3.11' .venv
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements-dev.txt
	@touch $@

.tools/bin/uv: template/tools/uv.txt
	@echo "Fetching uv into .tools/, once."
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --require-hashes -r template/tools/uv.txt
	@touch $@
