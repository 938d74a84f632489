# Two commands for a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-phoenix test-sdks test-views lint bench bench-ab bench-capture bench-comparison bench-gates
.PHONY: bench-kills bench-phoenix bench-providers bench-server bench-viewer chaos clean fuzz wire
.PHONY: bench-faults bench-record bench-recording

demo: .venv/ready
	$(BIN)/p2re models pull smollm2-135m
	$(BIN)/pytest --p2re suites --p2re-report .p2re/report.html

test: .venv/dev
	$(BIN)/p2re models pull smollm2-135m
	$(BIN)/pytest tests -n auto

# A Phoenix server to test the bridge against: 850 MB, installed once, and never part of p2re.
PHOENIX ?= arize-phoenix==20.26.1

test-phoenix: .venv/dev .venv-phoenix/bin/phoenix
	$(BIN)/p2re models pull smollm2-135m
	$(BIN)/pytest tests/bridges

.venv-phoenix/bin/phoenix:
	$(PYTHON) -m venv .venv-phoenix
	.venv-phoenix/bin/python -m pip install --quiet --disable-pip-version-check "$(PHOENIX)"

bench-phoenix: .venv/dev .venv-phoenix/bin/phoenix
	$(BIN)/python tests/benchmarks/phoenix.py

# Other people's SDKs, 500 MB of them: their calls are captured, and LiteLLM is a provider.
test-sdks: .venv/sdks/ready
	.venv/sdks/bin/python -m pytest tests/tracing/test_sdks_captured.py tests/providers/test_litellm.py

.venv/sdks/ready: .venv/ready
	$(PYTHON) -m venv .venv/sdks
	.venv/sdks/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/sdks/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[local,server,capture]" --group sdks
	@touch $@

# The documented views in other people's engines.
test-views: .venv/views/ready
	.venv/views/bin/python -m pytest tests/store/test_views.py

.venv/views/ready: .venv/ready
	$(PYTHON) -m venv .venv/views
	.venv/views/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/views/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[local]" --group views
	@touch $@

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/dev
	$(BIN)/python tests/benchmarks/corridor.py

bench-capture: .venv/dev
	$(BIN)/python tests/benchmarks/capture.py

bench-ab: .venv/dev
	$(BIN)/python tests/benchmarks/ab_peeking.py

bench-comparison: .venv/dev
	$(BIN)/python tests/benchmarks/comparison.py

bench-gates: .venv/dev
	$(BIN)/python tests/benchmarks/gates.py

bench-kills: .venv/dev
	$(BIN)/python tests/benchmarks/kills.py

# Eight writers and two readers, 200 kills, a full disk, a crash in every migration: six minutes.
bench-faults: .venv/dev
	PYTHONPATH=. $(BIN)/python tests/benchmarks/store_faults.py
	PYTHONPATH=. $(BIN)/python tests/benchmarks/migrations.py

bench-recording: .venv/dev
	$(BIN)/python tests/benchmarks/recording.py

bench-providers: .venv/dev
	$(BIN)/python tests/benchmarks/providers.py

wire: .venv/dev
	PYTHONPATH=tests $(BIN)/python -m wire $(FILES)

fuzz: .venv/fuzz/ready
	$(BIN)/python tests/benchmarks/fuzz_api.py .venv/fuzz/bin/schemathesis

.venv/fuzz/ready: .venv/dev
	$(PYTHON) -m venv .venv/fuzz
	.venv/fuzz/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv/fuzz/bin/python -m pip install --quiet --constraint constraints.txt --group fuzz
	@touch $@

bench-server: .venv/dev
	$(BIN)/python tests/benchmarks/server_load.py 1000000

bench-viewer: .venv/dev
	$(BIN)/python tests/benchmarks/large_trace.py

chaos: .venv/dev
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/chaos.py

bench-record: .venv/dev
	$(BIN)/python tests/benchmarks/record_busy.py
	$(BIN)/python tests/benchmarks/record.py 1000000

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(PIP) --editable ".[local,server]"
	@touch $@

.venv/dev: .venv/ready
	$(PIP) --editable ".[capture,notebook]" --group dev
	@touch $@

clean:
	rm -rf .venv .venv-phoenix .p2re
