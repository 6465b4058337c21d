package lower_test

import (
	"math/rand/v2"
	gort "runtime"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// TestMemory trains a large variable that had been written before its shape was known. Go's
// heap does not grow by it: the garbage of steps would by as much.
func TestMemory(t *testing.T) {
	const side = 2048 // 16 MB
	m := machine(t, lower.Config{})
	w, x := normal(rand.New(rand.NewPCG(2, 2)), side*side), normal(rand.New(rand.NewPCG(2, 3)), side*side)
	heap := func() int {
		gort.GC()
		var s gort.MemStats
		gort.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	k := &maker{t: t}
	k.update(parameter("w"), k.op(graph.Axpy{A: .5}, k.leaf(graph.State, "w", side, side), k.leaf(graph.Input, "x", side, side)))
	before := heap()
	if err := m.Write(parameter("w"), w); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context(), &k.p, values{"x": x}, nil); err != nil {
		t.Fatal(err)
	}
	if grown := heap() - before; grown > 4*side*side/4 {
		t.Errorf("a variable of %d MB takes %d MB of Go's heap", 4*side*side>>20, grown>>20)
	}
	got := make([]float32, side*side)
	if err := m.Read(parameter("w"), got); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i] != .5*w[i]+x[i] {
			t.Fatalf("element %d is %g, want %g", i, got[i], .5*w[i]+x[i])
		}
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
