# Targets are described by the text behind "##"; `make help` prints it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# tofu is run here for its formatter alone: what the caller set up for it is out of place.
export TF_CLI_CONFIG_FILE :=

GO       ?= go
FUZZTIME ?= 60s
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The same between two releases: an image with it stays the same too, and pods run on.
RELEASE  ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo unreleased)
LINT     := $(GO) tool -modfile=tools/go.mod golangci-lint
# -race costs twice the time, so it runs where goroutines are: in the packages that
# start them, and in those that hand their work to internal/par. internal/e2e starts
# programs, not goroutines that share anything.
RACE     := $(shell grep -rlE --include='*.go' --exclude-dir=testdata --exclude-dir=e2e '^[[:space:]]*go (func|[a-z])|"golang.org/x/sync/errgroup"|strata/internal/par"' internal cmd 2>/dev/null | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
# What engines/build.sh uses too: what strata and an engine have in common is compiled once.
# Neither needs C, so both do without: what depends on net would otherwise be compiled twice.
SHARED := -trimpath '-gcflags=all=-dwarf=false'
GODIRS   := $(wildcard cmd internal policies schemas modules engines examples conformance)

.PHONY: help build engines deps testdeps up down test unit race lint fmt bench conformance cover fuzz clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

build: ## bin/strata, with the version from git, and the programs of ours that images contain
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build $(SHARED) -ldflags '-s -w -X main.version=$(VERSION)' -o bin/strata ./cmd/strata
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o bin/ ./cmd/strata-pause ./cmd/strata-entry
	CGO_ENABLED=0 $(GO) build $(SHARED) -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(RELEASE)' -o bin/ ./cmd/strata-proxy
	CGO_ENABLED=0 $(GO) build $(SHARED) -buildvcs=false -ldflags '-s -w -buildid=' -o bin/ ./cmd/strata-control

engines: bin/tofu bin/strata-kube bin/strata-objectstore bin/strata-kafka ## OpenTofu, Kubernetes and servers of local environments, from the sources pinned in engines/ (minutes, the first time)

bin/tofu: engines/opentofu/go.mod engines/opentofu/go.sum
	@engines/build.sh opentofu github.com/opentofu/opentofu/cmd/tofu bin/tofu '-X github.com/opentofu/opentofu/version.dev=no'

# The version that clients see is the one that is pinned.
KUBE := $(shell awk '$$1 == "k8s.io/kubernetes" { print $$2 }' engines/kubernetes/go.mod)
KUBEVERSION := k8s.io/component-base/version
bin/strata-kube: engines/kubernetes/go.mod engines/kubernetes/go.sum $(wildcard engines/kubernetes/*.go)
	@engines/build.sh kubernetes . bin/strata-kube '-X $(KUBEVERSION).gitVersion=$(KUBE) -X $(KUBEVERSION).gitMajor=1 -X $(KUBEVERSION).gitMinor=$(word 2,$(subst ., ,$(KUBE))) -X $(KUBEVERSION).gitTreeState=clean'

bin/strata-objectstore bin/strata-kafka: bin/strata-%: engines/%/go.mod engines/%/go.sum engines/%/main.go
	@engines/build.sh $* . $@

deps: ## what nodes need of the machine, from Debian, where root may install it
	@engines/deps.sh containerd:containerd runc:runc iptables:iptables conntrack:conntrack nft:nftables ip:iproute2 '/usr/*/cni/ptp:containernetworking-plugins'

testdeps: deps ## what tests need besides: databases, a broker, a browser
	@engines/deps.sh '/usr/lib/postgresql/*/bin/initdb:postgresql' rabbitmq-server:rabbitmq-server mariadbd:mariadb-server chromium:chromium curl:curl ssh-keygen:openssh-client

up: deps engines build ## the example, running on this machine: builds all that it needs, the first time in about 13 minutes on two cores
	bin/strata -C examples/acme up

down: ## stop the example; its data stays
	bin/strata -C examples/acme down

test: engines testdeps build lint unit race ## lint and all tests, as CI does it

# Root has all that tests need, so that one that lacks something fails (internal/needs).
unit race: export STRATA_TEST_ALL := $(filter 0,$(shell id -u))

unit: ## all tests, without lint and the race detector
	@echo '==> go test ./...'
	$(GO) test -timeout 60m ./...
	cd examples/acme && $(GO) vet ./... && $(GO) test ./...

race: ## tests of concurrent packages under the race detector
	@if [ -z '$(RACE)' ]; then echo '==> no package starts goroutines'; \
	elif ! command -v "$$($(GO) env CC)" >/dev/null; then echo '==> no C compiler: the race detector is left out'; \
	else echo '==> go test -race'; $(GO) test -timeout 30m -race $(RACE); fi

lint: ## gofmt, go vet, golangci-lint; tofu fmt where bin/tofu is built
	@echo '==> gofmt'
	@bad=$$(gofmt -l $(GODIRS)); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	@echo '==> go vet'
	@$(GO) vet ./...
	@echo '==> golangci-lint (the first run builds it, about a minute)'
	@$(LINT) run ./...
	@if [ ! -d modules ]; then :; elif [ -x bin/tofu ]; then echo '==> tofu fmt'; bin/tofu fmt -check -recursive modules; \
	else echo '==> tofu fmt is left out: bin/tofu is not built'; fi

fmt: ## format all Go files, and the modules where bin/tofu is built
	@gofmt -w $(GODIRS)
	@if [ -d modules ] && [ -x bin/tofu ]; then bin/tofu fmt -recursive modules; fi

bench: build engines deps ## measure on 10,000 workloads, 1,000 planned and applied, the proxies, and the example up and down; writes docs/benchmarks.md
	@engines/deps.sh haproxy:haproxy caddy:caddy
	$(GO) run ./internal/bench -strata bin/strata -acme examples/acme > bin/benchmarks.md
	@mv bin/benchmarks.md docs/benchmarks.md
	@cat docs/benchmarks.md

conformance: build engines deps ## the Gateway API's conformance suite against our gateways; writes docs/conformance/ (minutes; root)
	@mkdir -p docs/conformance
	@# What the main module has come to need since is added to conformance/go.mod.
	cd conformance && $(GO) test -mod=mod -count=1 -timeout 60m -v -run TestConformance . -args -strata.version=$(VERSION) -strata.report=../docs/conformance/gateway-api-v1.5.yaml

cover: ## test coverage by function, and bin/cover.html
	@mkdir -p bin
	$(GO) test -coverpkg=./internal/... -coverprofile=bin/cover.out ./...
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	$(GO) tool cover -func=bin/cover.out | tail -n 1

fuzz: ## every fuzz target for FUZZTIME (60s) each
	@found=0; while IFS=: read -r file name; do found=1; \
		echo "==> $$name in $$(dirname $$file)"; \
		$(GO) test "./$$(dirname $$file)" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME); \
	done < <(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' internal cmd policies 2>/dev/null | sed 's/func //'); \
	[ $$found = 1 ] || echo 'no fuzz targets'

clean: ## remove what is built
	rm -rf bin
