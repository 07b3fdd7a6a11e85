# Every target is a command that a user could type; `make` alone prints them.
#? DATA      data set: generated (default), grocery, fashion, shopee, sports, kazanexpress, esci (esci-us, esci-es, esci-jp), or a table of your own
DATA ?= generated
#? DATA_DIR  folder of the data set
DATA_DIR ?=
#? COLUMNS   mapping of columns of your file, such as title=name,images=photo,price= (default: by their usual names)
ifneq ($(origin COLUMNS),command line) # a terminal may call its width so
COLUMNS :=
endif
#? NAME      name of the prepared data and of the run (default: that of DATA)
ifeq ($(origin NAME),undefined)
NAME := $(shell printf %s '$(subst ','\'',$(value DATA))' | sed 's|/*$$||; s|.*/||; s/\.[^.]*$$//; s/[^[:alnum:]._-]/-/g')
endif
#? CONFIG    preset (demo, base, grocery, fashion, fashion_types, sports, esci) or a YAML file (default: by DATA)
CONFIG ?=
#? IMAGE_WEIGHTS  weights of the image encoder, a file for timm (grocery, fashion: those beside the data)
IMAGE_WEIGHTS ?= $(if $(CONFIG),,$(if $(filter grocery fashion,$(DATA_WORD)),$(wildcard $(call word_of,DATA_DIR)/../../weights/mobilenetv2_100_tf2ptq_timm.pth)))
#? VERSION   version in the model repository (default: export the next, serve the newest)
VERSION ?=
#? FILE      products to store, or offers to match (default: the gallery of NAME)
FILE ?= .cache/data/$(NAME)/gallery.parquet
#? IMAGE     photo to match
IMAGE ?=
#? TITLE     title to match
TITLE ?=
#? K         matches to print (default: 5)
K ?= 5
#? RUNS      folders of the runs to compare
RUNS ?=
#? DATA_ROOT folder that holds grocery/, fashion/, sports/ and pairs/
DATA_ROOT ?= ../shared/data
#? ARGS      further options of the command, such as ARGS='--help'
ARGS ?=
#? DATA_ARGS further options of reading the data, such as --fetch-images (of drawing it: --product-count=100)
DATA_ARGS ?=
#? TRAIN_ARGS  further options of training, in the demo too
TRAIN_ARGS ?=
#? FRESH     1 runs steps again that nothing changed for: data, train, evaluate
FRESH ?=
# Make parts its lists at blanks, so that a name with one would be taken for two. In the environment it
# may be anybody's.
HAS_BLANK = $(and $(word 2,$(NAME)),$(filter-out environment,$(firstword $(origin NAME))))
ONE_NAME = $(if $(HAS_BLANK),$(error NAME may hold no blank, got '$(NAME)'),$(NAME))
RUN = runs/$(ONE_NAME)
RUN_FILES = $(addprefix $(RUN)/,weights.safetensors config.yaml preprocessing.json text_backbone.json tokenizer.json)
TABLES = .cache/data/$(ONE_NAME)
# A path as one word of Make's, which as a pattern finds the path.
BLANK := $(subst ,, )
word_of = $(subst $(BLANK),?,$(value $(1)))
DATA_WORD = $(call word_of,DATA)
PRESET = $(or $(CONFIG),$(filter grocery fashion sports esci,$(DATA_WORD)),$(if $(filter esci-%,$(DATA_WORD)),esci),demo)
# Files and folders that a user's options name decide what comes out, too.
NAMED_FILES = $(wildcard $(subst =, ,$(1)))
# Runs a command unless its outputs are there and nothing that decides them changed.
STEP = python -m twinshelf.training.step $(if $(FRESH),--fresh) $(LOGS)
STARTED_AT := $(shell date +%s)
DEMO_ARGS := $(ARGS)
# Photos that `make data` named are shown.
WEB = python -m twinshelf.client.web --judgements .cache/judgements.sqlite --image-root $(TABLES)
# The catalogue of the demo is drawn first, and then read as a table of anybody's.
IS_DRAWN = $(filter generated,$(DATA_WORD))
SOURCE = $(if $(IS_DRAWN),$(TABLES)/products.parquet,"$$GIVEN_DATA")
DATA_OPTIONS = $(if $(DATA_DIR),--data-dir "$$GIVEN_DATA_DIR") $(COLUMN_OPTION)
# Handed over in the environment, these may hold anything: blanks, quotes, equals and dollar signs.
export GIVEN_COLUMNS := $(value COLUMNS)
export GIVEN_DATA := $(value DATA)
export GIVEN_DATA_DIR := $(value DATA_DIR)
export GIVEN_TITLE := $(value TITLE)
export GIVEN_IMAGE := $(value IMAGE)
export GIVEN_FILE := $(if $(filter file,$(origin FILE)),$(FILE),$(value FILE))
COLUMN_OPTION = $(if $(GIVEN_COLUMNS),--columns "$$GIVEN_COLUMNS")
# A table that `make data` wrote names photos wherever its data set lies.
FILE_OPTIONS = $(COLUMN_OPTION) $(if $(filter .cache/data/%,$(GIVEN_FILE)),--image-root /)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# A terminal that lacks a sign, such as that of a step that failed, shows another one in its place.
export PYTHONIOENCODING ?= :replace
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo data train evaluate export up triton serve web index match pairs categories group compare ablation quality perf tune bench soak fuzz protos lint unit test test-web test-milvus cluster-test test-bulk test-alerts docs audit clean lock

help: ## Print this help
	@echo 'Targets:'; awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo 'Variables:'; sed -n 's/^#? /  /p' $(MAKEFILE_LIST)

.venv/installed: requirements.lock pyproject.toml .ci/setup server/triton_backends/requirements.lock server/triton_backends/tritonserver.lock
	@.ci/setup

setup: .venv/installed ## Make the virtual environments from the locks (once)

# Each step is one line here, and ARGS is for the last part alone.
demo: LOGS = --logs $(RUN)/logs
demo: override ARGS =
demo: data train evaluate export ## Run the whole path: data, train, evaluate, export, Triton, serve, index, match
	@version=$$(cat $(RUN)/version.txt) && python -m twinshelf.server.up --free-ports --version $$version --catalogue $(RUN)/catalogue --logs $(RUN)/logs -- \
		python -m twinshelf.client.demo --run $(RUN) --data $(TABLES) --version $$version --started-at $(STARTED_AT) $(DEMO_ARGS)

data: setup ## Read a data set into .cache/data/NAME
	@$(if $(IS_DRAWN),$(STEP) --name draw --outputs $(SOURCE) -- tests.generated_catalogue --out $(TABLES) $(DATA_ARGS))
	@$(STEP) --name prepare --inputs $(if $(IS_DRAWN)$(wildcard $(DATA_WORD)),$(SOURCE)) $(if $(DATA_DIR),"$$GIVEN_DATA_DIR") --reading-list $(TABLES)/photos.txt --outputs $(addprefix $(TABLES)/,train.parquet queries.parquet gallery.parquet) -- \
		twinshelf.training.catalogues.prepare --data $(SOURCE) $(DATA_OPTIONS) --out $(TABLES) $(if $(IS_DRAWN),,$(DATA_ARGS))

# With NAME alone, and not DATA, what was read under that name is trained on as it is.
IS_READ = $(and $(filter file,$(origin DATA)),$(filter-out file,$(origin NAME)),$(wildcard $(TABLES)/train.parquet))
# A name of nothing is no wish for the demo's catalogue. In the environment it may mean the host.
IS_MISSING = $(and $(filter file,$(origin DATA)),$(filter command,$(origin NAME)),$(filter-out $(DATA_WORD),$(NAME)),$(if $(wildcard $(TABLES)/train.parquet)$(filter data demo,$(MAKECMDGOALS)),,1))
train: $(if $(IS_READ)$(IS_MISSING),setup,data) ## Train the encoder into runs/NAME
	@$(if $(IS_MISSING),echo "there is no data $(TABLES): make data DATA=FILE NAME=$(NAME) reads some" >&2; exit 2)
	@$(STEP) --name train --inputs $(TABLES) $(if $(IMAGE_WEIGHTS),"$(IMAGE_WEIGHTS)") $(wildcard $(CONFIG)) $(call NAMED_FILES,$(TRAIN_ARGS) $(ARGS)) --outputs $(RUN_FILES) -- \
		twinshelf.training.train --config $(PRESET) --data.folder $(TABLES) --output $(RUN) $(if $(IMAGE_WEIGHTS),--model.image.weights="$(IMAGE_WEIGHTS)") $(TRAIN_ARGS) $(ARGS)

evaluate: setup ## Print and save the retrieval metrics of runs/NAME
	@$(if $(filter --queries% --gallery% --output%,$(ARGS)),python -m,$(STEP) --name evaluate --inputs $(RUN_FILES) $(wildcard $(TABLES)) $(call NAMED_FILES,$(ARGS)) --outputs $(RUN)/evaluation.json --) \
		twinshelf.training.evaluation --run $(RUN) $(ARGS)

export: setup ## Publish runs/NAME as a version of the model repository
	@$(STEP) --name export -- twinshelf.export --run $(RUN) --repository model_repository $(if $(VERSION),--version $(VERSION)) $(ARGS)

up: setup ## Start Triton, the matching service and the web page together
	@python -m twinshelf.server.up $(if $(VERSION),--version $(VERSION)) $(ARGS) -- $(WEB)

triton: setup ## Start Triton with a version of the model repository
	@python -m twinshelf.server.triton --model-repository model_repository $(if $(VERSION),--version $(VERSION)) $(ARGS)

serve: setup ## Start the matching service
	@python -m twinshelf.server $(ARGS)

web: setup ## Serve the web page of a running matching service
	@$(WEB) $(ARGS)

index: setup ## Store the products of FILE in the catalogue
	@twinshelf index "$$GIVEN_FILE" $(FILE_OPTIONS) $(ARGS)

match: setup ## Match IMAGE and TITLE, or every offer of FILE, against the catalogue
	@twinshelf match $(if $(filter-out file,$(origin FILE)),"$$GIVEN_FILE" $(FILE_OPTIONS)) $(if $(GIVEN_IMAGE),--image "$$GIVEN_IMAGE") $(if $(GIVEN_TITLE),--title "$$GIVEN_TITLE") -k $(K) $(ARGS)

# Not into the run of the encoder, which stands under NAME by default.
pairs: setup ## Train the pair scorer on the pairs of DATA_DIR (Ditto's form, or E-CUP's tables) into runs/pairs, or runs/NAME
	@$(if $(DATA_DIR),,echo "make pairs needs DATA_DIR=FOLDER, with the pairs" >&2; exit 2)
	@python -m twinshelf.training.pairs.train_pairs --pairs "$$GIVEN_DATA_DIR" --output runs/$(if $(filter file,$(origin NAME)),pairs,$(NAME)) $(ARGS)

categories: setup ## Predict the categories of held-out offers with the encoder of runs/NAME
	@python -m twinshelf.training.categories --run runs/$(NAME) $(ARGS)

group: setup ## Find duplicate groups among the products of FILE
	@python -m twinshelf.training.grouping --run runs/$(NAME) --products "$$GIVEN_FILE" $(COLUMN_OPTION) --output runs/$(NAME)/groups.parquet $(ARGS)

compare: setup ## Lay runs side by side: RUNS='runs/a runs/b'
	@python -m twinshelf.training.runs $(RUNS) $(ARGS)

ablation: setup ## Measure what each field and modality gives to the encoder of runs/NAME
	@python -m tests.benchmarks.ablation --run runs/$(NAME) $(ARGS)

quality: setup ## Train and evaluate every row of the quality table from DATA_ROOT
	@python -m tests.benchmarks.quality --data-root $(DATA_ROOT) $(ARGS)

perf: setup ## Load Triton with perf_analyzer; prints and saves throughput and latency
	@python -m tests.benchmarks.perf $(ARGS)

tune: setup ## Measure this machine; writes the plan by which Triton serves best on it
	@python -m tests.benchmarks.tune $(ARGS)

bench: setup ## Compare us with what a user would write instead, side by side (half an hour)
	@uv pip install --quiet --require-hashes -r tests/benchmarks/requirements.lock
	@python -m tests.benchmarks $(ARGS)

soak: setup ## Try to break a whole deployment: bad offers, overload, hostile clients, killed processes
	@python -m tests.soak $(ARGS)

fuzz: setup ## Send mutated photos and texts through preprocessing, and calls through a Triton and a service of its own
	@python -m tests.fuzz $(ARGS)

protos: setup ## Generate the Python code of protos/
	@cd protos && python -m grpc_tools.protoc -I . -I ../.venv/lib/python3*/site-packages --python_out=. --pyi_out=. --grpc_python_out=. twinshelf/v1/*.proto

lint: setup ## Check style, types and imports
	@ruff check . && ruff format --check . && mypy && lint-imports

# Tests that need what only their own targets install.
HERE = not browser and not milvus and not bulk

# For whom bytecode is not kept (PYTHONDONTWRITEBYTECODE), each run takes twenty seconds more.
unit: setup ## Run the quick tests alone (a minute on two cores)
	@OMP_NUM_THREADS=1 python -m pytest -n 2 --no-loadscope-reorder -m 'not slow and not triton and $(HERE)' $(ARGS)

# Three processes, each of one thread, for two cores: one of them often waits for a server. Style and
# types are checked meanwhile. What fails is tried once more, alone: a machine that stands still for a
# second makes a caller's time run out. Both reports are shown.
test: setup ## Check everything, as `make lint` does too (no GPU needed)
	@mkdir -p .cache; make --no-print-directory lint > .cache/lint.log 2>&1 & linter=$$!; \
		export OMP_NUM_THREADS=1; python -m pytest -n 3 --no-loadscope-reorder -m '$(HERE)' $(ARGS); tested=$$?; \
		wait $$linter; linted=$$?; cat .cache/lint.log; \
		if [ $$tested = 1 ]; then echo "What failed is tried once more, alone."; \
			python -m pytest -m '$(HERE)' --last-failed --last-failed-no-failures none $(ARGS); tested=$$?; fi; \
		exit $$((tested + linted))

test-web: setup ## Drive the web page in Chromium, which must be installed; writes .cache/screenshots
	@uv pip install --quiet --require-hashes -r tests/browser/requirements.lock
	@OMP_NUM_THREADS=1 python -m pytest -n 2 -m browser tests/browser $(ARGS) || \
		{ echo "What failed is tried once more, alone: a browser without a GPU may hang."; \
		python -m pytest -m browser tests/browser --last-failed $(ARGS); }

test-milvus: setup ## Try the catalogue on a real Milvus, which is installed from its wheel
	@uv pip install --quiet --require-hashes -r tests/milvus/requirements.lock
	@OMP_NUM_THREADS=1 python -m pytest -n 0 -m milvus tests/server/catalogue tests/milvus $(ARGS)

cluster-test: setup ## Kill parts of a Milvus cluster, two matching servers and Triton under load (etcd must be installed)
	@uv pip install --quiet --require-hashes -r tests/cluster/requirements.lock
	@python -m tests.cluster $(ARGS)

test-bulk: setup ## Try `twinshelf embed` on Ray, which is installed
	@uv pip install --quiet --require-hashes -r tests/server/bulk/requirements.lock
	@OMP_NUM_THREADS=1 python -m pytest -n 1 -m bulk tests/server/bulk $(ARGS)

test-alerts: ## Try the alerts with promtool, which must be installed
	@cd server/deploy/prometheus && promtool check config prometheus.yaml && promtool test rules alerts.test.yaml

docs: setup ## Build the documentation as a site, links checked; writes .cache/site
	@uv pip install --quiet --require-hashes -r docs/requirements.lock
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true python -m mkdocs build --strict --quiet -f docs/mkdocs.yaml && echo .cache/site/index.html

# One after another, for two locks may hold different versions of a package.
audit: setup ## Look the packages of every lock up among known holes (asks the package index)
	@failed=0; locks=$$(git ls-files '*.lock') && for lock in $$locks; do echo "$$lock"; \
		uv tool run --quiet pip-audit --disable-pip --require-hashes --requirement $$lock $(ARGS) || failed=1; \
		done && exit $$failed

# Each list of its own agrees with the versions of the whole.
LOCKED_APART = tests/browser tests/benchmarks tests/milvus tests/cluster tests/server/bulk docs
COMPILE = uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --quiet

lock: setup ## Pin the dependencies anew
	@$(COMPILE) pyproject.toml $(foreach extra,train export server local client web dev,--extra $(extra)) -o requirements.lock
	@for folder in $(LOCKED_APART); do $(COMPILE) $$folder/requirements.in --constraints requirements.lock -o $$folder/requirements.lock || exit 1; done
	@cd server/triton_backends && $(COMPILE) requirements.in -o requirements.lock

clean: ## Remove what was made here, except the virtual environments and what people judged
	@[ ! -d .cache ] || find .cache -mindepth 1 -maxdepth 1 ! -name 'judgements.sqlite*' -exec rm -rf {} +
	@rm -rf runs model_repository/*/[0-9]* model_repository/*/configs *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
