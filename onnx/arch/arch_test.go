package arch_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestNew checks each network against torchvision's count of parameters; with
// the statistics of its batch norms, which are no parameters there.
func TestNew(t *testing.T) {
	for name, want := range map[string]int64{"resnet18": 11_689_512 + 9_600, "resnet50": 25_557_032 + 53_120, "wide_resnet50_4": 0} {
		m, err := arch.New(name, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if bad := m.Validate(); len(bad) > 0 {
			t.Errorf("%s: %v", name, bad)
		}
		info := m.Inspect()
		if want > 0 && info.Parameters != want {
			t.Errorf("%s has %d parameters, want %d", name, info.Parameters, want)
		}
		if s := info.Spec; info.Feature != "features" || s.Arch != name || len(s.Stages) != 4 || len(info.Assumed) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if _, err := arch.New("resnet19", 10); err == nil {
		t.Error("an unknown architecture was built")
	}
}

// TestRule compares tensors with those of testdata/rule.py.
func TestRule(t *testing.T) {
	m, err := arch.New("resnet18", 1000)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "resnet18.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "golden.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(golden)), "\n") {
		c := strings.Split(line, "\t")
		raw, err := saved.Raw(c[1])
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != c[2] {
			t.Errorf("%s differs from rule.py", c[1])
		}
	}
	if len(data) < 46_000_000 {
		t.Errorf("the file has %d bytes", len(data))
	}
}
