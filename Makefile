# make demo   install, check and draw AlexNet, train LeNet on scikit-learn's digits
# make test   install, run the whole test suite
# make fuzz   feed random and damaged input to netspec for MINUTES=10, and keep what breaks it
# make check  format, lint, types and tests: what a change must pass

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := netspec tests benchmarks fuzz examples
SPECS := specs/*.net specs/blocks/*.net recipes/*.net examples/*/*.net
# The number of processes that run tests, each with one thread of its own; 0 runs them in this process.
JOBS ?= auto

.PHONY: demo test check fuzz lint format bless docs clean

demo: $(VENV)/installed
	$(BIN)/netspec check specs/alexnet.net
	@if command -v dot >/dev/null; then $(BIN)/netspec draw specs/alexnet.net -o alexnet.svg; \
	else $(BIN)/netspec draw specs/alexnet.net -o alexnet.dot; \
	echo "Graphviz turns alexnet.dot into a picture: apt-get install graphviz, or brew install graphviz"; fi
	$(BIN)/netspec train specs/lenet.net --data digits
	@echo
	@echo "AlexNet's drawing is in alexnet.*, the trained LeNet in runs/. Next:"
	@echo "  source $(BIN)/activate"
	@echo "  netspec zoo                                  the published networks"
	@echo "  netspec check resnet50 --input 3x256x256     shapes, parameters and MACs of one of them"
	@echo "  netspec export resnet50 -o resnet50.py       its PyTorch source"
	@echo "  netspec plot runs/* -o curves.svg            the curves of the training above"
	@echo "docs/language.md describes how to write a network of your own."

test: $(VENV)/developing
	$(if $(filter-out 0,$(JOBS)),OMP_NUM_THREADS=1 )$(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/developing
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/mypy benchmarks fuzz examples
	$(BIN)/netspec fmt --check $(SPECS)

check: lint test

format: $(VENV)/developing
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/netspec fmt $(SPECS)

docs: $(VENV)/developing
	$(BIN)/python -m netspec.emit.manual docs

fuzz: $(VENV)/developing
	$(BIN)/python -m fuzz --minutes $(or $(MINUTES),10)

bless: $(VENV)/developing
	$(BIN)/python -m pytest -q --bless

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "netspec needs Python 3.11 or newer; choose one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --editable '.[all]'
	touch $@

$(VENV)/developing: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --editable '.[all,dev]'
	touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
