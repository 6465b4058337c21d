package cli_test

// Every third-party module that rtx is built on, in one binary: they register
// protobuf messages, run init functions and check the Go version at start-up,
// so a version bump of one can break another before any of our code runs.

import (
	"math"
	"testing"

	_ "github.com/disintegration/imaging"
	_ "github.com/goccy/go-yaml"
	_ "github.com/owulveryck/onnx-go"
	_ "github.com/parquet-go/parquet-go"
	_ "github.com/urfave/cli/v2"
	_ "github.com/yalue/onnxruntime_go"
	_ "golang.org/x/image/webp"
	_ "golang.org/x/sys/unix"
	_ "gonum.org/v1/gonum/optimize"
	_ "google.golang.org/protobuf/proto"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestGorgoniaGrad differentiates sum(x*x) and runs it on the tape machine.
func TestGorgoniaGrad(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("x"),
		gorgonia.WithValue(tensor.New(tensor.WithBacking([]float64{1, -2, 3}))))
	loss := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(x))))
	grads, err := gorgonia.Grad(loss, x)
	if err != nil {
		t.Fatal(err)
	}
	var got gorgonia.Value
	gorgonia.Read(grads[0], &got)
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{2, -4, 6} {
		if d := got.Data().([]float64)[i]; math.Abs(d-want) > 1e-12 {
			t.Errorf("d/dx[%d] sum(x*x) = %v, want %v", i, d, want)
		}
	}
}
