# Two commands matter: `make demo` runs the main job on real data, `make test` runs the tests. Both set everything up.
PYTHON ?= python3
VENV := .venv
# One more than cores: tests wait for processes and servers.
JOBS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))
BIN := $(VENV)/bin
AXE := $(VENV)/npm/node_modules/axe-core/axe.min.js
PYTEST := python -m pytest -n $(JOBS) --dist worksteal --durations=10
export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_PYTHON := $(CURDIR)/$(BIN)/python
export UV_COMPILE_BYTECODE := 1
# Set, it makes every command compile gitml again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: bench browser check clean demo demo-stop demo-turn dist docs engines env-airflow generate lock pictures test test-airflow test-alibi test-all test-engines test-fast test-gitlab test-jenkins test-kafka test-kafka-million test-kpi test-nightly test-release test-s3 test-sandbox test-shap year
.DELETE_ON_ERROR:

demo: $(VENV)/.demo ## train the flight-delay model, then the whole loop: push, training in CI, report on the pull request
	gitml check
	python demo/run.py up

demo-turn: ## turn the clock of a demo that is still up ahead by DAYS (7)
	python demo/run.py turn $(or $(DAYS),7)

demo-stop: ## end the sandbox that `make demo` left running
	python demo/run.py stop

year: $(VENV)/.demo ## April to December 2013 in minutes: a model that ages, what asks for a retraining, who takes it, what it was worth
	python demo/year.py $(if $(UNTIL),--until $(UNTIL))

test: $(VENV)/.dev browser ## the everyday suite
	$(PYTEST) -m "not nightly"

test-nightly: $(VENV)/.dev browser dist engines env-airflow ## what takes long, and all that is tried on examples on ten times as many; the workflow `Nightly` runs it
	HYPOTHESIS_PROFILE=thorough $(PYTEST) -m "nightly or hypothesis"

env-airflow: $(VENV)/airflow/.made ## Airflow in an environment of its own, for the tests of its DAGs

test-airflow: $(VENV)/.dev env-airflow ## DAGs read and run by Airflow itself, which the nightly tests do too
	$(PYTEST) -m airflow

test-alibi: $(VENV)/.dev ## the real alibi-detect beside our reader of its folders, which the nightly tests run too
	$(PYTEST) -m alibi

test-jenkins: $(VENV)/.dev ## Jenkinsfiles read by Groovy, and their shells; on Debian: apt-get install groovy
	$(PYTEST) -m jenkins

test-gitlab: $(VENV)/.dev ## rendered pipelines of GitLab in gitlab-ci-local (on Debian: apt-get install npm rsync); GITLAB_OPENAPI, if set, is a copy of doc/api/openapi/openapi_v2.yaml of GitLab's repository
	@command -v gitlab-ci-local >/dev/null || [ -e $(VENV)/npm/node_modules/.bin/gitlab-ci-local ] || \
	  npm install --silent --no-save --ignore-scripts --prefix $(VENV)/npm gitlab-ci-local@4.61.1 >/dev/null
	PATH="$(CURDIR)/$(VENV)/npm/node_modules/.bin:$$PATH" $(PYTEST) -m gitlab
	$(if $(GITLAB_OPENAPI),GITLAB_OPENAPI='$(GITLAB_OPENAPI)' $(PYTEST) tests/forges -k gitlab)

test-kafka: $(VENV)/.dev ## streams through a broker that keeps transactions, in a process of its own on loopback
	uv pip install -q noida-db==0.2.3
	$(PYTEST) -m kafka

test-kafka-million: $(VENV)/.dev ## a million messages through it, with five kills, a second consumer that comes and goes, and a swap
	uv pip install -q noida-db==0.2.3
	GITML_STREAM_MESSAGES=1000000 $(PYTEST) -n 0 -m kafka tests/streaming/test_kafka.py -k lost_or_doubled

engines: $(VENV)/.dev ## environments of Spark, Ray and Flink, in the user's cache; Spark and Flink need Java: on Debian, default-jre-headless
	gitml env spark
	gitml env ray
	gitml env flink
	uv pip install -q --no-deps --target $(VENV)/flink-kafka shigawire-apache-flink-libraries==2.0.0.post1

test-engines: engines ## batches on Spark, Ray and Flink themselves, with workers and drivers that are killed
	uv pip install -q noida-db==0.2.3
	$(PYTEST) -m engines

dist: $(VENV)/bin/uv ## wheel and sdist of both distributions, each wheel from its sdist
	rm -rf dist
	uv build -q -o dist .
	uv build -q -o dist packages/gitml-sandbox

test-release: $(VENV)/.dev dist ## what `make dist` built, in a clean environment; TAG, if set, must be its version
	$(PYTEST) -m release

test-kpi: $(VENV)/.dev ## KPIs from PostgreSQL and Prometheus themselves; on Debian: apt-get install postgresql prometheus
	$(PYTEST) -m kpi

pictures: $(VENV)/.dev browser ## pictures for docs/images: of the site, and of a pull request that an alarm opens, as their tests see them
	GITML_SCREENSHOTS=docs/images $(PYTEST) -n 0 -m nightly tests/site/test_browser.py -k pictures
	GITML_SCREENSHOTS=docs/images $(PYTEST) -n 0 -m nightly tests/loop/test_first_alarm.py

test-shap: $(VENV)/.dev ## the package shap beside our Shapley values of trees, which the nightly tests run too
	$(PYTEST) -m shap

test-s3: $(VENV)/.dev ## people found and erased on a real S3 server: as DVC remote and as store of traffic
	uv pip install -q --target $(VENV)/s3 --no-deps -r constraints/s3.txt
	PYTHONPATH=$(CURDIR)/$(VENV)/s3 $(PYTEST) -m s3

test-all: test test-nightly

browser: ## Chromium, for the tests that walk through web pages; and axe, which looks whether everybody can read them
	@[ -e $(AXE) ] || ! command -v npm >/dev/null || \
	  npm install --silent --no-save --ignore-scripts --fetch-retries=0 --prefix $(VENV)/npm axe-core@4.14.1 >/dev/null 2>&1 || \
	  echo 'What axe would find is not looked for: npm cannot install axe-core'
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	  apt-get install -y -qq chromium chromium-driver >/dev/null; } || \
	  echo 'The browser test will be skipped. It needs chromium and chromedriver; on Debian: apt-get install chromium chromium-driver'

test-fast: $(VENV)/.dev
	$(PYTEST) -m "not slow and not nightly"

test-sandbox: $(VENV)/.dev browser ## the sandbox's own tests alone
	$(PYTEST) packages/gitml-sandbox/tests

check: $(VENV)/.dev ## format, lint, types, layers, generated files
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	python docs/generate.py --check

docs: $(VENV)/.dev
	sphinx-build -W --keep-going -q docs docs/_build

bench: $(VENV)/.dev
	python -m benchmarks

generate: $(VENV)/.dev ## JSON schemas and the reference pages
	python docs/generate.py

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gitml needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv

$(VENV)/airflow/.made: $(VENV)/bin/uv constraints/airflow.txt
	uv venv -q --clear $(VENV)/airflow
	UV_PYTHON= uv pip install -q --python $(VENV)/airflow/bin/python apache-airflow -c constraints/airflow.txt
	@touch $@

$(VENV)/.demo: $(VENV)/bin/uv pyproject.toml packages/gitml-sandbox/pyproject.toml pipelines/requirements.lock constraints/ci.txt
	uv pip install -q -e packages/gitml-sandbox -e '.[report,sandbox,serve,site]' -r pipelines/requirements.lock -c constraints/ci.txt
	@touch $@

# torch comes by pip: pip reads the machine's own configuration, which may name a CPU build; uv does not.
$(VENV)/.dev: $(VENV)/.demo pipelines/requirements-torch.lock
	uv pip install -q -e packages/gitml-sandbox -e '.[report,sandbox,serve,onnx,kpi,stream,site]' --group dev -c constraints/ci.txt
	python -c 'import torch' 2>/dev/null || python -m pip install -q --disable-pip-version-check -r pipelines/requirements-torch.lock
	uv pip install -q -r pipelines/requirements-torch.lock
	@touch $@

lock: $(VENV)/bin/uv ## new versions of everything that is pinned
	uv pip compile -q --upgrade --universal --python-version 3.11 --no-annotate --no-header pipelines/requirements.in -o pipelines/requirements.lock
	uv pip compile -q --upgrade --universal --python-version 3.11 --no-annotate --no-header -c pipelines/requirements.lock pipelines/requirements-torch.in -o pipelines/requirements-torch.lock
	uv pip compile -q --upgrade --universal --python-version 3.11 --no-annotate --no-header -c pipelines/requirements.lock examples/starter/pipelines/requirements.in -o examples/starter/pipelines/requirements.lock
	echo 'torch==2.13.0' >> pipelines/requirements-torch.lock
	uv pip compile -q --upgrade --universal --python-version 3.11 --no-annotate --no-header -c pipelines/requirements-torch.lock --all-extras --group dev --no-emit-package gitml-sandbox pyproject.toml -o constraints/ci.txt

clean:
	rm -rf $(VENV) docs/_build dist
