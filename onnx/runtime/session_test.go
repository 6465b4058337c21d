package runtime_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// open makes a session of a bundled backbone or of a network of the test data.
func open(t testing.TB, file string) *runtime.Session {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", file)
	}
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.ForImages(spec, onnx.ImageConfig{Pool: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func backbone() string { return filepath.Join("..", "..", "assets", "backbones", "resnet8_std.onnx") }

func shared(name string) string {
	if d := os.Getenv("RTX_SHARED_DATA"); d != "" {
		return filepath.Join(d, name)
	}
	return filepath.Join("..", "..", "..", "shared", "data", name)
}

// TestPlace runs an image in every place of a batch, beside other images each
// time, and wants the same bits: what reusing rows rests on.
func TestPlace(t *testing.T) {
	const n = 32
	for _, c := range []struct {
		file string
		side int
	}{{backbone(), 32}, {shared("nets/resnet20_op13_bn.onnx"), 32}, {shared("nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx"), 224}} {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			s := open(t, c.file)
			dims, err := s.Dims(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			d, size := dims[0][1], c.side*c.side*3
			r := rand.New(rand.NewPCG(1, 1))
			image := make([]uint8, size)
			fill(r, image)
			src, dst := make([]uint8, n*size), make([]float32, n*d)
			var want []float32
			places := []int{0, 1, 2, 3, 7, 15, 16, 30, 31}
			if c.side > 64 {
				places = []int{0, 13, 31}
			}
			for _, at := range places {
				fill(r, src)
				copy(src[at*size:], image)
				if err := s.Run(t.Context(), n, src, dst); err != nil {
					t.Fatal(err)
				}
				row := dst[at*d : (at+1)*d]
				if want == nil {
					want = slices.Clone(row)
				}
				if !slices.Equal(row, want) {
					t.Errorf("place %d gives other bits", at)
				}
			}
		})
	}
}

func fill(r *rand.Rand, b []uint8) {
	for i := range b {
		b[i] = uint8(r.Uint32())
	}
}

func TestRunRefuses(t *testing.T) {
	s := open(t, backbone())
	src, dst := make([]uint8, 2*32*32*3), make([]float32, 2*96)
	if err := s.Run(t.Context(), 2, src, dst); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"expected 9216":  s.Run(t.Context(), 3, src, dst),
		"expected 192":   s.Run(t.Context(), 2, src, dst[:5]),
		"2 destinations": s.Run(t.Context(), 2, src, dst, dst),
		"0 destinations": s.Run(t.Context(), 2, src),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if err := s.Run(ctx, 2, src, dst); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	s.Close()
	if err := s.Run(t.Context(), 2, src, dst); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestInstallRefuses(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	other := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(other, []byte("another library"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.Install(t.Context(), runtime.InstallConfig{From: other}); !errors.Is(err, runtime.ErrUnavailable) || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("another library: %v", err)
	}
	if _, err := runtime.Install(t.Context(), runtime.InstallConfig{CUDA: true, From: other}); !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("another library as that for CUDA: %v", err)
	}
	if _, err := runtime.Install(t.Context(), runtime.InstallConfig{From: other + ".whl"}); err == nil {
		t.Error("a missing file was installed")
	}
	dir, err := runtime.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := runtime.Install(t.Context(), runtime.InstallConfig{}); !errors.Is(err, runtime.ErrNoClient) {
		t.Errorf("without a client: %v", err)
	}
}

func BenchmarkRun(b *testing.B) {
	const n = 32
	s := open(b, backbone())
	src, dst := make([]uint8, n*32*32*3), make([]float32, n*96)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(b.Context(), n, src, dst); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
