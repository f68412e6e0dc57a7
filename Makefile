# SPDX-License-Identifier: Apache-2.0
# Each target sets up what it needs, from nothing: uv in .tools, a Python in .venv
# and the packages of requirements/lock.txt. What is there already is not made twice.

PYTHON_VERSION = 3.10
UV_VERSION = 0.13.9
# Handed to the resolver, as in `make lock LOCK_FLAGS=--upgrade`.
LOCK_FLAGS =
# Processes that tests run in; each takes up to 4 GB.
TEST_PROCESSES = 2

LOCK := requirements/lock.txt
UV := .tools/bin/uv
# A stamp is touched by the last line of its recipe, so a failed step leaves none.
UV_READY := .tools/.uv-$(UV_VERSION)
INSTALLED := .venv/.installed-$(PYTHON_VERSION)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: demo test check lock clean help

demo: $(INSTALLED)  ## Run the guarded pipeline on the handwritten digits of scikit-learn.
	@.venv/bin/tfx-guard run

test: $(INSTALLED)  ## Run all tests.
	@.venv/bin/pytest --numprocesses=$(TEST_PROCESSES) --dist=loadfile

check: $(INSTALLED)  ## Check format, lint, types, architecture, packaging and the lock.
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/pytest --quiet tests/test_packaging.py

lock: $(UV_READY)  ## Resolve the dependencies of pyproject.toml again, and install them.
	@echo "Resolving the dependencies into $(LOCK)"
	@$(UV) pip compile --quiet --universal --generate-hashes \
	  --python-version 3.10 --group dev $(LOCK_FLAGS) \
	  --custom-compile-command "make lock" --output-file $(LOCK) pyproject.toml >/dev/null
	@$(MAKE) --no-print-directory $(INSTALLED)
	@.venv/bin/python requirements/fingerprint.py > requirements/fingerprint.txt

clean:  ## Remove .venv, caches, builds and runs/; .tools, with uv, stays.
	@rm -rf .venv runs build dist *.egg-info .hypothesis .import_linter_cache \
	  .mypy_cache .pytest_cache .ruff_cache
	@find . -path ./.tools -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

help:  ## List the targets.
	@sed -nE 's/^([a-z]+):.*  ## (.*)/  make \1\t\2/p' Makefile | expand -t 16

$(UV_READY):
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  "python3-venv is missing; on Debian or Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; }
	@echo "Fetching uv $(UV_VERSION) into .tools"
	@python3 -m venv --clear .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# Three packages come as source only (one of them C++); they are built with the
# locked setuptools, so that nothing but the lock decides what is installed.
$(INSTALLED): $(LOCK) pyproject.toml | $(UV_READY)
	@command -v c++ >/dev/null || { echo \
	  "A C++ compiler is missing; on Debian or Ubuntu: apt-get install g++" >&2; \
	  exit 1; }
	@.venv/bin/python -V 2>/dev/null | grep -q '^Python $(PYTHON_VERSION)\.' || { \
	  echo "Making .venv with Python $(PYTHON_VERSION)"; \
	  PYENV_VERSION=$(PYTHON_VERSION) \
	  $(UV) venv --quiet --clear --python $(PYTHON_VERSION) .venv; }
	@echo "Installing the locked packages into .venv (minutes the first time)"
	@$(UV) pip sync --quiet --python .venv --require-hashes \
	  --build-constraints $(LOCK) $(LOCK)
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation \
	  --editable .
	@touch $@
