# Every target is a command that a user could type; `make` alone prints them.
#? DATA      data set: generated (default), grocery, fashion, shopee, sports, kazanexpress, esci (esci-us, esci-es, esci-jp), or a CSV or Parquet file
DATA ?= generated
#? DATA_DIR  folder of the data set
DATA_DIR ?=
#? COLUMNS   mapping of columns of your file, such as title=name,images=photo
COLUMNS ?=
#? NAME      name of the prepared data and of the run (default: that of DATA)
NAME ?= $(basename $(notdir $(DATA)))
#? CONFIG    preset (demo, base, grocery, fashion, fashion_types, sports, esci) or a YAML file (default: by DATA)
CONFIG ?=
#? IMAGE_WEIGHTS  weights of the image encoder, a file for timm
IMAGE_WEIGHTS ?=
#? VERSION   version in the model repository (default: export the next, serve the newest)
VERSION ?=
#? FILE      products to store (default: the gallery of NAME)
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
DATA_OPTIONS = $(if $(DATA_DIR),--data-dir $(DATA_DIR)) $(if $(COLUMNS),--columns $(COLUMNS))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
.DEFAULT_GOAL := help
.PHONY: help setup demo data train evaluate export triton serve index match pairs categories group compare ablation quality perf bench soak fuzz protos lint test audit clean lock

help: ## Print this help
	@echo 'Targets:'; awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo 'Variables:'; sed -n 's/^#? /  /p' $(MAKEFILE_LIST)

.venv/installed: requirements.lock pyproject.toml .ci/setup server/triton_backends/requirements.lock server/triton_backends/tritonserver.lock
	@.ci/setup

setup: .venv/installed ## Make the virtual environments from the locks (once)

demo: setup ## Run the whole path: data, train, evaluate, export, Triton, serve, index, match
	@python -m client.demo --data $(DATA) $(DATA_OPTIONS) $(if $(CONFIG),--config $(CONFIG)) $(if $(IMAGE_WEIGHTS),--image-weights $(IMAGE_WEIGHTS)) $(ARGS)

data: setup ## Read a data set into .cache/data/NAME
	@python -m training.prepare --data $(DATA) $(DATA_OPTIONS) --out .cache/data/$(NAME)

train: data ## Train the encoder into runs/NAME
	@python -m training.train --config $(or $(CONFIG),$(filter grocery fashion sports esci,$(DATA)),$(if $(filter esci-%,$(DATA)),esci),demo) --data.folder .cache/data/$(NAME) --output runs/$(NAME) $(if $(IMAGE_WEIGHTS),--model.image.weights=$(IMAGE_WEIGHTS)) $(ARGS)

evaluate: setup ## Print and save the retrieval metrics of runs/NAME
	@python -m training.evaluate --run runs/$(NAME) $(ARGS)

export: setup ## Publish runs/NAME as a version of the model repository
	@python -m export --run runs/$(NAME) --repository model_repository $(if $(VERSION),--version $(VERSION)) $(ARGS)

triton: setup ## Start Triton with a version of the model repository
	@python -m server.triton --model-repository model_repository $(if $(VERSION),--version $(VERSION)) $(ARGS)

serve: setup ## Start the matching service
	@python -m server $(ARGS)

index: setup ## Store the products of FILE in the catalogue
	@twinshelf index $(FILE) $(ARGS)

match: setup ## Match IMAGE and TITLE against the catalogue
	@twinshelf match $(if $(IMAGE),--image '$(IMAGE)') $(if $(TITLE),--title '$(TITLE)') -k $(K) $(ARGS)

pairs: setup ## Train the pair scorer on the pairs of DATA_DIR (Ditto's form, or E-CUP's tables) into runs/NAME
	@python -m training.pairs.train --pairs $(DATA_DIR) --output runs/$(NAME) $(ARGS)

categories: setup ## Predict the categories of held-out offers with the encoder of runs/NAME
	@python -m training.categories --run runs/$(NAME) $(ARGS)

group: setup ## Find duplicate groups among the products of FILE
	@python -m training.grouping --run runs/$(NAME) --products $(FILE) --output runs/$(NAME)/groups.parquet $(ARGS)

compare: setup ## Lay runs side by side: RUNS='runs/a runs/b'
	@python -m training.compare $(RUNS) $(ARGS)

ablation: setup ## Measure what each field and modality gives to the encoder of runs/NAME
	@python -m training.ablation --run runs/$(NAME) $(ARGS)

quality: setup ## Train and evaluate every row of the quality table from DATA_ROOT
	@python -m training.quality --data-root $(DATA_ROOT) $(ARGS)

perf: setup ## Load Triton with perf_analyzer; prints and saves throughput and latency
	@python -m tests.benchmarks.perf $(ARGS)

bench: setup ## Run our own benchmarks, side by side
	@python -m tests.benchmarks.bench $(ARGS)

soak: setup ## Try to break a whole deployment: bad offers, overload, hostile clients, killed processes
	@python -m tests.soak $(ARGS)

fuzz: setup ## Send mutated photos, texts and requests through preprocessing, Triton and service
	@python -m tests.fuzz $(or $(ARGS),--photos 500000 --texts 500000)

protos: setup ## Generate the Python code of protos/
	@python -m grpc_tools.protoc -I . -I .venv/lib/python3*/site-packages --python_out=. --pyi_out=. --grpc_python_out=. protos/twinshelf/v1/*.proto

lint: setup ## Check style, types and imports
	@ruff check . && ruff format --check . && mypy && lint-imports

test: setup lint ## Check everything (no GPU needed)
	@python -m pytest -m 'not gpu' $(ARGS)

audit: setup ## Look the locked packages up among known holes (asks the package index)
	@uv tool run --quiet pip-audit --disable-pip --require-hashes --requirement requirements.lock

lock: setup ## Pin the dependencies anew
	@uv pip compile pyproject.toml --all-extras --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock
	@cd server/triton_backends && uv pip compile requirements.in --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock

clean: ## Remove what was made here, except the virtual environments
	@rm -rf .cache runs model_repository/*/[0-9]* model_repository/*/configs *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
