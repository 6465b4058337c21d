package finetune_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

func machine(t *testing.T) *lower.Executor {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	m, err := lower.Open(runtime.Options{Library: lib, Device: "cpu"}, lower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A training on onnxruntime gives the results of the tape, and an interrupted one
// ends with the same bytes.
func TestLower(t *testing.T) {
	net := toyNet(t, .3)
	s := store(t)
	d, c := everything(s, nil)
	x, y := machine(t), &spy{}
	trainTask(t, net, x, random, d, c)
	want := saved(t, s)
	c.Store = nil
	trainTask(t, net, y, random, d, c)
	for _, p := range net.Params() {
		if d := distance(values(t, net, x, graph.Parameter, p.Name), values(t, net, y, graph.Parameter, p.Name)); d > 1e-4 {
			t.Errorf("%s differs by %v", p.Name, d)
		}
	}
	if d := distance(values(t, net, x, graph.Average, "s1.var"), values(t, net, y, graph.Average, "s1.var")); d > 1e-4 {
		t.Errorf("averages differ by %v", d)
	}
	for _, at := range []int{1, 3, 5, 9} {
		s := store(t)
		for again := range 2 {
			ctx, cancel := context.WithCancel(context.Background())
			d, c := everything(s, nil)
			c.Report = func(e finetune.Event) error {
				if again == 0 && e.Kind == finetune.Stepped && e.Step == at {
					cancel()
				}
				return nil
			}
			if _, err := finetune.Train(ctx, net, machine(t), random, d, c); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
		if !bytes.Equal(saved(t, s), want) {
			t.Errorf("interrupted after step %d: another state", at)
		}
	}
}
