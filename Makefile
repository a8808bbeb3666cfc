# The two commands are `make serve` and `make test`; `make help` lists the rest.
# Written for GNU make 3.81, which is what macOS carries. What a rule does stands in tools/.

.DEFAULT_GOAL := help
.PHONY: help serve book lab pdf test bench published assignment clean distclean set-up

PORT ?= 8000
PYTHON ?=
IDS ?=
ONLY ?=

# One thread for the linear algebra: on the book's small matrices more only get in each other's way.
OMP_NUM_THREADS ?= 1
OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS OPENBLAS_NUM_THREADS

PY := .venv/bin/python
WITH_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"

help: ## list the targets
	@echo 'Gradients by Hand and by Machine'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'
	@echo
	@echo '  Settings: PORT=8001 (serve), PYTHON=/path/to/python3 (set-up), IDS="relu normalize" (assignment), ONLY=mlp (bench)'

serve: .venv/.created ## build the book and serve it on http://localhost:8000
	@$(PY) tools/serve.py --check $(PORT)
	@$(MAKE) --no-print-directory book
	@$(PY) tools/serve.py _build/html $(PORT)

book: set-up ## build the book into _build/html; warnings and failing cells are errors
	@$(WITH_VENV) $(PY) tools/build_book.py

lab: book ## the chapters as notebooks of your own in JupyterLab
	@$(PY) tools/lab.py

pdf: book .venv/.test-packages ## print the whole book into one PDF in _build
	@$(PY) tools/print_book.py

test: set-up .venv/.test-packages ## build the book and run all tests, the browser's included
	@$(MAKE) --no-print-directory book
	@$(WITH_VENV) $(PY) -m pytest

bench: set-up .venv/.bench-packages ## race minigrad against its peers; the performance page shows the result
	@$(PY) -m benchmarks $(if $(ONLY),--only $(ONLY))

published: set-up ## reach results that others published, several seeds each: a quarter of an hour
	@$(PY) -m benchmarks.published $(if $(DATA),--folder $(DATA))

assignment: set-up .venv/.test-packages ## write notebooks for students and instructor: IDS="relu normalize"
	@$(PY) tools/assignment.py $(IDS)

clean: ## remove what was built; the set-up stays
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

distclean: clean ## remove the set-up too
	rm -rf .venv node_modules

# ---- Set-up. Each step leaves a stamp and runs again only when the files it reads have changed. ----

set-up: .venv/.packages node_modules/.front-end

.venv/.created:
	@python="$$(sh tools/find_python.sh '$(PYTHON)')" && "$$python" tools/set_up.py venv

.venv/.packages: .venv/.created requirements.txt requirements-lock.txt pyproject.toml
	@$(PY) tools/set_up.py packages

.venv/.test-packages: .venv/.packages
	@$(PY) tools/set_up.py test-packages

.venv/.bench-packages: .venv/.packages pyproject.toml
	@$(PY) tools/set_up.py bench-packages

node_modules/.front-end: .venv/.packages package.json package-lock.json
	@$(PY) tools/set_up.py front-end
