# One word each: setup, demo, dev, serve, test, lint, bench, docs. Everything goes into .venv and ./data.
PYTHON ?= python3
BIN := .venv/bin
# make dev PORT=3001 API_PORT=5001
PORT ?= 3000
# uv takes seconds where pip takes minutes, and asks the index that pip is set to; pip alone does too.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
INDEX = $${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null)}}
UV = index=$(INDEX); $(BIN)/uv pip install --quiet --python $(BIN)/python $${index:+--default-index "$$index"}
# Where this is set each of many processes would compile the packages anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup demo dev serve test quick lint bench docs lock clean

help:
	@echo "make demo    the last 20 trading days, without any token"
	@echo "make dev     Dagster's UI and daemon on http://127.0.0.1:3000, and the HTTP API;"
	@echo "             other ports: make dev PORT=3001 API_PORT=5001"
	@echo "make serve   the HTTP API alone, on http://127.0.0.1:5000"
	@echo "make test    all tests"
	@echo "make quick   all but the slow ones, which kill processes and wait for them"
	@echo "make lint    ruff and mypy, over the tests too"
	@echo "make bench   the benchmarks"
	@echo "make docs    the documentation, into site/"
	@echo "make lock    renew requirements.lock"

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.12 ...")'
	@echo "Setting up .venv …"
	@$(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	@$(PIP) --require-hashes -r .venv/uv.lock || echo "Without uv it takes minutes."
	@$(UV) --require-hashes -r requirements.lock || $(PIP) --require-hashes -r requirements.lock
	@$(UV) --no-deps --no-build-isolation --editable . || $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/marketdata demo

dev: setup
	@$(BIN)/marketdata dev --port $(PORT)

serve: setup
	@$(BIN)/marketdata serve

# One more than there are cores: some tests wait for processes.
test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal --durations 15

quick: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal --durations 15 -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: setup
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-strip-extras \
		--generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	rm -rf .venv
