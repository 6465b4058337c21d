package cli_test

import (
	"image"
	"image/color"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// greyNetwork writes the backbone without its normalisation, and the same as a network of
// one channel: the weights of its first convolution are summed over the channels.
// change is done to the second, whose channels the file may leave open.
func greyNetwork(t *testing.T, change func(*pb.GraphProto)) (rgb, grey string) {
	t.Helper()
	m, err := onnx.Load(backbone)
	if err == nil {
		m, err = m.WithoutNormalization()
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rgb, grey = filepath.Join(dir, "rgb.onnx"), filepath.Join(dir, "grey.onnx")
	if err := m.Save(rgb); err != nil {
		t.Fatal(err)
	}
	g := m.Proto.Graph
	first := g.Node[slices.IndexFunc(g.Node, func(n *pb.NodeProto) bool { return n.OpType == "Conv" })]
	weights, err := m.Floats(first.Input[1])
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(g.Initializer, func(t *pb.TensorProto) bool { return t.Name == first.Input[1] })
	dims := slices.Clone(g.Initializer[at].Dims)
	k := int(dims[2] * dims[3])
	sums := make([]float64, int(dims[0])*k)
	for i, w := range weights {
		sums[i/(3*k)*k+i%k] += float64(w)
	}
	dims[1] = 1
	g.Initializer[at] = onnx.NewFloats(first.Input[1], dims, sums...)
	g.Input = values(value("images", "N", 1, 32, 32))
	m.Proto.MetadataProps = slices.DeleteFunc(m.Proto.MetadataProps, func(e *pb.StringStringEntryProto) bool { return e.Key == onnx.SpecKey })
	change(g)
	if err := m.Save(grey); err != nil {
		t.Fatal(err)
	}
	return rgb, grey
}

// twoKinds draws the same shapes in colours and in their shades of grey, which are as
// Pillow's convert("L") makes them.
func twoKinds(t *testing.T, n, size int) (colours, greys string) {
	t.Helper()
	colours, greys = t.TempDir(), t.TempDir()
	for i := range n {
		k := i % 3
		m := shapes.Draw(k, uint64(i), shapes.Config{Size: size})
		g := image.NewGray(m.Bounds())
		for y := range size {
			for x := range size {
				c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
				g.SetGray(x, y, color.Gray{uint8((uint32(c.R)*19595 + uint32(c.G)*38470 + uint32(c.B)*7471 + 1<<15) >> 16)})
			}
		}
		name := filepath.Join(shapes.Names[k], string(rune('a'+i/26))+string(rune('a'+i%26))+".png")
		writePNG(t, filepath.Join(colours, name), m)
		writePNG(t, filepath.Join(greys, name), g)
	}
	return colours, greys
}

// TestGreyNetwork gives a network of one channel images in colours: it computes what one
// of three channels with the same weights does of their shades of grey, which are made
// before images are resized.
func TestGreyNetwork(t *testing.T) {
	needLibrary(t)
	colours, greys := twoKinds(t, 40, 48)
	for name, change := range map[string]func(*pb.GraphProto){
		"one channel":      func(*pb.GraphProto) {},
		"an open number":   func(g *pb.GraphProto) { g.Input = values(value("images", "N", "num_channels", 32, 32)) },
		"NHWC":             func(g *pb.GraphProto) { nhwc(g); g.Input = values(value("images", "N", 32, 32, 1)) },
		"NHWC, all open":   func(g *pb.GraphProto) { nhwc(g); g.Input = values(value("images", "N", "H", "W", "C")) },
		"with mean, std":   greyNormalised,
		"another input is": func(g *pb.GraphProto) { g.Input = append(values(value("other", "N", 5)), g.Input...) },
	} {
		t.Run(name, func(t *testing.T) {
			rgb, grey := greyNetwork(t, change)
			flags := []string{}
			if strings.Contains(name, "all open") {
				flags = []string{"--input-size", "32"}
			}
			want, _ := outputs(t, rgb, greys)
			got, stderr := outputs(t, grey, colours, flags...)
			near(t, got, want)
			if !strings.Contains(stderr, "grey") || !strings.Contains(stderr, "has no Spec") {
				t.Errorf("%q", stderr)
			}
		})
	}
}

// greyNormalised puts a normalisation by one mean and std in front, and takes it
// back.
func greyNormalised(g *pb.GraphProto) {
	chain := []*pb.NodeProto{op("Sub", "c", "images", "mean"), op("Div", "n", "c", "std"), op("Mul", "m", "n", "std"), op("Add", "same", "m", "mean")}
	for _, n := range g.Node {
		for i, v := range n.Input {
			if v == "images" {
				n.Input[i] = "same"
			}
		}
	}
	g.Node, g.Initializer = append(chain, g.Node...), append(g.Initializer, single("mean", .1307), single("std", .3081))
}

// TestGreyVerbs adopts a network of one channel with a mean and std of its own, and
// uses it wherever a network can be.
func TestGreyVerbs(t *testing.T) {
	needLibrary(t)
	colours, _ := twoKinds(t, 60, 32)
	_, grey := greyNetwork(t, func(*pb.GraphProto) {})
	dir := t.TempDir()
	model := made(t, grey, "--normalize", "0.1307/0.3081")
	for file, want := range map[string]string{
		model: "grey in [0 1], normalised inside the network",
		made(t, grey, "--normalize", "0.1307/0.3081", "--no-normalize"): "grey in [0 1], mean [0.1307], std [0.3081]",
	} {
		if o := call("inspect", file); o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("no %q: %+v", want, o)
		}
	}
	if o := call("import", grey, "-o", filepath.Join(dir, "x.onnx"), "--normalize", "imagenet"); o.code != 2 || !strings.Contains(o.stderr, "mean has 3 values, expected 1") {
		t.Errorf("a mean of three channels: %+v", o)
	}
	if o := call("import", grey, "-o", filepath.Join(dir, "x.onnx"), "--channels", "rgb"); o.code != 2 || !strings.Contains(o.stderr, "has 1") {
		t.Errorf("RGB for one channel: %+v", o)
	}
	set, probe := filepath.Join(dir, "set"), filepath.Join(dir, "probe")
	for _, args := range [][]string{
		{"featurize", "-m", model, "-d", colours, "-o", set},
		{"probe", "-d", set, "-o", probe, "--solver", "ridge", "--attach", model},
		{"eval", "-m", filepath.Join(probe, "classifier.onnx"), "-d", colours},
		{"compare", model, backbone, "-d", colours, "-o", filepath.Join(dir, "compare"), "--seeds", "1", "--solver", "ridge"},
		{"eval", "-m", filepath.Join(dir, "compare", "best.onnx"), "-d", colours},
		{"finetune", "-m", model, "-d", colours, "-o", filepath.Join(dir, "run"), "--epochs", "1"},
		{"eval", "-m", filepath.Join(dir, "run", "weights", "best.onnx"), "-d", colours},
		{"adapt", "-m", model, "-d", colours, "-o", filepath.Join(dir, "adapted.onnx")},
		{"export", model, "-o", filepath.Join(dir, "exported.onnx"), "--embed-preprocess"},
		{"predict", "-m", filepath.Join(dir, "exported.onnx"), "-d", colours},
	} {
		if o := call(args...); o.code != 0 {
			t.Errorf("%v: %+v", args, o)
		}
	}
	a, _ := outputs(t, filepath.Join(dir, "exported.onnx"), colours)
	b, _ := outputs(t, model, colours)
	near(t, a, b)
}
