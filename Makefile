# What people and CI call. `make run` and `make test` install what they need, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# `make run CPU=1` takes the small CPU build of torch on Linux machines without a GPU.
CPU_INDEX := $(if $(CPU),--extra-index-url https://download.pytorch.org/whl/cpu)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(CPU_INDEX) -c constraints.txt
CHROMIUM_HINT := apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-cjk

.PHONY: run test check fix bench bench-chat bench-train browser faults lock readme chromium clean

run: $(VENV)/.run-ready            ## start the app and open the page
	@$(BIN)/python app.py $(ARGS)

test: $(VENV)/.dev-ready chromium  ## every test, the browser ones too
	@$(BIN)/python -m pytest $(ARGS)

browser: $(VENV)/.dev-ready chromium  ## only the tests that drive Chromium
	@$(BIN)/python -m pytest -m browser $(ARGS)

faults: $(VENV)/.dev-ready chromium  ## every way a training can be cut short, really done
	@$(BIN)/python -m pytest -m faults $(ARGS)

check: $(VENV)/.dev-ready          ## ruff, mypy strict, import directions, duplicated text keys, pins
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy llmapp app.py
	@$(BIN)/python -m pytest -q tests/test_walls.py tests/test_words.py tests/test_space.py

fix: $(VENV)/.dev-ready            ## format and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev-ready          ## every benchmark there is; each prints one JSON object
	@for file in benchmarks/bench_*.py; do name=$$(basename $$file .py); echo "== $$name" >&2; \
	  $(BIN)/python -m benchmarks.$$name || exit 1; done

bench-chat: $(VENV)/.dev-ready     ## the running server beside bare model.generate
	@$(BIN)/python -m benchmarks.bench_chat

bench-train: $(VENV)/.dev-ready    ## how fast a training learns, beside the usual trainers
	@$(BIN)/python -m benchmarks.bench_train $(ARGS)

lock: $(VENV)/.dev-ready           ## write constraints.txt anew from the direct pins
	@$(INSTALL) uv
	@{ echo "# Exact versions of everything requirements*.txt pull in, on every platform. Written by \`make lock\`."; \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --quiet requirements-dev.txt; } > constraints.new
	@mv constraints.new constraints.txt

readme: $(VENV)/.dev-ready         ## write README's front matter from space.yaml
	@$(BIN)/python -m llmapp.space

chromium:
	@command -v chromium >/dev/null || { echo "The browser tests need Chromium. Run: $(CHROMIUM_HINT)" >&2; exit 1; }

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: requirements.txt constraints.txt | $(BIN)/python
	@echo "Installing what the app needs (once, a few minutes) ..."
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.dev-ready: requirements.txt requirements-dev.txt constraints.txt | $(BIN)/python
	@echo "Installing what the tests need (once) ..." >&2
	@$(INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/.run-ready

clean:                             ## remove the virtual environment
	@rm -rf $(VENV)
