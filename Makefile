# rtx: transfer learning with robust backbones.
#
#   make demo    get what is missing, build, draw images, featurize them
#   make test    all tests
#   make golden  remake the files under testdata by their scripts (PYTHONS=..., GOLDEN=finetune/testdata)
#   make parity  compare with Python's Pillow, PyTorch and readers (PYTHON=...)
#   make bench   measure (PYTHON=...)
#   make gpu-check  compare a GPU with the CPU and with torch (PYTHON=...); GPU_CHECK=--cpu for a dry run

SHELL  := /bin/bash
GO     ?= go
PYTHON ?= python3
# Where torch and torchvision are, if elsewhere.
TORCH_PYTHON ?= $(PYTHON)
# Where onnx and onnxruntime are, if elsewhere.
ONNX_PYTHON ?= $(PYTHON)
# Where pycocotools, faster-coco-eval and torchvision are, if elsewhere.
DETECT_PYTHON ?= $(PYTHON)
# What is tried in turn for the exporters of cli/testdata/foreign.py: torch 1.13, torch 2,
# tensorflow with tf2onnx and keras, paddlepaddle; and for the detectors of
# detect/foreign/testdata/packages.py: ultralytics, yolov5, transformers, torchvision.
FOREIGN_PYTHONS ?= $(PYTHON) $(TORCH_PYTHON)
RTX    := bin/rtx
DATA   ?=
export CGO_ENABLED = 1

# What is tried in turn for each script of make golden.
PYTHONS ?= $(PYTHON) $(TORCH_PYTHON)
# A part of the names of the files to make; empty: all.
GOLDEN ?=

.PHONY: demo build test lint golden parity bench gpu-check need jpeg library
.NOTPARALLEL:

build: need
	@mkdir -p bin
	$(GO) build -trimpath -o $(RTX) ./cli/rtx

need:
	@command -v $(GO) >/dev/null || { echo "missing: Go 1.26 or newer (go.dev)"; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || { echo "missing: a C compiler (apt-get install gcc, or xcode-select --install)"; exit 1; }

# libjpeg-turbo makes JPEG fast and its pixels equal to Pillow's; without it
# everything works through Go's decoder.
jpeg: build
	@$(RTX) doctor 2>/dev/null | grep -q 'libjpeg-turbo' || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "+ apt-get install libturbojpeg0"; \
	    { apt-get install -y -qq libturbojpeg0 || { apt-get update -qq && apt-get install -y -qq libturbojpeg0; }; } >/dev/null 2>&1 || \
	      echo "libturbojpeg0 could not be installed; going on with Go's JPEG decoder"; \
	  else \
	    echo "libjpeg-turbo is missing; going on with Go's JPEG decoder. To get it: sudo apt-get install libturbojpeg0 (or brew install jpeg-turbo)"; \
	  fi

library: build
	@$(RTX) runtime path >/dev/null 2>&1 || { echo "+ $(RTX) runtime install"; $(RTX) runtime install; }

demo: jpeg library
	@GO=$(GO) RTX=$(RTX) bash assets/demo.sh "$(DATA)"

test: lint
	@$(RTX) runtime path >/dev/null 2>&1 || echo "missing: onnxruntime, its tests are skipped (make build && bin/rtx runtime install)"
	@$(RTX) doctor 2>/dev/null | grep -q 'libjpeg-turbo' || echo "missing: libjpeg-turbo, its tests are skipped (apt-get install libturbojpeg0)"
	@[ -d "$${RTX_SHARED_DATA:-../shared/data}" ] || echo "missing: the shared test data, its tests are skipped (RTX_SHARED_DATA names the folder)"
	$(GO) test -race -short -timeout 20m ./assets/... ./onnx ./onnx/pb ./onnx/checkpoint ./onnx/safetensors ./onnx/torch ./onnx/verify ./featurize/... ./detect/box ./detect/coco ./detect/data ./detect/draw ./detect/foreign ./detect/mask ./detect/voc ./finetune/... ./cli/catalogue ./cli/help ./cli/report
	$(GO) test -timeout 20m ./...

lint: build
	$(GO) vet ./...
	@bad=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); [ -z "$$bad" ] || { echo "gofmt: $$bad"; exit 1; }
	@command -v staticcheck >/dev/null && staticcheck ./... || $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

golden:
	PYTHONS="$(PYTHONS)" $(PYTHON) .ci/golden.py $(GOLDEN)
	@[ -n "$(GOLDEN)" ] || $(GO) test -count=1 -run Backbones ./onnx -update # assets/backbones

parity: build
	@PYTHON=$(PYTHON) bash featurize/pixels/testdata/parity.sh
	RTX_SMALL=all RTX_PARITY=1 PYTHON=$(TORCH_PYTHON) ONNX_PYTHON=$(ONNX_PYTHON) FOREIGN_PYTHONS="$(FOREIGN_PYTHONS)" $(GO) test -count=1 -v -timeout 120m -run 'TestParity' ./cli
	FOREIGN_PYTHONS="$(FOREIGN_PYTHONS)" $(GO) test -count=1 -v -timeout 60m -run 'TestParity' ./detect/foreign
	RTX_PARITY=1 PYTHON=$(ONNX_PYTHON) $(GO) test -count=1 -v -timeout 60m -run 'TestParity' ./finetune/attack
	RTX_TRACES=all $(GO) test -count=1 -v -timeout 60m -run 'TestTorch|TestFamilies' ./finetune
	PYTHON=$(PYTHON) $(GO) test -count=1 -v -run 'TestOtherReaders' ./featurize
	RTX_PARITY_IMAGES=50 PYTHON=$(DETECT_PYTHON) $(GO) test -count=1 -v -timeout 120m -run 'TestParityTorchvision' ./detect
	RTX_PARITY=1 PYTHON=$(DETECT_PYTHON) $(GO) test -count=1 -v -timeout 12h -run 'TestParity(BCCD|Nuclei)' ./detect/train
	RTX_PARITY=1 PYTHON=$(DETECT_PYTHON) $(GO) test -count=1 -v -run 'TestPycocotools' ./detect/mask ./detect/coco ./detect/data
	PYTHON=$(DETECT_PYTHON) $(GO) test -count=1 -v -run 'TestParityTrace' ./detect/train

bench: build
	$(GO) run ./cli/bench -python $(TORCH_PYTHON)
	$(GO) run ./cli/bench -python $(DETECT_PYTHON) -only detection,masks,detectors,roialign,detecteval
	PYTHON=$(TORCH_PYTHON) $(GO) test -run '^$$' -bench . ./featurize/pixels ./onnx/runtime ./finetune/roialign

# Needs bin/rtx, the library and Python with torch; Go only where bin/rtx is not
# there yet.
gpu-check:
	@[ -x $(RTX) ] || $(MAKE) build
	@$(TORCH_PYTHON) cli/bench/gpu_check.py --rtx $(RTX) $(GPU_CHECK)
