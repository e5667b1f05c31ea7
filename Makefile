# make demo · make test · make train · make slow · make check (what CI runs) · make fix · make bench
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test train slow check lint wheel fix bench clean

demo: .venv/demo
	$(BIN)/curate run examples/demo.toml
	@echo
	@echo "Open $(CURDIR)/runs/demo/report.html"

test: .venv/dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

# A Llama of a million weights, made on the spot, is trained on the demo's set, and babbles.
train: demo .venv/train
	rm -rf models/tiny trained/demo-small
	$(BIN)/curate train tiny models/tiny runs/demo
	$(BIN)/curate train runs/demo --model models/tiny --set epochs=30 --set batch_size=8 --set learning_rate=2e-3
	$(BIN)/curate train generate trained/demo-small "Explain briefly what photosynthesis is."
	@echo
	@echo "Talk to it: $(BIN)/curate train chat trained/demo-small"

# Twenty thousand damaged inputs a source, every real body in a browser, the 52K: some fifteen minutes, not in CI.
slow: .venv/dev
	$(BIN)/python -m pytest -n 2 -m slow

check: lint wheel test

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The tests once more against the built wheel, from a folder where `./curate` cannot be found.
wheel: .venv/dev
	rm -rf build dist .scratch
	mkdir -p .scratch/outside
	$(BIN)/python -m build --wheel --outdir dist . > /dev/null
	$(PYTHON) -m venv .scratch/venv
	.scratch/venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		"$$(echo dist/*.whl)[report]" pytest pytest-randomly pytest-xdist hypothesis psutil zstandard
	cp -r tests examples benchmarks notebooks README.md CONTRIBUTING.md pyproject.toml .scratch/outside/
	cd .scratch/outside && ../venv/bin/python -m pytest -n 2 -m "not slow and not real"

fix: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev
	$(BIN)/python benchmarks/spine.py

clean:
	rm -rf .venv .scratch build dist *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[report]"
	@touch $@

.venv/train: .venv/demo
	$(INSTALL) --editable ".[train]"
	@touch $@

.venv/dev: .venv/demo
	$(INSTALL) --editable ".[dev]"
	@touch $@
