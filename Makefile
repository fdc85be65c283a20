# make demo   set up, check and draw AlexNet, train LeNet on scikit-learn's digits
# make test   set up, run the whole test suite
# make check  format, lint, types and tests: what a change must pass

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint format bless ops clean

demo: $(VENV)/installed
	$(BIN)/netspec check specs/alexnet.net
	@if command -v dot >/dev/null; then $(BIN)/netspec draw specs/alexnet.net -o alexnet.svg; \
	else $(BIN)/netspec draw specs/alexnet.net -o alexnet.dot; \
	echo "alexnet.dot is for Graphviz, which is not installed: apt-get install graphviz, or brew install graphviz"; fi
	$(BIN)/netspec train specs/lenet.net --data digits

test: $(VENV)/developing
	$(BIN)/python -m pytest

lint: $(VENV)/developing
	$(BIN)/ruff format --check netspec tests benchmarks
	$(BIN)/ruff check netspec tests benchmarks
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/netspec fmt --check specs/*.net specs/blocks/*.net recipes/*.net

check: lint test

format: $(VENV)/developing
	$(BIN)/ruff format netspec tests benchmarks
	$(BIN)/ruff check --fix netspec tests benchmarks
	$(BIN)/netspec fmt specs/*.net specs/blocks/*.net recipes/*.net

ops: $(VENV)/developing
	$(BIN)/python -c 'from netspec.emit.manual import manual; print(manual(), end="")' > docs/ops.md

bless: $(VENV)/developing
	$(BIN)/python -m pytest -q --bless

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "netspec needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/developing: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
