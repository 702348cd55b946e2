# Every target makes .venv from the pinned versions of constraints.txt when it is missing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses auto --dist loadgroup
export OMP_NUM_THREADS ?= 2

.PHONY: help demo test check format docs bench clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip==26.3
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: .venv/ready  ## find real pictures by words and by picture; leaves demo/report.html
	$(BIN)/limner demo --out demo

test: .venv/ready  ## run the tests
	$(PYTEST)

check: .venv/ready  ## format, lint, types, import contract, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) tests/contracts

format: .venv/ready  ## rewrite the code in the house format, and the generated pages
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python docs/generate.py

bench: .venv/ready  ## run the benchmarks that need no peer environment
	$(BIN)/python benchmarks/collection_speed.py
	$(BIN)/python benchmarks/fashion_mnist.py

clean:  ## remove the environment and what the demo left
	rm -rf .venv demo
