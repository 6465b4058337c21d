package arch_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

func untrained(t *testing.T, name string, classes int, seed uint64, c arch.Config) *onnx.Model {
	t.Helper()
	m, err := arch.Untrained(name, classes, seed, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sample is a writer that keeps the first values of a tensor.
type sample struct {
	bytes.Buffer
	most int // bytes
}

var errEnough = errors.New("enough")

func (s *sample) Write(b []byte) (int, error) {
	s.Buffer.Write(b)
	if s.Len() >= s.most {
		return 0, errEnough
	}
	return len(b), nil
}

// valuesOf returns at most the first 2^15 values of a tensor.
func valuesOf(t *testing.T, x onnx.Tensor) []float64 {
	t.Helper()
	s := sample{most: 4 << 15}
	if err := x.Write(&s); err != nil && !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	b := s.Bytes()
	v := make([]float64, min(x.Elements(), int64(len(b)/4)))
	for i := range v {
		v[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return v
}

// measured is what testdata/init.py measured of a tensor, which it initialised times
// over: its constant value, its largest magnitude or its standard deviation.
type measured struct {
	network, tensor, kind string
	times                 int
	value                 float64
}

func initOf(t *testing.T, name string) (all []measured) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := io.Reader(f)
	if strings.HasSuffix(name, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var of measured
	for s := bufio.NewScanner(text); s.Scan(); {
		switch f := strings.Split(s.Text(), "\t"); len(f) {
		case 2:
			of.network = f[0]
			of.times, err = strconv.Atoi(f[1])
		case 3:
			m := of
			m.tensor, m.kind = f[0], f[1]
			m.value, err = strconv.ParseFloat(f[2], 64)
			all = append(all, m)
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", name, s.Text(), err)
		}
	}
	return all
}

// rounded is the relative error of a number that was rounded to five digits.
const rounded = 5e-5

// compare checks the distribution of values v of a tensor of size elements. A limit
// is five standard deviations of the difference of two samples, or a difference as
// improbable.
func (m measured) compare(v []float64, size int64) error {
	n, theirs := float64(len(v)), float64(size)*float64(m.times)
	var sum, square, fourth, most float64
	for _, x := range v {
		sum, square, fourth, most = sum+x, square+x*x, fourth+x*x*x*x, max(most, math.Abs(x))
	}
	std := math.Sqrt(square / n)
	if m.kind == "constant" {
		if want := float64(float32(m.value)); slices.Min(v) != want || slices.Max(v) != want {
			return fmt.Errorf("%v to %v, want %v", slices.Min(v), slices.Max(v), m.value)
		}
		return nil
	}
	if limit := 5 * std / math.Sqrt(n); math.Abs(sum/n) > limit {
		return fmt.Errorf("mean %v, want 0 within %v", sum/n, limit)
	}
	if m.kind == "normal" {
		if limit := 5*math.Sqrt((1/n+1/theirs)/2) + rounded; math.Abs(std/m.value-1) > limit {
			return fmt.Errorf("standard deviation %v, torch has %v; limit %.3f", std, m.value, limit)
		}
		if kurtosis := n * fourth / (square * square); math.Abs(kurtosis-3) > 5*math.Sqrt(24/n) { // a uniform one has 1.8
			return fmt.Errorf("kurtosis %v, want 3", kurtosis)
		}
		return nil
	}
	// The largest of n values is below 1-15/n of the bound with probability e^-15.
	if most > m.value*(1+15/theirs+rounded) || most < m.value*(1-15/n-rounded) {
		return fmt.Errorf("up to %v, torch has %v", most, m.value)
	}
	if want := m.value / math.Sqrt(3); math.Abs(std/want-1) > 5*math.Sqrt(.2/n)+15/theirs+rounded {
		return fmt.Errorf("standard deviation %v, want %v", std, want)
	}
	return nil
}

// TestUntrained compares the distribution of each tensor of each network with that
// of its PyTorch definition.
func TestUntrained(t *testing.T) {
	networks := map[string]bool{}
	var name string
	var drawn [][]onnx.Tensor // for each seed
	at := 0
	for _, m := range initOf(t, "init.tsv.gz") {
		if m.network != name {
			name, drawn, at, networks[m.network] = m.network, nil, 0, true
			for seed := range m.times {
				net := untrained(t, name, 1000, uint64(seed), arch.Config{})
				drawn = append(drawn, slices.DeleteFunc(net.Tensors(), func(x onnx.Tensor) bool { return x.Name == "mean" || x.Name == "std" }))
			}
		}
		if at >= len(drawn[0]) || drawn[0][at].Name != m.tensor {
			t.Fatalf("%s: tensor %d is not %s", name, at, m.tensor)
		}
		var v []float64
		for seed := range drawn {
			if v = append(v, valuesOf(t, drawn[seed][at])...); len(v) > 1<<15 {
				break
			}
		}
		if err := m.compare(v, drawn[0][at].Elements()); err != nil {
			t.Errorf("%s: %s %v: %v", name, m.tensor, drawn[0][at].Dims, err)
		}
		at++
	}
	if len(networks) != len(arch.Names) {
		t.Errorf("%d of %d networks", len(networks), len(arch.Names))
	}
}

// TestUntrainedClasses checks that the scale of the last layer depends on the number
// of classes where it does in torchvision: up to sqrt(3/classes) in MNASNet.
func TestUntrainedClasses(t *testing.T) {
	for name, m := range map[string]measured{
		"mnasnet1_0": {kind: "uniform", times: 1 << 20, value: math.Sqrt(3. / 10)},
		"resnet18":   {kind: "uniform", times: 1 << 20, value: 1 / math.Sqrt(512)},
	} {
		all := untrained(t, name, 10, 3, arch.Config{}).Tensors()
		if w := all[len(all)-2]; m.compare(valuesOf(t, w), w.Elements()) != nil || w.Dims[0] != 10 {
			t.Errorf("%s: %s %v: %v", name, w.Name, w.Dims, m.compare(valuesOf(t, w), w.Elements()))
		}
	}
}

// TestUntrainedSeed checks that the same seed gives the same bytes, every time that
// they are read, and another seed others; and that the values of a tensor neither
// depend on other tensors nor are correlated with theirs.
func TestUntrainedSeed(t *testing.T) {
	written := func(m *onnx.Model) []byte {
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	const name = "cifar_resnet20"
	m := untrained(t, name, 10, 7, arch.Config{})
	first := written(m)
	if !bytes.Equal(first, written(m)) || !bytes.Equal(first, written(untrained(t, name, 10, 7, arch.Config{}))) {
		t.Error("one seed, two files")
	}
	if m.Metadata(arch.SeedKey) != "7" {
		t.Errorf("the seed is %q", m.Metadata(arch.SeedKey))
	}
	all, other, deeper := m.Tensors(), untrained(t, name, 10, 8, arch.Config{}).Tensors(), map[string]onnx.Tensor{}
	for _, x := range untrained(t, "cifar_resnet32", 20, 7, arch.Config{}).Tensors() {
		deeper[x.Name] = x
	}
	var before []float64
	for i, x := range all {
		v := valuesOf(t, x)
		if slices.Min(v) == slices.Max(v) {
			continue // batch norms
		}
		if bytes.Equal(bytesOf(t, x), bytesOf(t, other[i])) {
			t.Errorf("%s is the same with another seed", x.Name)
		}
		if d := deeper[x.Name]; slices.Equal(d.Dims, x.Dims) && !bytes.Equal(bytesOf(t, x), bytesOf(t, d)) {
			t.Errorf("%s depends on other tensors", x.Name)
		}
		for _, w := range [][]float64{before, valuesOf(t, other[i])} {
			if r := correlation(v, w); math.Abs(r) > 5/math.Sqrt(float64(len(v))) {
				t.Errorf("%s is like another, with correlation %.3f", x.Name, r)
			}
		}
		before = v
	}
	// The values must not change between versions.
	const want = "0.03268 -0.02054 0.03126"
	v := valuesOf(t, untrained(t, "resnet18", 10, 0, arch.Config{}).Tensors()[0])
	if got := fmt.Sprintf("%.4g %.4g %.4g", v[0], v[1], v[2]); got != want {
		t.Errorf("resnet18 of seed 0 begins with %s, want %s", got, want)
	}
}

// correlation is that of two samples with mean 0; 0 if they differ in size.
func correlation(a, b []float64) float64 {
	if len(a) != len(b) {
		return 0
	}
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

// TestUntrainedConfig checks that a Config is obeyed, and that invalid ones are
// refused.
func TestUntrainedConfig(t *testing.T) {
	m := untrained(t, "resnet18", 2, 0, arch.Config{InputSize: [2]int{64, 96}, Labels: []string{"cat", "dog"}})
	s := m.Inspect().Spec
	if bad := m.Validate(); len(bad) > 0 || s.InputSize != [2]int{64, 96} || s.Arch != "resnet18" || s.Normalized || !slices.Equal(s.Mean, onnx.ImageNetMean) || m.Metadata("classes") != `["cat","dog"]` || s.Head.Weight != "fc.weight" {
		t.Errorf("%v %+v", bad, s)
	}
	if name, err := arch.Recognize(m.Tensors()); name != "resnet18" || err != nil {
		t.Errorf("recognised %q, %v", name, err)
	}
	plain, err := arch.Build("resnet8", untrained(t, "resnet8", 10, 0, arch.Config{}).Tensors(), arch.Config{})
	if err != nil || !plain.Inspect().Spec.Normalized {
		t.Errorf("resnet8: %v", err)
	}
	for _, c := range []struct {
		name    string
		classes int
		config  arch.Config
		want    string
	}{
		{"resnet19", 10, arch.Config{}, "unknown architecture"},
		{"resnet18", 0, arch.Config{}, "0 classes, expected 1 to"},
		{"resnet18", 1 << 40, arch.Config{}, "1099511627776 classes, expected 1 to"},
		{"resnet18", 10, arch.Config{Labels: []string{"cat"}}, "1 labels, expected 10"},
		{"vgg16_bn", 10, arch.Config{InputSize: [2]int{32, 32}}, "input size 32x32: vgg16_bn pools"},
	} {
		if _, err := arch.Untrained(c.name, c.classes, 0, c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
