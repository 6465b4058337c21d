package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
)

// conflicting draws n images and names them by what the backbone takes them for, of the
// classes that are among the 16: every third after its shape, every third after its
// texture, and the rest after neither. It returns how many of each there are.
func conflicting(t *testing.T, n int) (dir string, shape, texture int) {
	t.Helper()
	dir = t.TempDir()
	for i := range n {
		writePNG(t, filepath.Join(dir, fmt.Sprintf("%03d.png", i)), shapes.Draw(i%10, uint64(i), shapes.Config{Size: 40}))
	}
	var r struct {
		Predictions []struct {
			Path string
			Top  []struct {
				Label       string
				Probability float64
			}
		}
	}
	o := call("predict", "-m", backbone, "-d", dir, "--top-k", "10", "--json")
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || len(r.Predictions) != n {
		t.Fatalf("%v %+v", err, o)
	}
	known := []string{"airplane", "bird", "cat", "dog", "truck"}
	for i, p := range r.Predictions {
		best := -1
		for _, x := range p.Top { // the most probable first
			for j, class := range known {
				if best < 0 && x.Label == class {
					best = j
				}
			}
		}
		a, b := known[(best+1)%5], known[(best+2)%5]
		switch i % 3 {
		case 0:
			a = known[best]
			shape++
		case 1:
			b = known[best]
			texture++
		}
		if err := os.Rename(filepath.Join(dir, p.Path), filepath.Join(dir, fmt.Sprintf("%s%d-%s%d.png", a, i, b, i))); err != nil {
			t.Fatal(err)
		}
	}
	return dir, shape, texture
}

// TestEvalGroups counts decisions by shape and by texture, of the classes that the model
// knows by name, and keeps them.
func TestEvalGroups(t *testing.T) {
	const n = 20
	dir, shape, texture := conflicting(t, n)
	for _, name := range []string{"cat1-cat2.png", "cat1-oven2.png", "picture.png", "dog1-truck9.png"} {
		img := shapes.Draw(1, 1, shapes.Config{Size: 40})
		writePNG(t, filepath.Join(dir, name), img)
	}
	if err := os.WriteFile(filepath.Join(dir, "dog1-truck9.png"), []byte("\x89PNG\r\n\x1a\nno"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"eval", "-m", backbone, "-d", dir, "--groups", "-o", out}
	o := call(append(args, "--json")...)
	r := object(t, o.stdout)
	g, _ := r["groups"].(map[string]any)
	if o.code != 0 || g["mapping"] != "name" || g["n"] != float64(n) || g["agree"] != 1.0 || g["skipped"] != 1.0 ||
		g["shape_accuracy"] != float64(shape)/n || g["texture_accuracy"] != float64(texture)/n || g["shape_bias"] != float64(shape)/float64(shape+texture) {
		t.Errorf("%d by shape and %d by texture: %+v", shape, texture, o)
	}
	if w := fmt.Sprint(r["warnings"]); !strings.Contains(w, "does not know oven") || !strings.Contains(w, "1 images, whose names") {
		t.Errorf("warnings %s", w)
	}
	if csv := string(readFile(t, out, "groups.csv")); !strings.Contains(csv, fmt.Sprintf("all,%d,", n)) {
		t.Errorf("groups.csv: %s", csv)
	}
	if o := call(args...); o.code != 0 || !strings.Contains(o.stderr, "nothing to do") || !strings.Contains(o.stdout, "shape_bias") {
		t.Errorf("again: %+v", o)
	}
	if o := call("eval", "-m", backbone, "-d", dir, "--groups", "--corrupt", "fog"); o.code != 2 || !strings.Contains(o.stderr, "--corrupt is given with --groups") {
		t.Errorf("with --corrupt: %+v", o)
	}
	plain, _ := dealt(t, 4)
	if o := call("eval", "-m", backbone, "-d", plain, "--groups"); o.code != 65 || !strings.Contains(o.stderr, "cat1-elephant3.png") {
		t.Errorf("other names: %+v", o)
	}
	strange := variant(t, func(m *onnx.Model) *onnx.Model {
		return named("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")(nameless(m))
	})
	if o := call("eval", "-m", strange, "-d", dir, "--groups"); o.code != 65 || !strings.Contains(o.stderr, "fewer than two of the 16 classes") {
		t.Errorf("other classes: %+v", o)
	}
}
