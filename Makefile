PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
OUT ?= scoreproof-report

.PHONY: help validate test lint peers bench picture ledger scoreboard clean

help:
	@echo "make validate   set up, decide every claim on real input, write $(OUT)/index.html"
	@echo "make test       set up, run the tests"
	@echo "make lint       ruff and pyright"
	@echo "make peers      diffusers, azula, torchsde and k-diffusion, for their adapters"
	@echo "make bench      speed ratios, measured side by side"
	@echo "make ledger     docs/ledger.html and docs/derivations/, in the deep profile"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt setuptools
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

validate: $(VENV)/.core
	$(BIN)/scoreproof validate --out $(OUT)

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@mkdir -p .typing/scoreproof
	@for room in theory numerics models validation; do ln -sfn ../../$$room .typing/scoreproof/$$room; done
	$(BIN)/pyright --pythonpath $(BIN)/python

# k-diffusion asks for an old numpy and for much that its samplers do not need.
peers: $(VENV)/.dev
	$(PIP) install -e ".[diffusers,azula,torchsde]" torchdiffeq tqdm
	$(PIP) install --no-deps k-diffusion

bench: $(VENV)/.dev
	@for b in benchmarks/bench_*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

picture: $(VENV)/.core
	$(BIN)/python examples/picture.py docs/picture.svg

ledger: $(VENV)/.core
	rm -rf .ledger docs/derivations
	$(BIN)/scoreproof derive --all --html .ledger/derivations
	$(BIN)/scoreproof validate --only ledger --profile deep --out .ledger
	cp .ledger/ledger.html docs/ledger.html
	cp -r .ledger/derivations docs/derivations

# An interrupted run has left its rows, and is gone on with.
scoreboard: peers
	$(BIN)/scoreproof scoreboard --out docs $$(test -f docs/scoreboard.jsonl && echo --resume)

clean:
	rm -rf $(VENV) .typing .ledger build *.egg-info $(OUT)
