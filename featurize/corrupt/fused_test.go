package corrupt

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// withoutC stands in for package turbo, whose C cannot be compiled for another processor.
const withoutC = `package turbo

const CMYK, YCCK = 1, 2

type Decoder struct{}

func New() *Decoder                                               { return nil }
func Version() (string, bool)                                     { return "", false }
func Interface() (string, bool)                                   { return "", false }
func (*Decoder) Close()                                           {}
func (*Decoder) Header([]byte) (int, int, int, error)             { return 0, 0, 0, nil }
func (*Decoder) Decode([]uint8, []byte, int, int, bool) error     { return nil }
`

// TestFused compiles the package for arm64, where a compiler may round a product and a
// sum at once, and looks for instructions that do.
func TestFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles what the package imports for another processor")
	}
	dir := t.TempDir()
	stub, overlay := filepath.Join(dir, "turbo.go"), filepath.Join(dir, "overlay.json")
	place, err := filepath.Abs("../pixels/turbo/withoutc.go")
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{place: stub}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{stub: []byte(withoutC), overlay: replace} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "-gcflags=-S", ".")
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, out)
	}
	if !strings.Contains(string(out), "FMULD") {
		t.Fatal("the listing has no multiplication")
	}
	fused := regexp.MustCompile(`\(([^()]*)\)\s+FN?M(ADD|SUB)[DS]`)
	for _, found := range fused.FindAllStringSubmatch(string(out), -1) {
		t.Errorf("%s: a product and a sum are rounded at once; convert the product to float64", filepath.Base(found[1]))
	}
}
