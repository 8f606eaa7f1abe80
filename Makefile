# Two commands do all the set-up: `make run` shows the federation at work, `make test` runs every
# test. `make check` is exactly what CI runs. Needed: Python >= 3.11 with its headers, a C++ compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TUFJS := tests/conformance/tufjs
BENCHMARKS ?= publish match media spread schedules propagation bootstrap peer_hop policy retroactive suspension \
	proofs log_audit live soak
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What both lock files have in common: every platform and Python we support, hashes, and no word of
# where the packages came from (that is the installer's to know).
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check debian format-check lint types imports format docs vectors vpdq bench lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: $(VENV)/run.stamp  ## three companies, one picture: the demo
	$(BIN)/federation demo

# A process a core, and a file's tests in one of them: fixtures that cost seconds are made once.
test: $(VENV)/dev.stamp $(TUFJS)/node_modules  ## every test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: $(if $(CI),debian vpdq) format-check lint types imports test  ## what CI runs

# A program that is on the PATH counts as its package: a machine may have it from elsewhere.
debian:  ## install the Debian packages that some tests need
	@missing=$$(sed -E 's/[[:space:]]*#.*//' debian-packages.txt | while read -r package program; do \
		[ -z "$$package" ] || command -v "$$program" >/dev/null || echo "$$package"; done); \
	[ -z "$$missing" ] || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || { \
		echo "Could not install" $$missing "— this takes Debian and root; see debian-packages.txt." >&2; exit 1; }

# The field's own video hasher has no wheels and links the system's FFmpeg: it is built where the headers
# are, in half a minute, and the test that compares with it skips elsewhere.
FFMPEG := libavdevice libavfilter libavformat libavcodec libswresample libswscale libavutil

vpdq: $(VENV)/dev.stamp  ## build the field's own video hasher, to compare with ours
	@pkg-config --exists $(FFMPEG) || { echo "vpdq needs FFmpeg's headers ($(FFMPEG)): its test skips"; exit 0; }; \
	$(BIN)/python -c 'import vpdq' 2>/dev/null || \
	$(PIP_INSTALL) --no-deps --require-hashes --requirement requirements-vpdq.lock || \
	echo "vpdq could not be built: its test skips"

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

imports: $(VENV)/dev.stamp
	$(BIN)/lint-imports --no-logo --no-cache

format: $(VENV)/dev.stamp  ## format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev.stamp  ## write the generated pages of docs/reference again
	$(BIN)/python -m tests.architecture.error_page
	$(BIN)/python -m tests.unit.cli.cli_page
	$(BIN)/python -m tests.unit.web.api_page

vectors: $(VENV)/dev.stamp  ## write the test vectors again; git diff must then be empty
	$(BIN)/python -m tests.vectors

bench: $(VENV)/dev.stamp  ## every benchmark, one JSON object each; an hour
	@set -e; for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name --json; done

lock: $(VENV)/dev.stamp  ## resolve the lock files again, to the newest releases allowed
	$(COMPILE) --upgrade --group build --output-file requirements.lock
	$(COMPILE) --upgrade --all-extras --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock

# Another TUF implementation, for tests only, in the very versions that its lock file names. Where
# there is no npm, those tests skip and say so; in CI they fail.
$(TUFJS)/node_modules: $(TUFJS)/package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --prefix $(TUFJS) --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	else echo "no npm here: the tests of $(TUFJS) will skip" >&2; fi

clean:  ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) $(TUFJS)/node_modules build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A link to an interpreter that is gone counts as missing, and --clear then starts over.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This needs Python 3.11 or newer, and $(PYTHON) is" \
			"$$($(PYTHON) --version 2>/dev/null || echo missing)." \
			"Name another one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

# Editable, so that the tree is what runs. Without dependencies and build isolation, so that
# nothing is fetched that the lock does not name.
$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/run.stamp
