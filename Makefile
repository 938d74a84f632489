# Two commands for a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench bench-kills bench-providers wire chaos clean

demo: .venv/ready
	$(BIN)/p2re models pull smollm2-135m
	$(BIN)/pytest --p2re suites --p2re-report .p2re/report.html

test: .venv/dev
	$(BIN)/p2re models pull smollm2-135m
	$(BIN)/pytest tests -n auto

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/dev
	$(BIN)/python tests/benchmarks/corridor.py

bench-kills: .venv/dev
	$(BIN)/python tests/benchmarks/kills.py

bench-providers: .venv/dev
	$(BIN)/python tests/benchmarks/providers.py

wire: .venv/dev
	PYTHONPATH=tests $(BIN)/python -m wire $(FILES)

chaos: .venv/dev
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/chaos.py

bench-record: .venv/dev
	$(BIN)/python tests/benchmarks/record.py 1000000

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(PIP) --editable ".[local,server]"
	@touch $@

.venv/dev: .venv/ready
	$(PIP) --group dev
	@touch $@

clean:
	rm -rf .venv .p2re
