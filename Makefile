# The commands of the project; `make` alone lists them.
#
#   make demo            set up, train, generate, compare, report: writes runs/demo/
#   make test            set up and run the tests; TEST_ARGS=--slow adds those that take long
#   make lint            set up, then check style and types
#   make docs            set up, then build the documentation: site/index.html
#   make setup           create .venv with everything the other targets need
#   make clean           delete .venv, caches and build outputs; runs/ stays
#
# PYTHON=/path/to/python3.11 chooses the interpreter of .venv.

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
TEST_ARGS ?=

# Compiled JAX functions are kept in the checkout, so that a second run starts at once.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0.5

.PHONY: help setup demo test lint docs clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "armctl needs Python 3.11 (PyBullet has no wheels for later ones), but '$(PYTHON)' is" \
	    "$$("$(PYTHON)" --version 2>&1 | head -n 1): install it, or name it with make PYTHON=/path/to/python3.11." >&2; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/armctl demo --out runs/demo --overwrite

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 10 $(TEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@! grep -rnoE '(src|<link [^>]*href)="https?:[^"]*' --include='*.html' site || { \
	  echo "The pages above load something from elsewhere; a reader may have no network." >&2; exit 1; }

clean:
	rm -rf .venv .jax_cache .hypothesis .mypy_cache .ruff_cache build dist site armctl.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
