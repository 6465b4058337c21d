package cli_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/robust-transfer/rtx/"

// doors says which packages may import a third-party module.
var doors = map[string][]string{
	"github.com/yalue/onnxruntime_go":   {"onnx/runtime"},
	"github.com/disintegration/imaging": {"featurize/pixels"},
	"golang.org/x/image":                {"featurize/pixels", "cli/report", "detect/draw"}, // decoders; fonts and polygons
	"google.golang.org/protobuf":        {"onnx", "onnx/pb", "onnx/verify"},
	"github.com/urfave/cli/v2":          {"cli", "cli/help"},
	"github.com/goccy/go-yaml":          {"cli", "detect/data"},
	"golang.org/x/sys":                  {"cli", "cli/catalogue", "featurize/output"},
	"golang.org/x/text":                 {"featurize", "onnx"}, // Unicode forms, code pages
	"github.com/owulveryck/onnx-go":     {"onnx/verify"},
	"gorgonia.org/gorgonia":             {"finetune/graph", "finetune/tape"},
	"gorgonia.org/tensor":               {"finetune/graph", "finetune/tape", "onnx/verify"}, // onnx-go hands them out
	"github.com/chewxy/hm":              {"finetune/graph"},                                 // the types of gorgonia's ops
	"gonum.org/v1/gonum":                {"finetune/graph", "finetune/probe", "finetune/roialign", "onnx/verify"},
	"github.com/parquet-go/parquet-go":  {"featurize"},
	"github.com/klauspost/compress":     {"featurize", "featurize/pixels"},
}

// order is the direction of imports: a package may import those of its own
// folder and of folders to its right.
var order = []string{"cli", "detect", "finetune", "featurize", "onnx"}

// never lists imports that the order alone would allow.
var never = map[string][]string{
	"detect/box":           {"*"},
	"detect/mask":          {"*"},
	"detect/voc":           {"*"},
	"detect/coco":          {"detect", "detect/data", "detect/draw", "detect/voc", "featurize", "featurize/pixels", "finetune", "onnx"},
	"featurize":            {"onnx/runtime"},
	"finetune/attack":      {"finetune"},
	"finetune/cueconflict": {"*"},
	"finetune/probe":       {"finetune"},
	"finetune/metrics":     {"*"},
	"finetune/roialign":    {"*"},
	"finetune/stratify":    {"*"},
	"finetune/graph":       {"finetune"},
	"onnx":                 {"onnx/runtime", "onnx/torch", "onnx/arch", "onnx/verify", "onnx/checkpoint"},
	"onnx/checkpoint":      {"assets", "onnx/runtime"},
	"assets":               {"*"},
	"onnx/pb":              {"*"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestHouse(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if msg := forbidden(name, imported); msg != "" {
				t.Errorf("%s imports %s: %s", name, imported, msg)
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d packages were listed", seen)
	}
}

// forbidden says why a package may not import another, "" when it may.
func forbidden(name, imported string) string {
	if ours, ok := strings.CutPrefix(imported, module); ok {
		for _, n := range never[name] {
			if n == "*" || n == ours {
				return "never"
			}
		}
		from, to := place(name), place(ours)
		if from > to && ours != "assets" && !strings.HasPrefix(ours, "assets/") {
			return "imports go " + strings.Join(order, " -> ")
		}
		return ""
	}
	if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return "" // the standard library, or C
	}
	for mod, may := range doors {
		if imported == mod || strings.HasPrefix(imported, mod+"/") {
			for _, m := range may {
				if m == name {
					return ""
				}
			}
			return "its door is " + strings.Join(may, ", ")
		}
	}
	return "it has no door: name one in doors"
}

func place(name string) int {
	top, _, _ := strings.Cut(name, "/")
	for i, o := range order {
		if o == top {
			return i
		}
	}
	return len(order)
}

func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		name, imported string
		allowed        bool
	}{
		{"cli", module + "featurize", true},
		{"featurize", module + "onnx", true},
		{"onnx", module + "featurize", false},
		{"featurize", module + "onnx/runtime", false},
		{"assets", module + "onnx", false},
		{"featurize", "github.com/disintegration/imaging", false},
		{"featurize/pixels", "github.com/disintegration/imaging", true},
		{"onnx", "example.com/new", false},
		{"onnx", "encoding/json", true},
	} {
		if got := forbidden(c.name, c.imported) == ""; got != c.allowed {
			t.Errorf("%s -> %s: allowed %v, want %v", c.name, c.imported, got, c.allowed)
		}
	}
}
