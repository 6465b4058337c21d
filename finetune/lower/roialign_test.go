package lower_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// align is a program of RoIAlign and its gradient by each level, for k boxes of images
// of 64x96 in 2 images.
func align(t *testing.T, o graph.RoIAlign, c, k int) *graph.Program {
	m := &maker{t: t}
	var levels []int
	for i, stride := range o.Strides {
		levels = append(levels, m.leaf(graph.Input, fmt.Sprint("level", i), 2, c, 64/stride, 96/stride))
	}
	rois := []int{m.leaf(graph.Input, "boxes", k, 4), m.leaf(graph.Input, "images", k), m.leaf(graph.Input, "bounds", len(o.Strides)+1)}
	m.output("y", m.op(o, slices.Concat(levels, rois)...))
	dy := m.leaf(graph.Input, "dy", k, c, o.Size, o.Size)
	for i, level := range levels {
		g := graph.RoIAlignGradient{RoIAlign: o, Level: i, Shape: m.p.Nodes[level].Shape}
		m.output(fmt.Sprint("gradient", i), m.op(g, append([]int{dy}, rois...)...))
	}
	return &m.p
}

// alignInputs are inputs of align: boxes of which some lie outside of the image, and
// bounds at random, so that levels have other numbers of boxes each time, or none.
func alignInputs(r *rand.Rand, o graph.RoIAlign, c, k int) values {
	in := values{"dy": normal(r, k*c*o.Size*o.Size), "bounds": {0}}
	for i, stride := range o.Strides {
		in[fmt.Sprint("level", i)] = normal(r, 2*c*64/stride*96/stride)
		in["bounds"] = append(in["bounds"], float32(r.IntN(k+1)))
	}
	in["bounds"][len(o.Strides)] = float32(k)
	slices.Sort(in["bounds"])
	for range k {
		x, y := 120*r.Float32()-12, 90*r.Float32()-13
		in["boxes"] = append(in["boxes"], x, y, x+60*r.Float32()*r.Float32(), y+50*r.Float32()*r.Float32())
		in["images"] = append(in["images"], float32(r.IntN(2)))
	}
	return in
}

// TestRoIAlign compares RoIAlign and its gradients with the Go kernels, for boxes that
// differ from run to run of a session.
func TestRoIAlign(t *testing.T) {
	for _, o := range []graph.RoIAlign{
		{Strides: []int{4, 8, 16, 32}, Size: 7, Sampling: 2},
		{Strides: []int{4, 8, 16, 32}, Size: 7, Sampling: 0, Aligned: true},
		{Strides: []int{8, 32}, Size: 2, Sampling: 0},
		{Strides: []int{16}, Size: 14, Sampling: 2, Aligned: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			const c, k = 3, 23
			p, m := align(t, o, c, k), machine(t, lower.Config{})
			r := rand.New(rand.NewPCG(16, 1))
			for range 6 {
				same(t, m, p, states{}, alignInputs(r, o, c, k), 1e-5)
			}
		})
	}
}

// TestRoIAlignThreads runs the gradient of so many boxes that they are summed in several
// parts, on 1 to 3 threads: the bits are the same, and those of the Go kernels to within
// rounding.
func TestRoIAlignThreads(t *testing.T) {
	const c, k = 128, 200
	o := graph.RoIAlign{Strides: []int{2, 8}, Size: 14, Sampling: 2}
	in := alignInputs(rand.New(rand.NewPCG(16, 2)), o, c, k)
	machine(t, lower.Config{}) // skips the test if there is no library
	lib, err := runtime.Find("")
	if err != nil {
		t.Fatal(err)
	}
	p := align(t, o, c, k)
	want := evaluate(p, states{}, in)
	var first values
	for threads := 1; threads <= 3; threads++ {
		m, err := lower.Open(runtime.Options{Library: lib, Device: "cpu", Threads: threads}, lower.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := values{}
			for name, v := range want {
				got[name] = make([]float32, len(v))
			}
			if err := m.Run(t.Context(), p, in, got); err != nil {
				t.Fatal(err)
			}
			for name, v := range got {
				if d := apart(v, want[name]); d > 1e-5 {
					t.Errorf("%d threads: %s is %.1e from the Go kernel's", threads, name, d)
				}
				if first != nil && !slices.Equal(v, first[name]) {
					t.Errorf("%d threads: %s has other bits than before", threads, name)
				}
			}
			if first == nil {
				first = got
			}
		}
		m.Close()
	}
}
