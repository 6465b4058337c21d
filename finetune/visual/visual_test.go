package visual_test

import (
	"context"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/finetune/visual"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

const (
	side = 8
	size = 3 * side * side
)

// tiny is an untrained ResNet for images of 8x8, read for a value, and
// an executor with its weights.
func tiny(t *testing.T, value func(onnx.Spec) string) (*graph.Network, *tape.Executor[float32]) {
	t.Helper()
	m, err := arch.Untrained("resnet8", 4, 1, arch.Config{InputSize: [2]int{side, side}})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	x := &tape.Executor[float32]{}
	t.Cleanup(func() { x.Close() })
	return load(t, m, value(spec), x), x
}

// load reads a network, for its logits if there is no value, and loads its weights.
func load(t *testing.T, m *onnx.Model, value string, x finetune.Executor) *graph.Network {
	t.Helper()
	var values []string
	if value != "" {
		values = append(values, value)
	}
	net, err := graph.Read(m, values...)
	if err != nil {
		t.Fatal(err)
	}
	if err := finetune.Load(net, x); err != nil {
		t.Fatal(err)
	}
	return net
}

func logits(onnx.Spec) string { return "" }

func lastStage(s onnx.Spec) string { return s.Stages[len(s.Stages)-1].Value }

// The gradients are central differences of the cross-entropy, image by image, and
// classes below 0 are the predicted ones.
func TestGradients(t *testing.T) {
	net, x := tiny(t, logits)
	images := visual.GreyNoise(2, size, 5)
	_, predicted, err := visual.Gradients(t.Context(), net, x, images, []int{-1, 3})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := visual.Gradients(t.Context(), net, x, images, []int{-1, 3})
	if err != nil {
		t.Fatal(err)
	}
	program, err := net.Program(graph.Config{Batch: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(i, class int) float64 {
		out := make([]float32, 2*4)
		if err := x.Run(t.Context(), program, map[string][]float32{graph.Images: images}, map[string][]float32{graph.Logits: out}); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range out[4*i:][:4] {
			sum += math.Exp(float64(v))
		}
		return math.Log(sum) - float64(out[4*i+class])
	}
	// The derivative along the gradient itself is its length.
	for i, class := range []int{predicted[0], 3} {
		g := got[i*size:][:size]
		length, old := norm(g), slices.Clone(images)
		const h = .0004
		along := func(far float64) float64 {
			for j, v := range g {
				images[i*size+j] = old[i*size+j] + float32(far/length*float64(v))
			}
			l := loss(i, class)
			copy(images, old)
			return l
		}
		if slope := (along(h) - along(-h)) / (2 * h); !(math.Abs(slope-length) < .01*length) {
			t.Errorf("image %d: the slope along the gradient is %v, and its length %v", i, slope, length)
		}
		if length == 0 {
			t.Errorf("image %d has no gradient", i)
		}
	}
}

func norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// An image is recovered as far as its features tell, and does not depend on the others
// of its batch; one that is recovered already stays as it is.
func TestInvert(t *testing.T) {
	net, x := tiny(t, lastStage)
	wanted, start := visual.GreyNoise(3, size, 1), visual.GreyNoise(3, size, 2)
	for i := range wanted { // of full contrast
		wanted[i] = 10 * (wanted[i] - .45)
	}
	copy(start[2*size:], wanted[2*size:])
	var distances []float64
	invert := func(batch int, wanted, start []float32) []visual.Inversion {
		v, err := visual.NewInverter(net, x, visual.Config{Batch: batch, Steps: 60, Rate: .03, Progress: func(done int, d []float64) {
			if done == 1 {
				distances = slices.Clone(d)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		all, err := v.Invert(t.Context(), wanted, start)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := invert(3, wanted, start)
	for i, one := range all[:2] {
		if !(one.Distance < .5*distances[i]) {
			t.Errorf("image %d: the features are %v away at first, and %v in the end", i, distances[i], one.Distance)
		}
		for _, v := range one.Image {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("image %d has a pixel %v", i, v)
			}
		}
	}
	if same := all[2]; same.Distance != 0 || same.RMSE != 0 || !slices.Equal(same.Image, wanted[2*size:]) {
		t.Errorf("the wanted image itself became one of distance %v, RMSE %v", same.Distance, same.RMSE)
	}
	alone := invert(2, wanted[size:2*size], start[size:2*size])[0]
	if !slices.Equal(alone.Image, all[1].Image) || alone.Distance != all[1].Distance {
		t.Errorf("alone the distance is %v, beside others %v", alone.Distance, all[1].Distance)
	}
}

// What cannot be done is an error.
func TestErrors(t *testing.T) {
	net, x := tiny(t, lastStage)
	scores, y := tiny(t, logits)
	v, err := visual.NewInverter(net, x, visual.Config{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, noBatch := visual.NewInverter(net, x, visual.Config{})
	_, uneven := v.Invert(t.Context(), make([]float32, size), make([]float32, size-1))
	_, _, noLogits := visual.Gradients(t.Context(), net, x, make([]float32, size), []int{0})
	_, _, few := visual.Gradients(t.Context(), scores, y, make([]float32, size-1), []int{0})
	_, _, class := visual.Gradients(t.Context(), scores, y, make([]float32, size), []int{4})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, cancelled := v.Invert(stopped, visual.GreyNoise(1, size, 1), visual.GreyNoise(1, size, 2))
	for want, err := range map[string]error{
		"batches of 0 images":               noBatch,
		"191 of their starts":               uneven,
		"expected logits [N,K]":             noLogits,
		"191 values of images":              few,
		"is of class 4, expected one below": class,
		"context canceled":                  cancelled,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Images recovered from the features of the adversarially trained backbone are much
// nearer to the wanted ones than those from the standard one's: their RMSE is at most
// .75 of its, on ten generated shapes, after 100 steps.
func TestRobustFeaturesHoldImages(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	library, err := runtime.Find("")
	if err != nil {
		t.Skip(err)
	}
	rmse := map[string]float64{}
	for _, name := range []string{"resnet8_std", "resnet8_l2_eps0.25"} {
		data, err := assets.Backbones.ReadFile("backbones/" + name + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		spec, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		x, err := lower.Open(runtime.Options{Library: library, Device: "cpu", Threads: 1}, lower.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		wanted := drawn(t, spec)
		v, err := visual.NewInverter(load(t, m, lastStage(spec), x), x, visual.Config{Batch: 10, Steps: 100})
		if err != nil {
			t.Fatal(err)
		}
		all, err := v.Invert(t.Context(), wanted, visual.GreyNoise(10, len(wanted)/10, 0))
		if err != nil {
			t.Fatal(err)
		}
		far := 0.0
		for _, one := range all {
			rmse[name] += one.RMSE / 10
			far += one.Distance / 10
		}
		t.Logf("%s: RMSE %.3f, features %.3f apart", name, rmse[name], far)
	}
	if !(rmse["resnet8_l2_eps0.25"] <= .75*rmse["resnet8_std"]) {
		t.Errorf("RMSE %v", rmse)
	}
}

// drawn are the ten shapes as a network takes them.
func drawn(t *testing.T, spec onnx.Spec) []float32 {
	t.Helper()
	var out []float32
	transform := featurize.TransformOf(spec)
	var resampler pixels.Resampler
	for class := range shapes.Names {
		img := toPixels(shapes.Draw(class, 1, shapes.Config{}))
		w, h := transform.Geometry.Width, transform.Geometry.Height
		rgb := make([]uint8, w*h*3)
		if err := resampler.Apply(rgb, img, transform.Geometry); err != nil {
			t.Fatal(err)
		}
		for c := range 3 {
			for i := range w * h {
				out = append(out, float32(rgb[3*i+c])/255)
			}
		}
	}
	return out
}

func toPixels(m *image.NRGBA) *pixels.Image {
	img := &pixels.Image{Width: m.Rect.Dx(), Height: m.Rect.Dy()}
	for i := 0; i < len(m.Pix); i += 4 {
		img.Pix = append(img.Pix, m.Pix[i:i+3]...)
	}
	return img
}

func ExampleInverter() {
	file := filepath.Join("..", "..", "assets", "backbones", "resnet8_l2_eps0.25.onnx")
	m, err := onnx.Load(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	stages, err := m.Stages()
	if err != nil {
		fmt.Println(err)
		return
	}
	net, err := graph.Read(m, stages[len(stages)-1].Value)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := &tape.Executor[float32]{} // or one of finetune/lower
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		fmt.Println(err)
		return
	}
	v, err := visual.NewInverter(net, x, visual.Config{Batch: 1, Steps: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	wanted := make([]float32, 3*32*32) // a white cross on black
	for i := range wanted {
		if y, x := i/32%32, i%32; y/4 == 4 || x/4 == 4 {
			wanted[i] = 1
		}
	}
	recovered, err := v.Invert(context.Background(), wanted, visual.GreyNoise(1, len(wanted), 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(recovered), "image of", len(recovered[0].Image), "values, nearer than grey:", recovered[0].RMSE < .5)
	// Output: 1 image of 3072 values, nearer than grey: true
}
