package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
)

// shapeClasses are those of learnable and shapesSet.
var shapeClasses = []int{0, 1}

// shapesSet draws a data set with boxes and masks of two classes.
func shapesSet(t *testing.T, train, val int) string { return shapesTall(t, train, val, 64) }

// shapesTall is shapesSet with images of 64 x height pixels.
func shapesTall(t *testing.T, train, val, height int) string {
	t.Helper()
	dir := t.TempDir()
	if err := shapes.WriteCOCO(dir, shapes.COCO{Train: train, Val: val, Objects: 2, Scene: shapes.SceneConfig{Width: 64, Height: height, Classes: shapeClasses}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// learnable saves a deployed detector of few parameters for the classes of shapesSet, or
// others.
func learnable(t *testing.T, name string, classes ...string) string {
	t.Helper()
	if classes == nil {
		for _, c := range shapeClasses {
			classes = append(classes, shapes.Names[c])
		}
	}
	outputs := len(classes)
	if name != "retinanet_tiny_fpn" {
		outputs++
	}
	return madeDetector(t, name, outputs, func(m *onnx.Model, spec onnx.Spec) (*onnx.Model, error) {
		spec.Detect.Images.MinSize, spec.Detect.Images.MaxSize = 64, 64
		spec.Detect.Classes = nil
		for i, c := range classes {
			spec.Detect.Classes = append(spec.Detect.Classes, onnx.DetectClass{ID: int64(i + 1), Name: c})
		}
		m, err := m.WithSpec(spec)
		if err != nil {
			return m, err
		}
		return detect.Deploy(m, detect.DeployConfig{})
	})
}

// training runs rtx detect and returns its object.
func training(t *testing.T, args ...string) map[string]any {
	t.Helper()
	o := call(append([]string{"detect", "--json"}, args...)...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%q: %+v", args, o)
	}
	return object(t, o.stdout)
}

// TestDetectTrain trains each kind of detector, and uses what it writes.
func TestDetectTrain(t *testing.T) {
	needLibrary(t)
	for kind, data := range map[string]string{
		"fasterrcnn": shapesTall(t, 4, 2, 32), // half of a canvas is padding
		"maskrcnn":   shapesSet(t, 4, 2), "retinanet": shapesTall(t, 4, 2, 32),
	} {
		t.Run(kind, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			args := []string{"-m", learnable(t, kind+"_tiny_fpn"), "-d", data, "-o", run, "--epochs", "1", "-b", "2"}
			r := training(t, args...)
			box := checkResult(t, r, kind, run)
			for _, name := range []string{"args.yaml", "run.json", "metrics.jsonl", "results.csv", "weights/last.onnx", "curves.svg", "labels.jpg", "val/predictions.json", "val/epoch-001.jpg", "pr.svg", "report.html", "use.py", "images.jsonl"} {
				if _, err := os.Stat(filepath.Join(run, name)); err != nil {
					t.Error(err)
				}
			}
			for _, again := range [][]string{args, {"--resume", run}, {"--config", filepath.Join(run, "args.yaml")}} {
				if r := training(t, again...); r["status"] != "cached" || fmt.Sprint(r["best"].(map[string]any)["val"]) != fmt.Sprint(r["seeds"].([]any)[0].(map[string]any)["val"]) {
					t.Errorf("%q: %v", again, r)
				}
			}
			if o := call(append([]string{"detect", "--lr", "0.5"}, args...)...); o.code != 2 || !strings.Contains(o.stderr, "lr") {
				t.Errorf("another learning rate: %+v", o)
			}
			sameFigures(t, run, data, box)
		})
	}
}

// checkResult looks at the object of a training, and returns the figures of boxes.
func checkResult(t *testing.T, r map[string]any, kind, run string) map[string]any {
	t.Helper()
	best := r["best"].(map[string]any)
	val, _ := best["val"].(map[string]any)
	if r["schema"] != "rtx.detect/1" || r["status"] != "done" || r["kind"] != kind || r["protocol"] != "val" || r["weights"] != filepath.Join(run, "weights", "best.onnx") || best["epoch"] != 1.0 {
		t.Errorf("%v", r)
	}
	box, _ := val["bbox"].(map[string]any)
	mask, masks := val["segm"].(map[string]any)
	if box == nil || val["n"] != 2.0 || masks != (kind == "maskrcnn") || masks && mask["ap50"] == nil || fmt.Sprint(box["ap"]) != fmt.Sprint(r["ap"]) {
		t.Errorf("validation %v, ap %v", val, r["ap"])
	}
	for _, name := range []string{"ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l", "ar100"} {
		if _, there := box[name]; !there {
			t.Errorf("no %s in %v", name, box)
		}
	}
	return box
}

// sameFigures wants eval to find the same average precision of the weights as training
// did, and of the predictions in the run.
func sameFigures(t *testing.T, run, data string, want map[string]any) {
	t.Helper()
	for _, args := range [][]string{{"-m", run}, {"--predictions", filepath.Join(run, "val", "predictions.json")}} {
		o := call(append([]string{"eval", "-d", data, "--json"}, args...)...)
		if o.code != 0 {
			t.Fatalf("eval %q: %+v", args, o)
		}
		got := object(t, o.stdout)["bbox"].(map[string]any)
		for _, name := range []string{"ap", "ap50", "ar100"} {
			a, _ := got[name].(float64)
			b, _ := want[name].(float64)
			if math.Abs(a-b) > 1e-3 {
				t.Errorf("eval %q: %s is %v, in training it was %v", args, name, a, b)
			}
		}
	}
}

// TestDetectTrainKeepsMasks learns boxes alone with a detector that has masks, whose mask
// head stays what it was.
func TestDetectTrainKeepsMasks(t *testing.T) {
	needLibrary(t)
	from, run := learnable(t, "maskrcnn_tiny_fpn"), filepath.Join(t.TempDir(), "run")
	training(t, "-m", from, "-d", shapesSet(t, 2, 1), "-o", run, "--epochs", "1", "-b", "2", "--masks", "off")
	before, err := onnx.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	after, err := onnx.Load(filepath.Join(run, "weights", "best.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	same := map[bool]int{}
	for _, x := range before.Tensors() {
		if !strings.HasSuffix(x.Name, ".weight") || !strings.HasPrefix(x.Name, "roi_heads.") {
			continue
		}
		was, err := before.Floats(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		is, err := after.Floats(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		masks := strings.HasPrefix(x.Name, "roi_heads.mask_")
		same[masks]++
		if slices.Equal(was, is) != masks {
			t.Errorf("%s is the same: %v", x.Name, !masks)
		}
	}
	if same[true] < 5 || same[false] < 4 {
		t.Errorf("compared %v", same)
	}
}

// TestDetectTrainBackbone puts new heads on a backbone, which is trained on boxes alone;
// on what was trained a second training keeps the heads.
func TestDetectTrainBackbone(t *testing.T) {
	needLibrary(t)
	data, run := shapesSet(t, 2, 1), filepath.Join(t.TempDir(), "run")
	r := training(t, "-m", small(t, 2), "-d", data, "-o", run, "--epochs", "1", "-b", "2", "--size", "64", "--masks", "off", "--val-fraction", "0", "--no-flip")
	if r["kind"] != "fasterrcnn" {
		t.Errorf("%v", r)
	}
	m, err := onnx.Load(filepath.Join(run, "weights", "best.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	if d := spec.Detect; d == nil || d.Deployed == nil || len(d.Classes) != len(shapeClasses) || d.Images.MinSize != 64 || d.Images.MaxSize != 64 || len(spec.Parents) == 0 || d.Levels[0].Channels != 128 {
		t.Errorf("the spec of what was trained: %+v", spec)
	}
	record := map[string]any{}
	if err := json.Unmarshal(readFile(t, run, "run.json"), &record); err != nil {
		t.Fatal(err)
	}
	if config := record["config"].(map[string]any); record["verb"] != "detect" || config["train_stages"] != "full" || config["lr"] != "0.005" || config["masks"] != false {
		t.Errorf("run.json: %v", record)
	}
}

// TestDetectTrainSeeds trains with two seeds, and tells their spread.
func TestDetectTrainSeeds(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	r := training(t, "-m", learnable(t, "fasterrcnn_tiny_fpn"), "-d", shapesSet(t, 4, 2), "-o", run, "--epochs", "1", "-b", "2", "--seeds", "2")
	seeds := r["seeds"].([]any)
	if len(seeds) != 2 || seeds[1].(map[string]any)["seed"] != 1.0 || r["ap_sd"] == nil {
		t.Errorf("%v", r)
	}
	for _, name := range []string{"weights/best.onnx", "val/predictions.json", "results.csv", "labels.jpg", "pr.svg", "report.html"} {
		if !bytes.Equal(readFile(t, run, name), readFile(t, run, "seed-0", name)) {
			t.Errorf("%s is not that of the first seed", name)
		}
		if name == "weights/best.onnx" && bytes.Equal(readFile(t, run, name), readFile(t, run, "seed-1", name)) {
			t.Errorf("both seeds have the same weights")
		}
	}
}

// TestDetectTrainTells trains by the recipe of Detectron2 with fewer images in a step than
// it is written for, and with a detector that does not know all classes.
func TestDetectTrainTells(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	o := call("detect", "-m", learnable(t, "maskrcnn_tiny_fpn", shapes.Names[0], "zebra"), "-d", shapesSet(t, 4, 2), "-o", run, "--recipe", "detectron2-1x", "--epochs", "1", "--size", "80")
	if o.code != 0 || o.stdout != run+"\n" {
		t.Fatalf("%+v", o)
	}
	for _, want := range []string{
		"is written for 16 images in a step and a learning rate of 0.02; with 2 images it is 0.0025", "8 times as many steps",
		"knows 1 of the 2 classes of the data", "left out: zebra", "--size is 80, which is no multiple of 32; images are scaled to fit into 96x96",
	} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("no %q in\n%s", want, o.stderr)
		}
	}
}

// TestDetectTrainNorms tells that batch norms behind the backbone keep their statistics.
func TestDetectTrainNorms(t *testing.T) {
	needLibrary(t)
	for name, want := range map[string]bool{"fasterrcnn_tiny_fpn": false, "fasterrcnn_tiny_fpn_v2": true} {
		r := training(t, "-m", learnable(t, name), "-d", shapesSet(t, 2, 1), "-o", filepath.Join(t.TempDir(), "run"), "--epochs", "1", "-b", "2", "--masks", "off")
		if told := strings.Contains(fmt.Sprint(r["warnings"]), "batch norms in the pyramid and the heads of"); told != want {
			t.Errorf("%s: %v", name, r["warnings"])
		}
	}
}

// TestDetectTrainFew trains on one image of one class, without any to validate on; and
// until the numbers are no longer finite.
func TestDetectTrainFew(t *testing.T) {
	needLibrary(t)
	one, run := t.TempDir(), filepath.Join(t.TempDir(), "run")
	put(t, filepath.Join(one, "JPEGImages", "a.png"), readFile(t, vocFolder(t, 1), "JPEGImages", "000.png"))
	put(t, filepath.Join(one, "Annotations", "a.xml"), []byte(`<annotation><filename>a.png</filename><size><width>48</width><height>48</height><depth>3</depth></size>
<object><name>shape</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>`))
	model := learnable(t, "fasterrcnn_tiny_fpn", "shape")
	r := training(t, "-m", model, "-d", one, "-o", run, "--epochs", "2")
	if best := r["best"].(map[string]any); r["protocol"] != "train" || best["val"] != nil || r["ap"] != nil || r["steps"] != 2.0 || !strings.Contains(fmt.Sprint(r["warnings"]), "no images to validate on") {
		t.Errorf("%v", r)
	}
	diverged := filepath.Join(t.TempDir(), "run")
	o := call("detect", "-m", model, "-d", one, "-o", diverged, "--epochs", "50", "--lr", "1e6", "--warmup", "0")
	if o.code != 1 || !strings.Contains(o.stderr, "diverged") || !strings.Contains(o.stderr, "a smaller --lr") {
		t.Errorf("%+v", o)
	}
}

// withoutObjects takes the annotations out of splits of a data set of shapesSet.
func withoutObjects(t *testing.T, data string, splits ...string) {
	t.Helper()
	for _, split := range splits {
		file := filepath.Join(data, "annotations", "instances_"+split+".json")
		var set map[string]any
		if err := json.Unmarshal(readFile(t, file), &set); err != nil {
			t.Fatal(err)
		}
		set["annotations"] = []any{}
		text, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		put(t, file, text)
	}
}

// TestDetectTrainBackground trains on images without any object, kept as background, so
// that no anchor and no region is a positive one in the whole training.
func TestDetectTrainBackground(t *testing.T) {
	needLibrary(t)
	data := shapesSet(t, 4, 2)
	withoutObjects(t, data, "train")
	for _, name := range []string{"maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		model := learnable(t, name)
		r := training(t, "-m", model, "-d", data, "-o", filepath.Join(t.TempDir(), "run"), "--epochs", "1", "-b", "2", "--empty", "keep")
		if r["status"] != "done" || r["steps"] != 2.0 || !strings.Contains(fmt.Sprint(r["warnings"]), "4 training image(s) have no object to learn, and are learned as background") {
			t.Errorf("%s: %v", name, r)
		}
		o := call("detect", "-m", model, "-d", data, "-o", filepath.Join(t.TempDir(), "run"), "--epochs", "1")
		if o.code != 65 || !strings.Contains(o.stderr, "no image to train on") {
			t.Errorf("%s, without them: %+v", name, o)
		}
	}
}

// TestDetectTrainMemory wants a training that needs more memory than there is to be
// refused before its first step.
func TestDetectTrainMemory(t *testing.T) {
	needLibrary(t)
	defer cli.SetFreeMemory(20e6)()
	run := filepath.Join(t.TempDir(), "run")
	o := call("detect", "-m", learnable(t, "fasterrcnn_tiny_fpn"), "-d", shapesSet(t, 8, 2), "-o", run, "-b", "8")
	if o.code != 75 || !strings.Contains(o.stderr, "a step of 8 images needs about") || !strings.Contains(o.stderr, "hint: --batch-size 4 may fit") && !strings.Contains(o.stderr, "hint: --batch-size 2 may fit") && !strings.Contains(o.stderr, "hint: --batch-size 1 may fit") {
		t.Errorf("%+v", o)
	}
}

// TestDetectTrainRefuses gives the verb what it cannot use.
func TestDetectTrainRefuses(t *testing.T) {
	data, boxless, out := shapesSet(t, 2, 1), shapesSet(t, 2, 1), filepath.Join(t.TempDir(), "run")
	withoutObjects(t, boxless, "train", "val")
	detector, backbone := learnable(t, "fasterrcnn_tiny_fpn"), small(t, 2)
	checked := t.TempDir()
	put(t, filepath.Join(checked, "args.yaml"), []byte("data: x\nout: y\n"))
	short := filepath.Join(t.TempDir(), "short.onnx") // its strides are 1, 2 and 4
	if o := call("new", "--arch", "cifar_resnet20", "--classes", "2", "-o", short); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for name, c := range map[string]struct {
		line string
		code int
		want string
	}{
		"no model":               {"-d x -o y", 2, "--model is missing"},
		"no such recipe":         {"-m a -d b -o c --recipe slow", 2, "quick or torchvision"},
		"masks of boxes":         {"-m a -d b -o c --kind retinanet --masks on", 2, "has no masks"},
		"segm of boxes":          {"-m a -d b -o c --kind fasterrcnn --metric segm", 2, "not learned"},
		"sizes":                  {"-m a -d b -o c --size 64 --min-size 64", 2, "goes without"},
		"a tiny size":            {"-m a -d b -o c --size 32", 2, "too small"},
		"adapting to few":        {"-m a -d b -o c --bn adapt", 2, "adapt-small if it is meant"},
		"adapting to one":        {"-m a -d b -o c --bn adapt-small -b 1", 2, "expected two at least"},
		"a learning rate":        {"-m a -d b -o c --lr fast", 2, "--lr is"},
		"no objects":             {"-m " + backbone + " -d " + boxless + " -o " + out, 65, "shows no objects"},
		"other kind":             {"-m " + detector + " -d " + data + " -o " + out + " --kind retinanet", 2, "whose heads are kept"},
		"flags of a backbone":    {"-m " + detector + " -d " + data + " -o " + out + " --range 0..1", 2, "goes with a backbone"},
		"masks of the detector":  {"-m " + detector + " -d " + data + " -o " + out + " --masks on", 2, "which has none"},
		"masks of boxes in VOC":  {"-m " + backbone + " -d " + vocFolder(t, 2) + " -o " + out + " --masks on", 65, "no object of"},
		"no data":                {"-m " + backbone + " -d nowhere -o " + out, 65, "nowhere"},
		"folders of classes":     {"-m " + backbone + " -d " + drawn(t, 4) + " -o " + out, 65, "rtx featurize"},
		"nothing but a feature":  {"-m " + greyModel(t, 2) + " -d " + data + " -o " + out, 65, "strides 4, 8, 16 and 32"},
		"freezing":               {"-m a -d b -o c --freeze 3", 2, "--train-stages"},
		"a size by its old name": {"-m a -d b -o c --imgsz 640", 2, "--size N"},
		"no run to go on with":   {"--resume nowhere", 2, "an earlier rtx detect"},
		"a folder of a check":    {"--resume " + checked, 2, "names no model"},
		"strides without a map":  {"-m " + short + " -d " + data + " -o " + out, 65, "hint: networks for images of 32x32 pixels"},
		"standard input":         {"-m a -d - -o c", 2, "standard input"},
		"the data as the output": {"-m " + backbone + " -d " + data + " -o " + data, 2, "--out"},
	} {
		o := call(append([]string{"detect"}, strings.Fields(c.line)...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) {
			t.Errorf("%s: %+v, want exit %d with %q", name, o, c.code, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%s: something was written", name)
		}
	}
}
