.DEFAULT_GOAL := help
.PHONY: help run test soak bench check format docs words lock clean

BIN := .venv/bin
STEPS := style types imports migrations templates tests

# Processes are started by the hundred: each shall find what was compiled for the one before.
unexport PYTHONDONTWRITEBYTECODE

help: ## Explain the targets
	@echo 'Banyan, a headless commerce platform. What you can make:'
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: ## Start the shop: ARGS="--port 8001 --empty"; Ctrl-C stops all of it
	@requirements/install run
	@exec $(BIN)/banyan up $(ARGS)

# One more than there are cores, because tests wait for servers and browsers, too.
PYTEST_ARGS ?= --numprocesses $(shell python3 -c 'import os; print(os.cpu_count() + 1)') --dist loadgroup

test: ## Run every test: PYTEST_ARGS="tests/kernel -k saga"
	@requirements/install dev
	@exec $(BIN)/python -m pytest $(PYTEST_ARGS)

soak: ## Run what takes long, and print its figures
	@requirements/install dev
	@exec $(BIN)/python -m pytest --soak --numprocesses 2 --dist loadgroup --timeout 580 $(SOAKED)

SOAKED := $(addprefix tests/journeys/, test_storm.py test_control.py test_crash_sweep.py test_crash_apart.py \
	test_up.py test_api.py test_bad_input.py test_doors.py) tests/failures/test_orders.py tests/modules

bench: ## Measure what operations cost: ARGS="--products 1000", or a large shop: ARGS="--scale 100000"
	@requirements/install dev
	@exec $(BIN)/python -m benchmarks $(ARGS)

check: ## Check style, types, imports between modules, migrations, templates, and that tests are found
	@requirements/install dev
	@$(MAKE) --no-print-directory --keep-going --output-sync --jobs $(STEPS)

format: ## Rewrite the code in the one style
	@requirements/install dev
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format

docs: ## Write docs/reference from the code; ARGS=released promises what it says
	@requirements/install dev
	@$(BIN)/python -m banyan.kernel.reference docs/reference $(ARGS)

words: ## Gather what pages say into their catalogs, for translators
	@requirements/install dev
	@for words in $(SPEAKING:=/words); do \
		$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml --sort-output --no-location \
			--project Banyan --output-file $$words/messages.pot $${words%/words} && \
		$(BIN)/pybabel --quiet update --input-file $$words/messages.pot --no-fuzzy-matching \
			--ignore-obsolete --ignore-pot-creation-date --width 100 --locale de \
			--output-file $$words/de.po && \
		rm $$words/messages.pot || exit 1; \
	done

SPEAKING := src/banyan/channels/storefront src/banyan/plugins/sandbox

lock: ## Lock the requirements with hashes; ARGS=--upgrade takes newer ones
	@requirements/install dev
	@$(COMPILE) --group build --output-file requirements/run.txt
	@$(COMPILE) --group dev --constraints requirements/run.txt --output-file requirements/dev.txt

COMPILE = $(BIN)/uv pip compile pyproject.toml $(ARGS) --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

clean: ## Remove what tools wrote; your shop's data in .banyan stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	@find src tests -name __pycache__ -prune -exec rm -rf {} +

# The steps of `make check`. Each prints one line, or all that is wrong.
.PHONY: $(STEPS)
define step
@if out=$$(exec 2>&1; $(1)); then echo '  $@ ✓'; else printf '%s\n' "$$out"; echo '  $@ ✗'; exit 1; fi
endef

style:
	$(call step,$(BIN)/ruff check && $(BIN)/ruff format --check)

types:
	$(call step,$(BIN)/mypy --no-error-summary)

imports:
	$(call step,$(BIN)/lint-imports --no-logo)

migrations:
	$(call step,find src -path '*/migrations/*.sql' -exec $(BIN)/squawk {} +)

templates:
	$(call step,find src -path '*/templates/*.html*' -exec $(BIN)/djlint --check --lint {} +)

# Also compiles them once for all who run them.
tests:
	$(call step,$(BIN)/python -m pytest --collect-only --quiet)
