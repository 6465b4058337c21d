package attack_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

var (
	_ finetune.Executor = (*lower.Executor)(nil)
	_ attack.Executor   = finetune.Executor(nil)
)

// machine is an executor on onnxruntime.
func machine(t testing.TB) *lower.Executor {
	t.Helper()
	library, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	x, err := lower.Open(runtime.Options{Library: library, Device: "cpu"}, lower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// shared is a file of the test data that does not ship.
func shared(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	file := filepath.Join(root, name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("test data %s is not there (RTX_SHARED_DATA names its folder)", name)
	}
	return file
}

// network reads an ONNX file or a checkpoint.
func network(t testing.TB, file string) *graph.Network {
	t.Helper()
	var m *onnx.Model
	var err error
	if path.Ext(file) == ".onnx" {
		m, err = onnx.Load(file)
	} else {
		var im *checkpoint.Imported
		if im, err = checkpoint.Import(file, checkpoint.Config{}); err == nil {
			t.Cleanup(func() { im.Close() })
			m = im.Model
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// attacker attacks a network on onnxruntime.
func attacker(t testing.TB, net *graph.Network, batch int) *attack.Attacker {
	t.Helper()
	return attackerOn(t, machine(t), net, batch)
}

var cifarNames = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// cifar are the 5,000 JPEG test images of CIFAR-10, the first of each class, then the
// second, and so on, so that any number of rows from the start is balanced.
var cifar = sync.OnceValues(func() ([]attack.Row, error) {
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(root, "images", "cifar10-jpeg.tar"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	decoder := pixels.NewDecoder(pixels.DecodeConfig{})
	defer decoder.Close()
	type named struct {
		name string
		attack.Row
	}
	var rows []named
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		dir, name := path.Split(h.Name)
		label := slices.Index(cifarNames, path.Base(dir))
		if !strings.Contains(dir, "/test/") || label < 0 {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		var m pixels.Image
		if _, err := decoder.Decode(&m, data); err != nil {
			return nil, err
		}
		if m.Width != 32 || m.Height != 32 {
			return nil, fmt.Errorf("%s has %dx%d pixels", h.Name, m.Width, m.Height)
		}
		rows = append(rows, named{name, attack.Row{Image: planes(m.Pix), Label: label}})
	}
	slices.SortFunc(rows, func(a, b named) int {
		return strings.Compare(a.name+fmt.Sprint(a.Label), b.name+fmt.Sprint(b.Label))
	})
	out := make([]attack.Row, len(rows))
	for i, r := range rows {
		out[i] = r.Row
		out[i].ID = i
	}
	return out, nil
})

// planes turns pixels [H,W,3] into values [3,H,W] in [0,1].
func planes(p []uint8) []float32 {
	out := make([]float32, len(p))
	for i, v := range p {
		out[i%3*(len(p)/3)+i/3] = float32(v) / 255
	}
	return out
}

// images are the first n rows of cifar.
func images(t testing.TB, n int) []attack.Row {
	t.Helper()
	shared(t, "images/cifar10-jpeg.tar")
	rows, err := cifar()
	if err != nil {
		t.Fatal(err)
	}
	return rows[:n]
}

func sequence(rows []attack.Row) iter.Seq2[attack.Row, error] {
	return func(yield func(attack.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// outcomes attacks rows, and returns the outcomes in their order.
func outcomes(t testing.TB, a *attack.Attacker, rows []attack.Row, c attack.Config) []attack.Outcome {
	t.Helper()
	at := map[int]int{}
	for i, r := range rows {
		at[r.ID] = i
	}
	out, count := make([]attack.Outcome, len(rows)), 0
	for o, err := range a.Attack(t.Context(), sequence(rows), c) {
		if err != nil {
			t.Fatal(err)
		}
		out[at[o.Row]] = o
		count++
	}
	if count != len(rows) {
		t.Fatalf("%d outcomes of %d rows", count, len(rows))
	}
	return out
}

// accuracies are the shares of rows that are right without and under attack.
func accuracies(all []attack.Outcome) (clean, robust float64) {
	for _, o := range all {
		if o.Clean {
			clean++
		}
		if o.Robust {
			robust++
		}
	}
	return clean / float64(len(all)), robust / float64(len(all))
}
