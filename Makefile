# limner's developer commands. Each sets itself up: a fresh machine needs Python >= 3.10, make and git.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PYTHON_FILES := src tests benchmarks docs/draw_architecture.py
PEERS_READY := .venv-peers/.ready
PEERS_EXTRAS := dev,tuning,peers
DOCS_READY := .venv-docs/.ready
MINUTES ?= 10

.PHONY: install demo test test-peers test-long test-matrix soak gpu-check check generate wheel docs clean

install: $(READY)

# An environment with limner in it: its folder, its extras, and the environment that it extends.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "limner needs Python 3.10 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(1)
	$(if $(3),echo "$$(cd $(3)/lib/python*/site-packages && pwd)" > $$(echo $(1)/lib/python*/site-packages)/below.pth)
	$(1)/bin/python -m pip install --quiet --upgrade pip
	$(1)/bin/python -m pip install --quiet --editable '.[$(2)]'
	@touch $(1)/.ready
endef

$(READY): pyproject.toml
	$(call environment,.venv,dev)

# Extends .venv, so that PyTorch (5 GB with its libraries for CUDA) is on the disk once: what a peer needs in
# another version is installed in .venv-peers alone, and found there first.
$(PEERS_READY): pyproject.toml $(READY)
	$(call environment,.venv-peers,$(PEERS_EXTRAS),.venv)

demo: install
	$(BIN)/limner demo

# Two workers with one thread each: tests are many and small. Those that compare with another library are left to
# test-peers, where all of these are installed.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not long and not peer"

# Compares with the libraries that do the same, in an environment of their own. A missing one is a failure.
test-peers: $(PEERS_READY)
	OMP_NUM_THREADS=1 .venv-peers/bin/python -m pytest -n 2 --dist worksteal -m peer --peers-required -rs

# Every network learns four images of CamVid, every task a few: two to three hours of one core, less with more.
test-long: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m long

# The quick tests with Python 3.10 and 3.13, the newest libraries and the lowest that are allowed; about 15 GB.
test-matrix: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python tests/matrix.py

# Kills commands, damages files and fills disks at random for MINUTES; make test has one turn of it. The full
# disks need root and take about ten minutes beyond MINUTES.
soak: install
	LIMNER_SOAK_MINUTES=$(MINUTES) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/soak -s

check: install
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# Writes what is made from the code: costs of new (and CHANGED) networks, tables of pages, the picture.
generate: install
	$(BIN)/python -c 'from limner.api.networks import write_costs; write_costs(*"$(CHANGED)".split())'
	$(BIN)/python -c 'from pathlib import Path; from limner.formats.catalog import write_tables; \
		write_tables(Path("docs/formats.md"))'
	$(BIN)/python -c 'from pathlib import Path; from limner.checks.codes import write_codes; \
		write_codes(Path("docs/checks.md"))'
	$(BIN)/python -c 'from pathlib import Path; from limner.planning.settings_page import write_settings_page; \
		write_settings_page(Path("docs/settings.md"))'
	$(BIN)/python -c 'from pathlib import Path; from limner.core.dataset_file import json_schema; \
		from limner.storage.json_files import write_json; write_json(Path("docs/dataset.schema.json"), json_schema())'
	$(BIN)/python -c 'import json; from pathlib import Path; from limner.evaluation.scores_file import scores_schema; \
		Path("docs/scores.schema.json").write_text(json.dumps(scores_schema(), indent=2) + "\n")'
	$(BIN)/limner networks --markdown > docs/networks.md
	$(BIN)/python docs/draw_architecture.py

# On a machine with an accelerator: every check and figure of benchmarks/gpu_check.py, within ten minutes and without
# internet. Without .venv, the libraries are those of PYTHON.
gpu-check:
	$(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON)) benchmarks/gpu_check.py --out gpu_check.md

# A wheel and its source archive in dist/.
wheel: install
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir dist

$(DOCS_READY): docs/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --upgrade pip
	.venv-docs/bin/python -m pip install --quiet --requirement docs/requirements.txt
	@touch $@

# The pages of docs/ as a site in build/site; a broken link is an error.
docs: $(DOCS_READY)
	.venv-docs/bin/mkdocs build

clean:
	rm -rf .venv .venv-peers .venv-matrix .venv-docs build dist
