package runtime_test

import (
	"errors"
	"path/filepath"
	gort "runtime"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx/runtime"
)

// TestNoProvider wants the lack of the library's own part for CUDA to be told apart
// from other reasons, and an error that names the file.
func TestNoProvider(t *testing.T) {
	if gort.GOOS != "linux" {
		t.Skip("onnxruntime has CUDA on Linux only")
	}
	lib := runtime.Library{Path: filepath.Join(t.TempDir(), "libonnxruntime.so")}
	var lacking *runtime.NoProviderError
	if err := lib.CUDA(); !errors.As(err, &lacking) || lacking.Library != lib.Path || !strings.Contains(err.Error(), lib.Path) {
		t.Errorf("%v", err)
	}
	lib = library(t)
	if _, _, err := runtime.Choose(runtime.Options{Library: lib, Device: "cuda"}); lib.CUDA() != nil && !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("a GPU that cannot be used was chosen: %v", err)
	}
	if device, why, err := runtime.Choose(runtime.Options{Library: lib}); err != nil || (device == "cpu") != (why != "") {
		t.Errorf("%q, %q, %v", device, why, err)
	}
}
