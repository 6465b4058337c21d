package checkpoint_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// backbone are the tensors of cifar_resnet20 without its head, and net those with it.
func backbone(t *testing.T, prefix string) []onnx.Tensor {
	t.Helper()
	return slices.DeleteFunc(weights(t, "cifar_resnet20", 5, prefix), func(x onnx.Tensor) bool { return strings.Contains(x.Name, "linear.") })
}

// zeros are tensors of zeros.
func zeros(name string, dims ...int64) onnx.Tensor {
	n := onnx.Tensor{Dims: dims}.Elements()
	return values(name, dims, make([]float32, n)...)
}

// TestBeside imports networks that lie among other tensors, as training programs
// save them.
func TestBeside(t *testing.T) {
	net := func(prefix string) []onnx.Tensor { return weights(t, "cifar_resnet20", 5, prefix) }
	projector := func(prefix string) []onnx.Tensor { // an MLP in the place of the head
		return []onnx.Tensor{zeros(prefix+"linear.0.weight", 64, 64), zeros(prefix+"linear.0.bias", 64), zeros(prefix+"linear.2.weight", 16, 64), zeros(prefix+"linear.2.bias", 16)}
	}
	one := func(name string) []onnx.Tensor { return []onnx.Tensor{zeros(name, 1)} }
	large := weights(t, "cifar_resnet32", 5, "teacher.")
	for name, c := range map[string]struct {
		tensors []onnx.Tensor
		index   int
		prefix  string // of the network that is taken
		classes int
		others  []string // the other networks
		beside  string   // names of the groups and numbers of tensors
		head    int      // number of tensors of another head
		mean    []float64
	}{
		"criterion":           {tensors: slices.Concat(net(""), one("criterion.weight")), classes: 5, beside: "[{criterion. 1}]"},
		"lightning":           {tensors: slices.Concat(net("model."), one("criterion.weight"), one("acc.total"), one("acc.count")), prefix: "model.", classes: 5, beside: "[{criterion. 1} {acc. 2}]"},
		"average":             {tensors: slices.Concat(one("n_averaged"), net("module.")), prefix: "module.", classes: 5, beside: "[{n_averaged 1}]"},
		"compiled, wrapped":   {tensors: slices.Concat(net("_orig_mod.module."), one("_orig_mod.module.loss.weight")), prefix: "_orig_mod.module.", classes: 5, beside: "[{_orig_mod.module.loss. 1}]"},
		"an unknown wrapper":  {tensors: slices.Concat(net("a.b.c.d.e.f.g."), one("a.b.x")), prefix: "a.b.c.d.e.f.g.", classes: 5, beside: "[{a.b.x 1}]"},
		"headless":            {tensors: backbone(t, "")},
		"headless, wrapped":   {tensors: backbone(t, "module.backbone."), prefix: "module.backbone."},
		"another head":        {tensors: slices.Concat(backbone(t, "encoder."), projector("encoder."), one("predictor.0.weight")), prefix: "encoder.", beside: "[{encoder.linear. 4} {predictor. 1}]", head: 4},
		"a head that goes on": {tensors: slices.Concat(net(""), []onnx.Tensor{zeros("out.weight", 3, 5), zeros("out.bias", 3)}), beside: "[{linear. 2} {out. 2}]", head: 2},
		"MoCo": {tensors: slices.Concat(net("module.encoder_q."), net("module.encoder_k."), []onnx.Tensor{zeros("module.queue", 5, 32)}, one("module.queue_ptr")),
			prefix: "module.encoder_q.", others: []string{"net: module.encoder_k."}, beside: "[{module.encoder_q.linear. 2} {module.encoder_k. 97} {module.queue 1} {module.queue_ptr 1}]", head: 2},
		"MoCo, the other":         {tensors: slices.Concat(net("encoder_q."), backbone(t, "encoder_k.")), index: 1, prefix: "encoder_k.", others: []string{"net: encoder_q."}, beside: "[{encoder_q. 97}]"},
		"keys before queries":     {tensors: slices.Concat(net("encoder_k."), net("encoder_q.")), index: -1, prefix: "encoder_q.", classes: 5, others: []string{"net: encoder_k."}, beside: "[{encoder_k. 97}]"},
		"self-distillation":       {tensors: slices.Concat(backbone(t, "student.backbone."), backbone(t, "teacher.backbone."), one("student.head.weight")), index: -1, prefix: "teacher.backbone.", others: []string{"net: student.backbone."}, beside: "[{student. 96}]"},
		"distillation":            {tensors: slices.Concat(large, net("student.")), index: -1, prefix: "student.", classes: 5, others: []string{"net: teacher."}, beside: "[{teacher. 157}]"},
		"a moving average":        {tensors: slices.Concat(net("ema_model."), net("model.")), index: -1, prefix: "model.", classes: 5, others: []string{"net: ema_model."}, beside: "[{ema_model. 97}]"},
		"online and target":       {tensors: slices.Concat(net("target_net."), net("online_net.")), index: -1, prefix: "online_net.", classes: 5, others: []string{"net: target_net."}, beside: "[{target_net. 97}]"},
		"a normaliser in front":   {tensors: slices.Concat([]onnx.Tensor{values("module.0.mean", []int64{3, 1, 1}, .5, .25, .75), values("module.0.std", []int64{3, 1, 1}, .5, .5, .25)}, net("module.1.model."), one("loss.weight")), prefix: "module.1.model.", classes: 5, beside: "[{loss. 1}]", mean: []float64{.5, .25, .75}},
		"a network in a sequence": {tensors: slices.Concat(net("0."), one("1.weight")), prefix: "0.", classes: 5, beside: "[{1. 1}]"},
	} {
		t.Run(name, func(t *testing.T) {
			index := c.index
			if index == 0 {
				index = -1
			}
			file := zipped(t, "net", c.tensors)
			ckpt, err := checkpoint.Open(file, index)
			if err != nil {
				t.Fatal(err)
			}
			defer ckpt.Close()
			im, err := ckpt.Import(checkpoint.Config{})
			if err != nil {
				t.Fatal(err)
			}
			var others []string
			for i, p := range im.Networks {
				if i != im.Index {
					others = append(others, p.Where)
				}
			}
			beside := im.Beside()
			if c.beside == "" {
				c.beside = "[]"
			}
			if im.Spec.Arch != "cifar_resnet20" || im.Classes != c.classes || !slices.Equal(others, c.others) || fmt.Sprint(beside) != c.beside || len(im.Head) != c.head || !slices.Equal(im.Mean, cmpMean(im, c.mean)) {
				t.Errorf("%s, %d classes, others %q, beside %v, a head of %d, mean %v", im.Spec.Arch, im.Classes, others, beside, len(im.Head), im.Mean)
			}
			if got := len(im.Model.Outputs()); got != map[bool]int{true: 2, false: 1}[c.classes > 0] || im.Model.Width("features") != 64 {
				t.Errorf("%d outputs, %d features", got, im.Model.Width("features"))
			}
			left := 0
			for _, g := range beside {
				left += g.Tensors
			}
			if im.Spec.Source.LeftOut != left {
				t.Errorf("the Spec says %d tensors were left out, want %d", im.Spec.Source.LeftOut, left)
			}
			got, err := checkpoint.Weights(im.Model, false)
			if err != nil {
				t.Fatal(err)
			}
			var want []onnx.Tensor
			for _, x := range c.tensors {
				rest, under := strings.CutPrefix(x.Name, c.prefix)
				if under && (c.classes > 0 || !strings.HasPrefix(rest, "linear.")) && ownTensor(rest) {
					want = append(want, x)
				}
			}
			sameTensors(t, got.Tensors, want)
		})
	}
}

// cmpMean is the mean that is wanted: that of the architecture where none is named.
func cmpMean(im *checkpoint.Imported, mean []float64) []float64 {
	if mean == nil {
		return onnx.ImageNetMean
	}
	return mean
}

// ownTensor tells whether a name is one of cifar_resnet20's.
func ownTensor(name string) bool {
	for _, module := range []string{"conv1.", "bn1.", "layer", "linear."} {
		if strings.HasPrefix(name, module) {
			return true
		}
	}
	return false
}

// sameTensors wants the same names, in order, and bytes.
func sameTensors(t *testing.T, got, want []onnx.Tensor) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tensors, want %d", len(got), len(want))
	}
	for i, w := range want {
		a, err := got[i].Bytes()
		b, err2 := w.Bytes()
		if err != nil || err2 != nil || got[i].Name != w.Name || !bytes.Equal(a, b) {
			t.Errorf("%s is not %s, or has other values (%v, %v)", got[i].Name, w.Name, err, err2)
		}
	}
}

// TestNotBeside refuses networks that are not whole, or more than what is known.
func TestNotBeside(t *testing.T) {
	net := weights(t, "cifar_resnet20", 5, "net.")
	for name, c := range map[string]struct {
		tensors []onnx.Tensor
		want    string
	}{
		"a block more":   {append(slices.Clone(net), zeros("net.layer3.3.conv1.weight", 64, 64, 3, 3), zeros("criterion.weight", 1)), "the nearest is cifar_resnet20: 2 not known: "},
		"a layer less":   {append(slices.Clone(net[3:]), zeros("criterion.weight", 1)), "the nearest is cifar_resnet20: "},
		"a head's half":  {append(slices.Clone(net[:len(net)-1]), zeros("criterion.weight", 1)), "1 missing: linear.bias"},
		"a narrow head":  {append(slices.Clone(net[:len(net)-2]), zeros("net.linear.weight", 5, 10), zeros("net.linear.bias", 5)), "linear.weight float[5 10], expected [5 64]"},
		"a short bias":   {append(slices.Clone(net[:len(net)-1]), zeros("net.linear.bias", 4)), "linear.bias float[4], expected [5]"},
		"something else": {[]onnx.Tensor{zeros("blocks.0.attn.qkv.weight", 30, 10)}, "no known architecture has these tensors"},
	} {
		_, err := checkpoint.Import(flat(t, c.tensors), checkpoint.Config{})
		if m := new(arch.Mismatch); !errors.As(err, &m) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestSeveral chooses by the index among the networks of a state_dict, and says which
// there are where there is no such.
func TestSeveral(t *testing.T) {
	file := zipped(t, "net", slices.Concat(weights(t, "cifar_resnet20", 5, "a."), weights(t, "cifar_resnet32", 7, "b.")))
	for index, want := range []string{"cifar_resnet20", "cifar_resnet32"} {
		ckpt, err := checkpoint.Open(file, index)
		if err != nil {
			t.Fatal(err)
		}
		im, err := ckpt.Import(checkpoint.Config{})
		if err != nil || im.Spec.Arch != want || im.Spec.Source.Network != "net: "+[]string{"a.", "b."}[index] {
			t.Errorf("%d: %v", index, err)
		}
		ckpt.Close()
	}
	if _, err := checkpoint.Open(file, 2); !errors.Is(err, torch.ErrIndex) || !strings.Contains(err.Error(), "it holds net: a., net: b.; choose by its index, 0 to 1") {
		t.Errorf("%v", err)
	}
	im := imported(t, file, checkpoint.Config{Arch: "cifar_resnet32"})
	if im.Classes != 7 {
		t.Errorf("the network of a named architecture has %d classes", im.Classes)
	}
}

// TestQuantizedCheckpoint says of integers what they are.
func TestQuantizedCheckpoint(t *testing.T) {
	net := weights(t, "cifar_resnet20", 5, "")
	net[0].DType = pb.TensorProto_INT8
	net[0].Write = zeros("", net[0].Elements()/4).Write
	for name, file := range map[string]string{"PyTorch's": torchFile("quantized_legacy.pth"), "int8": flat(t, net)} {
		if _, err := checkpoint.Import(file, checkpoint.Config{}); !errors.Is(err, checkpoint.ErrQuantized) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSequence imports a ResNet that was saved as an nn.Sequential of its children,
// with and without the head: tensors are named by index.
func TestSequence(t *testing.T) {
	indices := map[string]string{"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7", "fc": "9"}
	for _, headless := range []bool{false, true} {
		var tensors []onnx.Tensor
		for _, x := range weights(t, "resnet18", 5, "") {
			module, rest, _ := strings.Cut(x.Name, ".")
			if headless && module == "fc" {
				continue
			}
			if x.Name = indices[module] + "." + rest; indices[module] == "" {
				t.Fatalf("%q is of no child", module)
			}
			tensors = append(tensors, x)
		}
		im, err := checkpoint.Import(zipped(t, "net", tensors), checkpoint.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if im.Spec.Arch != "resnet18" || im.Classes != map[bool]int{false: 5, true: 0}[headless] || len(im.Beside()) != 0 {
			t.Errorf("headless %v: %s, %d classes, beside %v", headless, im.Spec.Arch, im.Classes, im.Beside())
		}
		got, err := checkpoint.Weights(im.Model, false)
		if err != nil {
			t.Fatal(err)
		}
		sameTensors(t, got.Tensors, tensors)
		im.Close()
	}
}

// TestQuantizationAware refuses a checkpoint of quantisation-aware training, whose
// fused modules have other names, by that name.
func TestQuantizationAware(t *testing.T) {
	var tensors []onnx.Tensor
	for _, x := range weights(t, "resnet18", 5, "") {
		if rest, is := strings.CutPrefix(x.Name, "bn1."); is {
			x.Name = "conv1.bn." + rest
		}
		tensors = append(tensors, x)
	}
	tensors = append(tensors, zeros("conv1.weight_fake_quant.scale", 1), zeros("conv1.activation_post_process.fake_quant_enabled", 1))
	if _, err := checkpoint.Import(zipped(t, "net", tensors), checkpoint.Config{}); !errors.Is(err, checkpoint.ErrQuantized) {
		t.Errorf("%v, want %v", err, checkpoint.ErrQuantized)
	}
}

// TestHeadNames imports networks whose last linear layer lies in a module under the
// head's name, and wants the names and bytes of the checkpoint back.
func TestHeadNames(t *testing.T) {
	for name, c := range map[string]struct {
		arch, own, saved string // names of the layer
		prefix           string
		classes          int
		beside           []onnx.Tensor
	}{
		"dropout in front":       {arch: "resnet18", own: "fc", saved: "fc.1", classes: 5},
		"as many as features":    {arch: "cifar_resnet20", own: "linear", saved: "linear.0", classes: 64},
		"as many, among others":  {arch: "cifar_resnet20", own: "linear", saved: "linear.0", classes: 64, prefix: "net.", beside: []onnx.Tensor{zeros("loss.weight", 1)}},
		"among others":           {arch: "cifar_resnet20", own: "linear", saved: "linear.drop.out", classes: 5, prefix: "a.b.", beside: []onnx.Tensor{zeros("a.criterion.weight", 1)}},
		"the whole classifier":   {arch: "mobilenet_v2", own: "classifier.1", saved: "classifier", classes: 5, prefix: "module."},
		"another place in it":    {arch: "mobilenet_v2", own: "classifier.1", saved: "classifier.4", classes: 5},
		"a sequence of children": {arch: "resnet18", own: "fc", saved: "9.1", classes: 5},
	} {
		t.Run(name, func(t *testing.T) {
			tensors := weights(t, c.arch, c.classes, c.prefix)
			for i, x := range tensors {
				if rest, ok := strings.CutPrefix(x.Name, c.prefix+c.own+"."); ok {
					tensors[i].Name = c.prefix + c.saved + "." + rest
				} else if module, rest, _ := strings.Cut(x.Name, "."); c.saved[0] == '9' {
					tensors[i].Name = fmt.Sprint(slices.Index([]string{"conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"}, module), ".", rest)
				}
			}
			im := imported(t, zipped(t, "net", slices.Concat(c.beside, tensors)), checkpoint.Config{})
			if im.Spec.Arch != c.arch || im.Classes != c.classes || len(im.Head) != 0 {
				t.Errorf("%s, %d classes, a head of %q is left out", im.Spec.Arch, im.Classes, im.Head)
			}
			got, err := checkpoint.Weights(im.Model, false)
			if err != nil {
				t.Fatal(err)
			}
			sameTensors(t, got.Tensors, tensors)
		})
	}
}

// repickled changes the pickle of a zipped checkpoint.
func repickled(t *testing.T, file string, change func(data []byte) []byte) string {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name, "data.pkl") {
			data = change(data)
		}
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Store})
		if err == nil {
			_, err = e.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "changed.pt", out.Bytes())
}

// pickledText is a string in a pickle.
func pickledText(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }

// withPacked adds to the outermost dict of a checkpoint what a pickle holds of a packed,
// quantised layer.
func withPacked(t *testing.T, file string) string {
	return repickled(t, file, func(data []byte) []byte {
		return append(data[:len(data)-1], pickledText("linear._packed_params._packed_params")+"ctorch._utils\n_rebuild_qtensor\n)Rs."...)
	})
}

// TestOtherStateDicts lists the networks under the other keys of a checkpoint whose
// first key says that it is the network.
func TestOtherStateDicts(t *testing.T) {
	file := repickled(t, zipped(t, "", weights(t, "cifar_resnet20", 5, "")), func(data []byte) []byte { // the same state_dict twice
		return append(data[:len(data)-1], "q\x000}"+pickledText("model")+"h\x00s"+pickledText("model_ema")+"h\x00s."...)
	})
	im := imported(t, file, checkpoint.Config{})
	if len(im.Networks) != 2 || im.Index != 0 || im.Networks[0].Where != "model" || im.Networks[1].Where != "model_ema" || im.Networks[1].Arch != "cifar_resnet20" || im.Spec.Source.Network != "model" || len(im.Beside()) != 0 {
		t.Errorf("%+v, of which %d is taken, %+v, beside %v", im.Networks, im.Index, im.Spec.Source, im.Beside())
	}
	for index, where := range []string{"model", "model_ema"} {
		c, err := checkpoint.Open(file, index)
		if err != nil {
			t.Fatal(err)
		}
		if c.Networks[c.Index].Where != where {
			t.Errorf("%d is %+v", index, c.Networks[c.Index])
		}
		c.Close()
	}
	if im := imported(t, zipped(t, "model", weights(t, "cifar_resnet20", 5, "")), checkpoint.Config{}); len(im.Networks) > 1 || im.Spec.Source.Network != "" {
		t.Errorf("%+v of one network", im.Networks)
	}
}

// TestQuantizedHead refuses a network whose linear layer quantize_dynamic packed, and
// takes one beside such a layer that has its own head.
func TestQuantizedHead(t *testing.T) {
	for classes, tensors := range map[int][]onnx.Tensor{0: backbone(t, ""), 5: weights(t, "cifar_resnet20", 5, "")} {
		im, err := checkpoint.Import(withPacked(t, zipped(t, "", tensors)), checkpoint.Config{})
		if classes == 0 {
			if !errors.Is(err, checkpoint.ErrQuantized) || !strings.Contains(err.Error(), "cifar_resnet20 are there but for its head") {
				t.Errorf("%v, want %v", err, checkpoint.ErrQuantized)
			}
			continue
		}
		if err != nil || im.Classes != classes {
			t.Fatalf("%+v %v", im, err)
		}
		im.Close()
	}
}
