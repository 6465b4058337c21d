package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOrder calls what goes through a map often: what is told must not depend on the
// order of its keys, which changes.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "z.png"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		n := &network{env: &env{stderr: io.Discard}}
		n.tellDecoder(map[string]int{"c": 1, "a": 2, "d": 3, "b": 4})
		if want := []string{"2 images: a", "4 images: b", "1 images: c", "3 images: d"}; !slices.Equal(n.warnings, want) {
			t.Fatalf("warnings %q, want %q", n.warnings, want)
		}
		wanted := map[string]bool{"c.png": true, "a.png": true, "d.png": true, "b.png": true}
		if _, err := thumbnails(context.Background(), dir, "", wanted); err == nil || !strings.Contains(err.Error(), `"a.png"`) {
			t.Fatalf("thumbnails: %v, want that a.png is missing", err)
		}
		var said bytes.Buffer
		Main([]string{"export", "x.onnx", "-o", "y.onnx", "--precision", "fp8", "--names", "mine"}, io.Discard, &said)
		if !strings.Contains(said.String(), "--precision") {
			t.Fatalf("export: %s", said.String())
		}
	}
}
