package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// outcomesOf reads outcomes.csv, by the names of its columns.
func outcomesOf(t *testing.T, out string) (rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(readFile(t, out, "outcomes.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// TestEvalAttack evaluates a backbone under attack at two radii, by both engines, which
// find the same of each image; the figures are those of the outcomes.
func TestEvalAttack(t *testing.T) {
	needLibrary(t)
	data, want := dealt(t, 18)
	robust := map[string]string{} // by threat and path
	for _, engine := range []string{"ort", "tape"} {
		out := filepath.Join(t.TempDir(), "out")
		args := []string{"-m", backbone, "-d", data, "-o", out, "--attack", "l2:0.05,0.2", "--steps", "3", "--engine", engine, "-b", "6"}
		r, got := evaluate(t, args...)
		attacks := r["attacks"].([]any)
		if !got.near(want) || len(attacks) != 2 {
			t.Fatalf("%s: %+v, want %+v; %v", engine, got, want, attacks)
		}
		outcomes := outcomesOf(t, out)
		before := want.top1
		for i, eps := range []float64{.05, .2} {
			a := attacks[i].(map[string]any)
			top1, spread := a["robust_top1"].(float64), a["spread"].(map[string]any)
			if a["threat"] != fmt.Sprint("l2:", eps) || a["method"] != "pgd" || at(a, "settings", "steps") != 3.0 || at(a, "settings", "step_size") != 2.5*eps/3 || math.Abs(a["clean_top1"].(float64)-want.top1) > 1e-9 {
				t.Errorf("%s: %v", engine, a)
			}
			if top1 > before || !(spread["low"].(float64) <= top1 && top1 <= spread["high"].(float64)) {
				t.Errorf("%s: robust accuracy %v, %v before, spread %v", engine, top1, before, spread)
			}
			before = top1
			n, clean, resist := 0, 0, 0
			for _, c := range a["per_class"].([]any) {
				n, clean, resist = n+int(at(c, "n").(float64)), clean+int(at(c, "clean").(float64)), resist+int(at(c, "robust").(float64))
			}
			left := 0
			for _, o := range outcomes[18*i:][:18] {
				if d, err := strconv.ParseFloat(o["distance"], 64); err != nil || d > eps {
					t.Errorf("%s: distance %s", engine, o["distance"])
				}
				if o["robust"] == "true" {
					left++
				}
				if right := o["predicted"] == o["class"]; right != (o["robust"] == "true") {
					t.Errorf("%s: %v", engine, o)
				}
				key := o["threat"] + o["path"]
				if engine == "tape" && robust[key] != o["robust"] {
					t.Errorf("%s: robust %s by ort, %s by tape", key, robust[key], o["robust"])
				}
				robust[key] = o["robust"]
			}
			if n != 18 || clean != int(math.Round(18*want.top1)) || resist != left || math.Abs(top1-float64(left)/18) > 1e-9 || at(a, "by", "pgd") != float64(clean-left) {
				t.Errorf("%s: %d images, %d right, %d of them under attack, %d by the outcomes: %v", engine, n, clean, resist, left, a)
			}
		}
		if before == want.top1 {
			t.Error("the attack does nothing")
		}
		if text := string(readFile(t, out, "robust.csv")); strings.Count(text, "\n") != 3 || !strings.Contains(text, "l2:0.2,l2,0.2,pgd,3,1,18,") {
			t.Errorf("%s", text)
		}
		if names, _ := drawing(t, filepath.Join(out, "robust.svg")); len(names) == 0 {
			t.Error("robust.svg is empty")
		}
		again, _ := evaluate(t, args...)
		if again["status"] != "cached" || fmt.Sprint(again["attacks"]) != fmt.Sprint(r["attacks"]) {
			t.Errorf("again: %v", again)
		}
		if o := call(append([]string{"eval"}, args...)...); !strings.Contains(o.stdout, "l2:0.2    pgd, 3 steps of 0.1667") {
			t.Errorf("%s", o.stdout)
		}
	}
}

// TestEvalAttackImages has the network of the attack see images as a session does.
func TestEvalAttackImages(t *testing.T) {
	needLibrary(t)
	data, _ := dealt(t, 20)
	_, grey := greyNetwork(t, func(*pb.GraphProto) {})
	m, err := onnx.Load(swapped(t, false))
	if err != nil {
		t.Fatal(err)
	}
	bgr := filepath.Join(t.TempDir(), "bgr.onnx")
	names, _ := json.Marshal(cifar)
	if err := m.WithMetadata(onnx.ClassesKey, string(names)).Save(bgr); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"bgr":     {"-m", bgr, "--channels", "bgr"},
		"resized": {"-m", backbone, "--resize", "44"},
		"grey":    {"-m", grey, "--normalize", "0.5/0.25"},
		"softmax": {"-m", variant(t, softmaxed)},
	} {
		args = append(args, "-d", data)
		o := call(append([]string{"eval", "--json"}, args...)...)
		p := call(append([]string{"eval", "--json", "--attack", "linf:1/255", "--steps", "1"}, args...)...)
		if o.code != 0 || p.code != 0 {
			t.Errorf("%s: %+v %+v", name, o, p)
			continue
		}
		plain, attacked := object(t, o.stdout), object(t, p.stdout)
		if d := plain["ece"].(float64) - attacked["ece"].(float64); plain["top1"] != attacked["top1"] || plain["top5"] != attacked["top5"] || math.Abs(d) > 1e-5 {
			t.Errorf("%s: top-1 %v and %v, top-5 %v and %v, ECE %v and %v", name, plain["top1"], attacked["top1"], plain["top5"], attacked["top5"], plain["ece"], attacked["ece"])
		}
	}
}

// TestEvalAttackKilled ends an evaluation under attack with SIGKILL; the same command
// goes on, without onnxruntime, and writes what an undisturbed one does.
func TestEvalAttackKilled(t *testing.T) {
	data := t.TempDir()
	for i := range 24 {
		writePNG(t, filepath.Join(data, cifar[i%4], fmt.Sprintf("%d.png", i)), shapes.Draw(i%10, uint64(i), shapes.Config{Size: 40}))
	}
	writePNG(t, filepath.Join(data, "cat", "zz.png"), shapes.Draw(0, 0, shapes.Config{Size: 40}))
	os.WriteFile(filepath.Join(data, "cat", "broken.png"), []byte("x"), 0o666)
	out, whole := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "whole")
	args := func(out string) []string {
		return []string{"eval", "-m", backbone, "-d", data, "-o", out, "--attack", "l2:0.25,1,linf:2/255", "--restarts", "2", "--steps", "5", "--attack-check", "--engine", "tape", "-b", "4", "--onnxruntime", "nowhere"}
	}
	cmd := command(t, args(out)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, filepath.Join(out, ".rtx", "attacked.jsonl"), 30)
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	if _, err := os.Stat(filepath.Join(out, "eval.json")); err == nil {
		t.Fatal("it was not interrupted")
	}
	if o := rtx(t, args(out)...); o.code != 0 || !strings.Contains(o.stderr, "going on after ") || !strings.Contains(o.stderr, "1 skipped") {
		t.Fatalf("%+v", o)
	}
	if o := rtx(t, args(whole)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for _, name := range []string{"outcomes.csv", "robust.csv", "robust.svg", "per_class.csv", "confusion.csv"} {
		if a, b := readFile(t, out, name), readFile(t, whole, name); !bytes.Equal(a, b) {
			t.Errorf("%s differs: %s\n%s", name, a, b)
		}
	}
	var a, b map[string]any
	if err := json.Unmarshal(readFile(t, out, "eval.json"), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(readFile(t, whole, "eval.json"), &b); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(a["attacks"]) != fmt.Sprint(b["attacks"]) || len(a["attacks"].([]any)) != 3 || at(a["attacks"].([]any)[1], "check", "n") != 25.0 {
		t.Errorf("%v\n%v", a["attacks"], b["attacks"])
	}
	if _, err := os.Stat(filepath.Join(out, ".rtx", "attacked.jsonl")); err == nil {
		t.Error("the state of the attacks is still there")
	}
}

// TestEvalAttackMethods: what resists the ensemble resists its first member.
func TestEvalAttackMethods(t *testing.T) {
	needLibrary(t)
	data, want := dealt(t, 12)
	top1 := map[string]float64{}
	for _, method := range []string{"pgd", "apgd", "square", "auto"} {
		args := []string{"-m", backbone, "-d", data, "--attack", "l2:0.1", "--attack-method", method, "-b", "6"}
		if method != "square" {
			args = append(args, "--steps", "5")
		}
		r, _ := evaluate(t, args...)
		a := r["attacks"].([]any)[0].(map[string]any)
		top1[method] = a["robust_top1"].(float64)
		if a["method"] != method || at(a, "settings", "method") != method || top1[method] > want.top1 {
			t.Errorf("%v", a)
		}
	}
	if top1["auto"] > top1["pgd"] || top1["pgd"] == want.top1 {
		t.Errorf("robust accuracies %v, %v without an attack", top1, want.top1)
	}
}

// headed changes the weights and the biases of the backbone's last layer.
func headed(change func([]float32)) func(*onnx.Model) *onnx.Model {
	return func(m *onnx.Model) *onnx.Model {
		g := m.Proto.Graph
		head := g.Node[slices.IndexFunc(g.Node, func(n *pb.NodeProto) bool { return n.OpType == "Gemm" })]
		c, err := m.WithFloats(head.Input[1:], func(name string, dst []float32) error {
			old, err := m.Floats(name)
			copy(dst, old)
			change(dst)
			return err
		})
		if err != nil {
			panic(err)
		}
		return c
	}
}

// TestEvalAttackSays is what eval says where attacks cannot be, or say little.
func TestEvalAttackSays(t *testing.T) {
	data := t.TempDir()
	for i := range 4 {
		writePNG(t, filepath.Join(data, cifar[i%2], fmt.Sprintf("%d.png", i)), shapes.Draw(i, uint64(i), shapes.Config{Size: 40}))
	}
	two := t.TempDir()
	for i := range 4 {
		writePNG(t, filepath.Join(two, fmt.Sprint(i%2), fmt.Sprintf("%d.png", i)), shapes.Draw(i, uint64(i), shapes.Config{Size: 40}))
	}
	constant := variant(t, headed(func(w []float32) {
		clear(w)
		if len(w) == 10 {
			w[0] = 1
		}
	}))
	nan := variant(t, headed(func(w []float32) { w[0] = float32(math.NaN()) }))
	steep := variant(t, headed(func(w []float32) {
		for i := range w {
			w[i] *= 1e30
		}
	}))
	floors := variant(t, func(m *onnx.Model) *onnx.Model {
		g := m.Proto.Graph
		at := slices.IndexFunc(g.Node, func(n *pb.NodeProto) bool { return n.OpType == "Gemm" })
		g.Node = slices.Insert(g.Node, at, onnx.NewNode("Floor", "whole", g.Node[at].Input[:1]))
		g.Node[at+1].Input[0] = "whole"
		return m
	})
	for name, c := range map[string]struct {
		model, data, attack string
		more                string
		code                int
		want                string
	}{
		"no radius":           {backbone, data, "l2", "", 2, `"l2" is no norm and radius`},
		"no norm":             {backbone, data, "0.5", "", 2, "is no norm and radius"},
		"pixels of 255":       {backbone, data, "linf:4", "", 2, "did you mean linf:4/255"},
		"twice":               {backbone, data, "l2:1,1", "", 2, "expected different radii above 0"},
		"nothing":             {backbone, data, "l2:0", "", 2, "expected different radii above 0"},
		"another method":      {backbone, data, "l2:1", "--attack-method fgsm", 2, `method "fgsm"`},
		"negative":            {backbone, data, "l2:1", "--steps -1", 2, "expected no negative number"},
		"another engine":      {backbone, data, "l2:1", "--engine cuda", 2, "--engine is"},
		"half":                {backbone, data, "l2:1", "--precision fp16", 2, "--precision is fp16"},
		"corruptions":         {backbone, data, "l2:1", "--corrupt fog", 2, "--attack and --corrupt are given"},
		"steps of square":     {backbone, data, "l2:1", "--attack-method square --steps 5", 2, "go with gradients"},
		"steps alone":         {backbone, data, "", "--steps 3", 2, "--steps goes with --attack"},
		"detections":          {"", data, "l2:1", "--predictions p.json", 2, "--attack needs a model"},
		"a stream":            {backbone, packed(t, data)["tar.gz"], "l2:1", "", 2, "can be read only once"},
		"argmax":              {classifierPath("argmax"), two, "l2:1", "", 65, "ArgMax"},
		"quantised":           {classifierPath("int8_operators_conv"), two, "l2:1", "--normalize none", 65, "probabilities and no logits"},
		"floors":              {floors, data, "l2:1", "", 65, "Floor"},
		"one logit":           {classifierPath("logit_one"), two, "l2:1", "--normalize none", 65, "a logit for each of two or more classes"},
		"shares":              {classifierPath("shares"), two, "l2:1", "--normalize none", 65, "cannot be attacked: onnx: expected an output called logits"},
		"logits not a number": {nan, data, "l2:1", "", 65, "NaN"},
		"constant":            {constant, data, "l2:1", "--attack-check", 0, "gradients are 0 everywhere"},
		"vast radius":         {constant, data, "l2:1", "--attack-check", 0, "even within l2:28, where every image can become grey, 50.00 % of the first 4 images resist, which is a sign of masked gradients"},
		"saturated":           {steep, data, "l2:1", "", 0, "gradients are 0 everywhere"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"eval", "-m", c.model, "-d", c.data, "-b", "4", "--engine", "tape", "--attack", c.attack}
			if c.attack == "" {
				args = args[:7]
			}
			if c.model == "" {
				args = slices.Delete(args, 1, 3)
			}
			o := call(append(args, strings.Fields(c.more)...)...)
			if o.code != c.code || !strings.Contains(o.stderr, c.want) || strings.Contains(o.stderr, "panic") {
				t.Errorf("want exit %d and %q: %+v", c.code, c.want, o)
			}
		})
	}
	detector := withDetector(t, spotter{})
	if o := call("eval", "-m", detector, "-d", data, "--attack", "l2:1"); o.code != 2 || !strings.Contains(o.stderr, "not for detectors yet") {
		t.Errorf("%+v", o)
	}
}
