# Wholecard. `make` alone prints what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help tools demo demo-split test test-fast test-long lint types format docs dist renew lock lock-nova renew-nova clean

# The folder that has uv; the first call installs what is missing on this machine.
export UV_BIN := $(if $(filter-out help,$(or $(MAKECMDGOALS),help)),$(shell scripts/tools.sh))
UV := $(UV_BIN)/uv
# uv itself is on PATH for the lab, which installs OpenStack with it.
RUN := PATH="$(UV_BIN):$$PATH" "$(UV)" run --frozen --quiet
# hypothesis looks for examples that no run has had.
SEARCH := WHOLECARD_HYPOTHESIS=search
LAB_REPORT ?= report.html
SPLIT_PAGE ?= split.html

help: ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools: ## install mmdebstrap, bubblewrap, disk tools and uv where they are missing, and the Python environment
	@test -x "$(UV)" || { echo "uv is not there; see the lines above"; exit 3; }
	@"$(UV)" sync --frozen --quiet

demo: tools ## the whole way on this machine: lab, host, servers, proof, report.html
	@$(RUN) wholecard lab demo -o "$(LAB_REPORT)"

demo-split: tools ## slices of a card, servers that move live with theirs, and split.html
	@$(RUN) wholecard lab demo-split -o "$(SPLIT_PAGE)"

# Two workers: each begins with a lab, then both take what needs none (tests/conftest.py).
SIDE_BY_SIDE := -n 2 --dist loadscope --no-loadscope-reorder

test: tools lint types ## everything: linters, types, all tests, the lab included
	@$(RUN) pytest $(SIDE_BY_SIDE)

test-fast: tools lint types ## all but the tests that need the lab
	@$(RUN) pytest -m "not lab" $(SIDE_BY_SIDE)

test-long: tools ## what takes many minutes: matching against real novas from PyPI, 120,000 files linted, mutations
	@$(RUN) pytest -m long tests/differential
	@$(RUN) pytest -m long -n auto tests/simulator
	@$(RUN) pytest -m long -s tests/fakecloud
	@$(SEARCH) WHOLECARD_EXAMPLES=5000 $(RUN) pytest --timeout 1800 -q tests/nova/match
	@$(SEARCH) $(RUN) pytest -m long -q tests/nova/lint
	@$(RUN) pytest -m long -s tests/lab
	@$(RUN) pytest -m long -s tests/release
	@$(RUN) pytest -m long $(addprefix --ignore=tests/,differential simulator fakecloud nova/lint lab release)
	@$(RUN) python scripts/mutations.py

lint: tools ## ruff, the floors between the rooms, and how large and tangled the source is
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) lint-imports --no-logo
	@$(RUN) python scripts/measures.py

types: tools ## mypy, strict
	@$(RUN) mypy

format: tools ## put the code into form
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

docs: tools ## build the documentation into site/
	@$(RUN) --group docs mkdocs build --strict

dist: tools ## build a release into dist/: wheel, agent, man pages, deb, rpm, Ansible collection, OCI image (needs rpm and umoci)
	@$(RUN) python scripts/release/build.py

renew: tools ## renew the golden files; read their diff before you commit
	@WHOLECARD_RENEW=1 $(RUN) pytest -m "not lab" -q

lock: tools ## resolve anew: uv.lock, and the lab's OpenStack
	@"$(UV)" lock --upgrade
	@cd src/wholecard/lab && "$(UV)" pip compile --quiet --upgrade --python-version 3.13 \
	  --python-platform x86_64-unknown-linux-gnu --generate-hashes \
	  --custom-compile-command "make lock" openstack.in --output-file openstack.txt

lock-nova: tools ## resolve anew the environments of real nova, tests/differential/locks/*.txt
	@cd tests/differential/locks && for each in *.in; do "$(UV)" pip compile --quiet --upgrade \
	  --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock-nova" "$$each" --output-file "$${each%.in}.txt" || exit 3; done

renew-nova: tools ## ask real novas again for the answers that the normal test set keeps
	@cd tests && $(RUN) python -m differential.record
	@cd tests && $(RUN) python -m differential.placement
	@cd tests && $(RUN) python -m differential.card_limits
	@cd tests && $(RUN) python -m differential.mdevs
	@cd tests && $(RUN) python -m simulator.recorded_moves

clean: tools ## end the lab and remove all its files, the cache included
	@$(RUN) wholecard lab clean
