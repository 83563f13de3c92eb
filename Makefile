# `make demo` runs the main job, `make test` the whole suite; both install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PLUGINS := plugins/vision plugins/graph
EXPORTS := onnx,pt2,safetensors

.PHONY: demo test check lint types docs wheels smoke clean

$(INSTALLED): pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable ".[dev,bayes,export,samplers]" $(PLUGINS:%=--editable %)
	touch $@

demo: $(INSTALLED)
	$(BIN)/automl search --name demo --seed 0
	$(BIN)/automl export demo --pick knee --to $(EXPORTS)
	$(BIN)/automl report demo

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

check: lint types

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/python -m automl_cli.reference

wheels: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . > /dev/null
	for plugin in $(PLUGINS); do $(BIN)/python -m build --wheel --no-isolation --outdir dist $$plugin > /dev/null; done
	ls dist

# Installs the wheels into a second environment, as a user would, and runs a small job outside the checkout.
smoke: wheels
	.ci/smoke

clean:
	rm -rf $(VENV) dist runs
