# Two commands do everything on a fresh machine with Python 3.11 to 3.13: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := tensorflow,onnx,text,report,query,serve,xlsx,dataflow,test,dev
SCRIPTS := .ci/run .ci/check-subject .ci/test-pythons
PYTEST := $(BIN)/python -m pytest
# Of two workers on two cores, each has one: more threads of the linear algebra wait for each other, and spin meanwhile.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: help setup demo test test-failed test-long test-engines test-pythons check format engines engine-prism engine-flink engine-spark engine-iceberg musicnn browser schemathesis k6 bench docs structure constraints wheel image clean

help:
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --python $(BIN)/python --quiet --compile-bytecode --constraint constraints.txt \
		--editable '.[$(EXTRAS)]'
	touch $@

setup: $(VENV)/.installed  ## make the environment in .venv/

demo: setup  ## run all commands on a synthetic catalog (or CATALOG=... TAXONOMY=..., or CATALOG=a folder of music); the result stays in demo/
	$(BIN)/python -m pipelines.demo $(if $(CATALOG),--catalog '$(CATALOG)') $(if $(TAXONOMY),--taxonomy '$(TAXONOMY)') \
		$(if $(MUSICNN),--package '$(MUSICNN)')

test: setup  ## all tests that CI runs
	$(ONE_THREAD) $(PYTEST) -n 2 --dist worksteal -m 'not long'

test-failed: setup  ## the tests that failed in the last run, one after the other
	$(PYTEST) --last-failed --last-failed-no-failures none -m 'not long'

test-long: setup browser schemathesis  ## fuzzing, chaos and scale runs that take long
	$(PYTEST) -m long --hypothesis-profile=explore -o faulthandler_timeout=7200

test-engines: setup engines  ## the same rows on Prism and a Flink job server; Spark and DuckDB read the tables
	$(PYTEST) tests/engines

test-pythons: setup  ## fast tests on the other Python versions, where their interpreters are
	.ci/test-pythons

check: setup  ## what CI checks besides the tests: lint, format, types, shell scripts, Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/hadolint deploy/Dockerfile

format: setup  ## fix lint and format automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

engines: engine-prism engine-flink engine-spark engine-iceberg  ## fetch what the tests on other engines run on

browser: setup  ## install what the tests of the page drive Chromium with; Chromium is not installed
	$(BIN)/uv pip install --python $(BIN)/python --quiet --constraint constraints.txt --editable '.[browser]'

schemathesis: setup  ## install what tests the OpenAPI document of the service
	$(BIN)/uv pip install --python $(BIN)/python --quiet --constraint constraints.txt --editable '.[schemathesis]'

k6:  ## build k6 with Go, which sends requests for `python -m benchmarks.serving --k6 .tools/bin/k6`
	GOBIN=$(CURDIR)/.tools/bin go install go.k6.io/k6@v1.8.1

engine-prism:  ## build Beam's portable runner with Go
	GOBIN=$(CURDIR)/.tools/bin go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0

engine-flink:  ## fetch Beam's Flink job server with Maven
	mvn --batch-mode --quiet --file tests/engines/flink/pom.xml dependency:copy-dependencies \
		-DoutputDirectory=$(CURDIR)/.tools/flink

engine-spark: setup  ## fetch Spark's Python package, which contains Spark
	$(BIN)/uv pip install --python $(BIN)/python --quiet --target .tools/spark pyspark==3.5.8

engine-iceberg: setup  ## fetch Iceberg's runtime for Spark with Maven, and DuckDB with its Iceberg extension
	mvn --batch-mode --quiet dependency:copy -Dartifact=org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.11.0 \
		-DoutputDirectory=$(CURDIR)/.tools/iceberg
	$(BIN)/uv pip install --python $(BIN)/python --quiet --target .tools/duckdb duckdb==1.5.5 \
		duckdb-extension-iceberg==1.5.5 duckdb-extension-avro==1.5.5

musicnn: setup  ## fetch the Python package whose networks `import-model musicnn` reads
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest .tools/musicnn musicnn==0.1.0

bench: setup  ## measure, write benchmarks/results.json and docs/performance.md and the README's summary
	$(BIN)/python -m benchmarks.run

docs: setup  ## regenerate the generated documents
	$(BIN)/python -m pipelines.docs.tables > docs/reference/tables.md
	$(BIN)/python -m pipelines.docs.commands > docs/reference/commands.md
	$(BIN)/python -m pipelines.docs.counters > docs/reference/counters.md
	$(BIN)/python -m pipelines.docs.gates > docs/reference/gates.md
	$(BIN)/python -m pipelines.docs.formats > docs/reference/formats.md
	$(BIN)/python -m pipelines.docs.sandbox > docs/reference/sandbox.md
	$(BIN)/python -m pipelines.docs.output > docs/reference/output.md
	$(BIN)/python -m pipelines.docs.decisions docs/decisions > docs/decisions/README.md
	$(BIN)/python -m benchmarks.structure --road > docs/reference/road-of-tag.md

structure: setup  ## count folders, circles, functions and the modules that `tag` enters
	$(BIN)/python -m benchmarks.structure

constraints: setup  ## resolve the newest versions into constraints.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate setup.py $(foreach extra,tensorflow onnx text report query serve browser schemathesis xlsx dataflow test dev,--extra $(extra)) -o constraints.txt

wheel: setup  ## build the wheel into dist/
	rm -rf build  # setuptools would ship modules that are gone
	$(BIN)/uv build --quiet --wheel --out-dir dist .

IMAGE ?= catalog-tagger:0.1.0-worker
TARGET ?= worker
image:  ## build the image with docker (IMAGE=name, TARGET=worker, dataflow or trainer)
	docker build --file deploy/Dockerfile --target $(TARGET) --tag $(IMAGE) .

clean:  ## remove what the targets made, the environment excepted
	rm -rf demo .bench .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
