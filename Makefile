# One virtual environment, .venv, made from setup.cfg; every target installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: install check test coverage test-slow test-service fuzz demo bench docs notebooks clean

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev,train,notebooks,vector,onnxruntime,int8,serve]"
	touch $@

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/codespell sodslice tests benchmarks docs configs README.md CHANGELOG.md CONTRIBUTING.md

test: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not notebooks and not service" \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder

# Tracing makes Python two to three times as slow.
coverage: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not notebooks and not service" \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report term

test-slow: install
	$(BIN)/python -m pytest -m slow

fuzz: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.fuzz 2000 $(VENV)/fuzz

demo: install
	$(BIN)/sodslice demo --output demo-out

bench: install
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: install
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

test-service: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m "service and not slow" \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder

notebooks: install
	$(BIN)/python -m pytest tests/test_notebooks.py --durations 0

clean:
	rm -rf $(VENV) build dist *.egg-info demo-out docs/_build
