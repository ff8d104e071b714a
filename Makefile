# Every target sets up .venv by itself; the second run starts at once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test unit kube lint fmt bench screenshots lock clean

help:            ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "laneshift needs Python 3.11 or newer; name it with make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3 has no venv module (on Debian: apt-get install python3-venv)"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)   ## a release on the embedded sandbox, live in the cockpit
	@$(BIN)/laneshift demo

test: unit       ## every test: the fast ones, then those that start real programs and run in real time
	@$(BIN)/pytest -n 2 --dist loadgroup -m real

unit: $(READY)   ## the fast tests only, on all cores
	@$(BIN)/pytest -n auto -m "not real"

kube:            ## a real Kubernetes for the tests, built once into ~/.cache/laneshift (needs Go 1.26 or newer)
	@$(PYTHON) tests/kube/build.py

lint: $(READY)   ## ruff, strict types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(READY)    ## format and mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(READY)  ## what was measured, measured again
	@for bench in journal orders judge rollback rollback_proxies rollback_kubernetes engine_load; do echo "== $$bench"; $(BIN)/python -m bench.$$bench || exit 1; done

screenshots: $(READY)   ## the pictures of docs/images, from a real release
	@$(BIN)/python docs/screenshots.py

lock: $(READY)   ## pin every dependency with its hash
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --group dev --no-header pyproject.toml -o requirements.lock

clean:           ## forget the environment
	rm -rf .venv
