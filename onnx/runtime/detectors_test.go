package runtime_test

import (
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// byRule are numbers in [-2,2) by the rule of testdata/rule.py.
func byRule(name string, dims ...int) onnx.Array {
	h := fnv.New64a()
	h.Write([]byte(name))
	a := onnx.Array{Dims: dims}
	a.Floats = make([]float32, a.Len())
	for i := range a.Floats {
		z := h.Sum64() + (uint64(i)+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		a.Floats[i] = float32(-2 + 4*(float64(z>>40)/(1<<24)))
	}
	return a
}

// detectorGoldens are the rows of detectoroutputs.tsv by network.
func detectorGoldens(t *testing.T) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "arch", "testdata", "detectoroutputs.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][][]string{}
	for line := range strings.Lines(string(text)) {
		if c := strings.Split(strings.TrimSpace(line), "\t"); len(c) > 1 {
			rows[c[0]] = append(rows[c[0]], c[1:])
		}
	}
	return rows
}

// TestDetectors compares every output of small detectors of each kind with that of
// torchvision's modules in float64: at most 1e-5 of the largest away.
func TestDetectors(t *testing.T) {
	lib, rows := library(t), detectorGoldens(t)
	if len(rows) != 8 {
		t.Fatalf("%d networks", len(rows))
	}
	inputs := map[string]onnx.Array{
		"images": byRule("images", 2, 3, 96, 160), "box/features": byRule("box/features", 3, 32, 7, 7), "mask/features": byRule("mask/features", 2, 32, 14, 14),
	}
	for name, want := range rows {
		t.Run(name, func(t *testing.T) {
			m, err := arch.Synthetic(name, 4)
			if err != nil {
				t.Fatal(err)
			}
			g, err := runtime.OpenGraph(m, runtime.Options{Library: lib, Device: "cpu"})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			var in []onnx.Array
			for _, v := range g.Inputs() {
				in = append(in, inputs[v])
			}
			out, err := g.Run(t.Context(), in...)
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != len(want) {
				t.Fatalf("%d outputs, torchvision's modules have %d", len(out), len(want))
			}
			for i, row := range want {
				compareOutput(t, g.Outputs()[i], out[i], row)
			}
		})
	}
}

// compareOutput compares a value with its name, dims, largest absolute value and eight
// of its elements.
func compareOutput(t *testing.T, name string, got onnx.Array, want []string) {
	t.Helper()
	var dims []string
	for _, d := range got.Dims {
		dims = append(dims, strconv.Itoa(d))
	}
	if name != want[0] || strings.Join(dims, " ") != want[1] {
		t.Errorf("%s %v, expected %s [%s]", name, dims, want[0], want[1])
		return
	}
	largest := 0.0
	for _, v := range got.Floats {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, text := range want[2:] {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		x := largest
		if i > 0 {
			x = float64(got.Floats[(i-1)*got.Len()/8])
		}
		if !(math.Abs(x-v) <= 1e-5*largest) {
			t.Errorf("%s: number %d is %v, expected %v", name, i, x, v)
		}
	}
}
