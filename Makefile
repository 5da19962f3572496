# braid: `make help` lists the targets. Go, a JDK 17 with Maven and a C compiler (race detector) are all that is needed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
RUN      := $(CURDIR)/.run
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
ES_PORT  ?= 19200
PROM_PORT ?= 19290
FUZZTIME ?= 20s
BENCH    ?= all
RUNS     ?= 3
SIZE     ?= 256MiB
RACE_PACKAGES := ./telemetry/... ./disk/... ./config/... ./listen/... ./wire/... ./pipeline/... ./logs/... ./receivers/... \
  ./exporters/otlp ./exporters/post ./exporters/remotewrite ./exporters/elasticsearch/ecs ./correlate/... ./traces/... ./kube ./query ./cmd/internal/...

.PHONY: help demo build test deploy-test image-test check bench fuzz mutants fmt generate services-up services-down cross lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1|/' | column -t -s '|'

demo: build ## run the shop, the agent and the aggregator on this machine until Ctrl-C
	@exec bin/braid demo

build: ## bin/braid and bin/braid-agent
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/braid ./cmd/braid-agent

services-up: ## start a real Elasticsearch and a real Prometheus for the tests
	@testbed/elasticsearch/up.sh $(RUN)/elasticsearch $(ES_PORT)
	@testbed/prometheus/up.sh $(RUN)/prometheus $(PROM_PORT)

services-down: ## stop them
	@testbed/elasticsearch/down.sh $(RUN)/elasticsearch
	@testbed/prometheus/down.sh $(RUN)/prometheus

test: build ## every test, against the real servers
	@trap '$(MAKE) --no-print-directory services-down' EXIT; \
	$(MAKE) --no-print-directory services-up; \
	BRAID_TEST_ELASTICSEARCH_URL=http://127.0.0.1:$(ES_PORT) BRAID_TEST_PROMETHEUS_URL=http://127.0.0.1:$(PROM_PORT) \
	$(GO) test -timeout 20m ./...
	@$(MAKE) --no-print-directory deploy-test

deploy-test: build ## chart, manifests, Compose and units, against other people's schemas (part of test)
	cd deploy && BRAID_BIN=$(CURDIR)/bin/braid $(GO) test -count=1 ./...

image-test: ## the images' programs, built as the Dockerfiles say, as their users on a read-only tree (Linux, root)
	cd deploy && $(GO) test -count=1 -tags image -run TestImages .

lint: ## gofmt, vet and golangci-lint
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [[ -z $$unformatted ]] || { echo "not formatted: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...
	cd deploy && $(GO) vet -tags image ./... && $(GO) tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run --build-tags image ./...

cross: ## the platforms that are promised still build
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/braid-agent
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/braid
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/braid

check: lint cross test image-test ## everything that CI runs, and more: lint, cross-builds, the race detector
	$(GO) test -race -timeout 20m $(RACE_PACKAGES)
	@rm -rf $(RUN)/race && mkdir -p $(RUN)/race; trap '$(MAKE) --no-print-directory services-down' EXIT; \
	$(MAKE) --no-print-directory services-up; \
	BRAID_TEST_ELASTICSEARCH_URL=http://127.0.0.1:$(ES_PORT) BRAID_TEST_PROMETHEUS_URL=http://127.0.0.1:$(PROM_PORT) \
	BRAID_TEST_RACE=1 GORACE=log_path=$(RUN)/race/report $(GO) test -count=1 -timeout 30m ./cmd/braid; \
	if compgen -G '$(RUN)/race/report*'; then echo "the race detector has found something: see there"; exit 1; fi

bench: build ## braid beside its peers on the same input: BENCH=logs, metrics, traces or all; RUNS=3 SIZE=256MiB (docs/benchmarks.md)
	@GO=$(GO) bench/peers/build.sh $(BENCH)
	@$(GO) build -o bench/peers/.build/ ./bench ./bench/floor
	@exec bench/peers/.build/bench -bench $(BENCH) -runs $(RUNS) -size $(SIZE) $(BENCHFLAGS)

fuzz: ## every fuzz target for FUZZTIME (20s) each
	@for package in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$package/*_test.go | sed 's/func //' | sort -u); do \
	    echo "== $$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

mutants: ## apply each seeded fault of testbed/mutants in turn: some test must fail
	@trap '$(MAKE) --no-print-directory services-down' EXIT; \
	$(MAKE) --no-print-directory services-up; \
	BRAID_TEST_ELASTICSEARCH_URL=http://127.0.0.1:$(ES_PORT) BRAID_TEST_PROMETHEUS_URL=http://127.0.0.1:$(PROM_PORT) \
	$(GO) run ./testbed/mutants

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

generate: ## regenerate what is generated: the configuration's reference, dashboards, the chart's copies of them, manifests
	$(GO) generate ./...
	cd deploy && $(GO) run ./cmd/generate

clean: services-down ## stop what runs and remove what was built
	rm -rf bin $(RUN) testbed/*/.dist bench/peers/.build bench/results
