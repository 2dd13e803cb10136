# `make help` lists the targets. Everything a target needs and the machine
# lacks is put under .tools/ by the scripts in tools/.
GO ?= go
ARGS ?=
PKG ?= ./...
TESTFLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test test-setup race bench lint vet generate generate-check build cross clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## the demonstration: store, control, gateway, a real Envoy, the example shop (ARGS=--exit, --no-edge, --help)
	@$(GO) run ./examples/shop/demo $(ARGS)

test: test-setup vet ## everything: set-up, vet, all tests, the generated code, the other platforms
	$(GO) test -timeout 20m $(TESTFLAGS) $(PKG)
	@$(MAKE) --no-print-directory generate-check cross

test-setup:
	@tools/packages.sh
	@tools/envoy.sh
	@tools/xds-node.sh
	@tools/workerd.sh
	@tools/runtimes.sh
	@$(GO) mod download

race: test-setup ## all tests under the race detector
	$(GO) test -race -timeout 60m $(TESTFLAGS) $(PKG)

bench: test-setup ## the benchmarks, side by side with what one would use instead
	@bench/run.sh $(ARGS)

vet: ## gofmt, go vet
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet $(PKG)

lint: ## golangci-lint and govulncheck, built into .tools/bin
	@tools/lint.sh

generate: ## the example's Go code from its .proto files
	$(GO) generate $(PKG)

generate-check:
	@tools/generate-check.sh

build: ## the binary, without cgo, at ./skewgate
	CGO_ENABLED=0 $(GO) build -trimpath -o skewgate ./cmd/skewgate

cross: ## compiles for every platform that is promised
	@tools/cross.sh

clean: ## removes the binary and what a demonstration left; .tools stays
	rm -rf skewgate .run
