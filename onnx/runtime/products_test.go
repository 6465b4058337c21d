package runtime_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/onnx/runtime"
)

func products(t testing.TB) *runtime.Products {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	p, err := runtime.NewProducts(runtime.Options{Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func normal(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestProducts wants the sums of float64 within the rounding of float32.
func TestProducts(t *testing.T) {
	p := products(t)
	for _, c := range []struct{ n, k, d int }{{1, 1, 1}, {7, 3, 5}, {300, 10, 65}, {1, 4, 129}, {64, 1, 33}} {
		t.Run(fmt.Sprint(c.n, c.k, c.d), func(t *testing.T) {
			x, w, r := normal(1, c.n*c.d), normal(2, c.k*c.d), normal(3, c.n*c.k)
			forward, backward := make([]float32, c.n*c.k), make([]float32, c.k*c.d)
			if err := p.Forward(forward, x, w, c.d); err != nil {
				t.Fatal(err)
			}
			if err := p.Backward(backward, r, x, c.d); err != nil {
				t.Fatal(err)
			}
			for i := range c.n {
				for k := range c.k {
					want := 0.0
					for j := range c.d {
						want += float64(x[i*c.d+j]) * float64(w[k*c.d+j])
					}
					if got := forward[i*c.k+k]; math.Abs(float64(got)-want) > 1e-6*float64(c.d) {
						t.Fatalf("forward %d %d: %v, want %v", i, k, got, want)
					}
				}
			}
			for k := range c.k {
				for j := range c.d {
					want := 0.0
					for i := range c.n {
						want += float64(r[i*c.k+k]) * float64(x[i*c.d+j])
					}
					if got := backward[k*c.d+j]; math.Abs(float64(got)-want) > 1e-6*float64(c.n) {
						t.Fatalf("backward %d %d: %v, want %v", k, j, got, want)
					}
				}
			}
		})
	}
	if err := p.Forward(make([]float32, 3), make([]float32, 4), make([]float32, 2), 2); err == nil {
		t.Error("matrices that do not fit were multiplied")
	}
	p.Close()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Forward(make([]float32, 2), make([]float32, 4), make([]float32, 2), 2); err == nil {
		t.Error("a closed session multiplied")
	}
}

func BenchmarkProducts(b *testing.B) {
	const d = 2048
	for _, k := range []int{10, 100} {
		for _, rows := range []int{256, 1024, 4096, 16384} {
			p := products(b)
			x, w, r := normal(1, 16384*d), normal(2, k*d), normal(3, rows*k)
			forward, backward := make([]float32, rows*k), make([]float32, k*d)
			flops := 2 * float64(len(x)) * float64(k)
			b.Run(fmt.Sprintf("forward/%d/%d", k, rows), func(b *testing.B) {
				for b.Loop() {
					for at := 0; at < len(x); at += rows * d {
						p.Forward(forward, x[at:at+rows*d], w, d)
					}
				}
				b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
			})
			b.Run(fmt.Sprintf("backward/%d/%d", k, rows), func(b *testing.B) {
				for b.Loop() {
					for at := 0; at < len(x); at += rows * d {
						p.Backward(backward, r, x[at:at+rows*d], d)
					}
				}
				b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
			})
		}
	}
}
