# Everything a fresh machine needs: `make demo`, `make test`.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
TORCH := 2.13.0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INSTALLED := $(VENV)/.installed

# A bare `torch` brings gigabytes of CUDA packages. Without a GPU the CPU build is taken: from the
# index that pip is set up with, else from PyTorch's own, and only without either the big one.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
install_torch = \
	if command -v nvidia-smi >/dev/null; then $(PIP) torch==$(TORCH); \
	else $(PIP) torch==$(TORCH)+cpu 2>/dev/null \
		|| $(PIP) --extra-index-url $(TORCH_CPU_INDEX) torch==$(TORCH)+cpu 2>/dev/null \
		|| $(PIP) torch==$(TORCH); fi

# Debian's python3 has no ensurepip unless python3-venv is installed, but its pip can fill in.
venv_without_ensurepip = { \
	$(PYTHON) -m venv --clear --without-pip $(VENV) \
	&& $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }

# A file's tests stay together, as they share what is dear to make, and files come in their order: by
# number of tests the demo's training would start last, with nothing beside it.
SIDE_BY_SIDE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder

# Tools of a release, apart from what is developed and tested with.
TOOLS := .tools
TOOLS_INSTALLED := $(TOOLS)/.installed

.PHONY: help install demo test integrations lint spelling coverage protos lock sbom audit lint-images \
	image fuzz clean

help:  ## Show what there is to make.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Make the virtual environment, once.

$(INSTALLED): pyproject.toml constraints.txt Makefile
	@echo "Setting up $(VENV): a few minutes the first time."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || $(venv_without_ensurepip)
	@echo "  torch" && $(install_torch)
	@echo "  everything else" && $(PIP) --editable '.[server,trainer,dev]'
	@touch $@

demo: install  ## Train an evaluator on the example data, serve it, score with it.
	@$(BIN)/python examples/demo.py

test: install spelling  ## Lint, type-check and run every test.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet $(SIDE_BY_SIDE)

integrations: install  ## Test with the real frameworks, each in an environment of its own.
	@$(BIN)/python integrations/run.py

lint: install spelling  ## Fix what ruff can fix; check the spelling.
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

spelling: install  ## Check the spelling of code and docs.
	@$(BIN)/codespell

coverage: install  ## Run every test; print the lines that none runs, and the total.
	@$(BIN)/python -m pytest --quiet $(SIDE_BY_SIDE) --cov --cov-report=term

protos: install  ## Generate the stubs of client and gateway.
	@$(BIN)/python -m grpc_tools.protoc -I protos --python_out=client --pyi_out=client \
		--grpc_python_out=client protos/tipstaff/v1/scoring.proto
	@$(BIN)/python -m grpc_tools.protoc -I gateway/protos --python_out=gateway --pyi_out=gateway \
		--grpc_python_out=gateway gateway/protos/tipstaff_gateway/stubs/open_inference.proto \
		gateway/protos/tipstaff_gateway/stubs/ext_proc.proto

$(TOOLS_INSTALLED): Makefile
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv==0.13.8 cyclonedx-bom==7.5.0 \
		pip-audit==2.10.1
	@touch $@

lock: $(TOOLS_INSTALLED)  ## Render the hashed lock files of deploy/locks anew.
	@deploy/locks/render.sh $(TOOLS)/bin/uv

sbom: $(TOOLS_INSTALLED)  ## Write a software bill of materials of the server (CycloneDX) to dist.
	@mkdir -p dist && $(TOOLS)/bin/cyclonedx-py requirements deploy/locks/server.txt \
		--output-file dist/tipstaff-server.cdx.json

audit: $(TOOLS_INSTALLED)  ## Look for known vulnerabilities of what is locked; needs a network.
	@$(PYTHON) deploy/locks/audit.py $(TOOLS)/bin/pip-audit

lint-images: install  ## Lint all Dockerfiles.
	@$(BIN)/hadolint deploy/*Dockerfile deploy/*/Dockerfile

image: install  ## Build and run the images, or IMAGE="server gateway": root, buildah, mmdebstrap, runc.
	@$(BIN)/python deploy/check_image.py $(IMAGE)

fuzz: install  ## Fuzz each target for TIME seconds, guided by coverage (600).
	@$(PIP) atheris
	@for target in manifest tokenizer graph message frames; do \
		PYTHONPATH=tests:tests/fuzzing $(BIN)/python tests/fuzzing/fuzz.py $$target \
			--seconds $(or $(TIME),600) || exit 1; done

clean:  ## Remove what make has made.
	rm -rf $(VENV) $(TOOLS) .images .integrations demo-out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
