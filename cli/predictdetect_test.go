package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// spotter finds the left half of an image with the score of its first red value over
// 255, the upper half with 0.3, and everything with 0.01. Its second class has no name.
type spotter struct {
	masks bool
	seen  *int // images
	end   int  // fails at this image; 0: never
}

func (s spotter) Classes() []onnx.DetectClass {
	return []onnx.DetectClass{{ID: 7, Name: "left"}, {ID: 8}, {ID: 9, Name: "up"}}
}

func (s spotter) Detect(ctx context.Context, img *pixels.Image) ([]detect.Detection, error) {
	if s.seen != nil {
		if *s.seen++; s.end > 0 && *s.seen >= s.end {
			return nil, errors.New("out of order")
		}
	}
	w, h := float32(img.Width), float32(img.Height)
	all := []detect.Detection{
		{Box: box.Box{0, 0, w / 2, h}, Class: 0, Score: float32(img.Pix[0]) / 255},
		{Box: box.Box{0, 0, w, h / 2}, Class: 2, Score: 0.3},
		{Box: box.Box{0, 0, w, h}, Class: 0, Score: 0.01},
	}
	if s.masks {
		for i := range all {
			all[i].Mask, _ = mask.FromBox([4]float64{0, 0, float64(all[i].Box[2]), float64(all[i].Box[3])}, img.Height, img.Width)
		}
	}
	return all, nil
}

// withDetector makes d the detector of the model file that it returns.
func withDetector(t *testing.T, d detect.Detector) string {
	t.Helper()
	t.Cleanup(cli.SetDetector(d))
	return variant(t, func(m *onnx.Model) *onnx.Model {
		spec, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		spec.Detect = &onnx.Detect{Kind: "retinanet", Classes: d.Classes()}
		if m, err = m.WithSpec(spec); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

// reds are pictures of some sizes whose red value is 255, 204, 153 and so on.
func reds(t *testing.T, sizes ...[2]int) string {
	t.Helper()
	dir := t.TempDir()
	for i, size := range sizes {
		img := image.NewRGBA(image.Rect(0, 0, size[0], size[1]))
		for at := range size[0] * size[1] {
			img.Set(at%size[0], at/size[0], color.RGBA{R: uint8(255 - 51*i), A: 255})
		}
		writePNG(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), img)
	}
	return dir
}

// TestPredictLines looks at the lines of two images and one that cannot be used, on
// standard output, in a file, and as one object.
func TestPredictLines(t *testing.T) {
	model := withDetector(t, spotter{masks: true})
	dir := reds(t, [2]int{8, 4}, [2]int{20, 10})
	os.WriteFile(filepath.Join(dir, "bad.png"), []byte("no image"), 0o666)
	o := call("predict", "-m", model, "-d", dir)
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	want := []string{
		`{"path":"0.png","width":8,"height":4,"detections":[{"label":"left","score":1,"box":[0,0,4,4],"mask":{"size":[4,8],"counts":"0`,
		`{"path":"1.png","width":20,"height":10,"detections":[{"label":"left","score":0.8,"box":[0,0,10,10],`,
		`{"path":"bad.png","error":`,
	}
	if o.code != 65 || len(lines) != 3 || !strings.Contains(o.stderr, "1 of 3 images cannot be used") {
		t.Fatalf("%+v", o)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) || strings.Count(line, `"label"`) != []int{2, 2, 0}[i] {
			t.Errorf("%s, want %s", line, want[i])
		}
	}
	os.Remove(filepath.Join(dir, "bad.png"))
	file := filepath.Join(t.TempDir(), "lines.jsonl")
	if o := call("predict", "-m", model, filepath.Join(dir, "1.png"), "-o", file, "--score", "0.5"); o.code != 0 || o.stdout != file+"\n" {
		t.Fatalf("%+v", o)
	}
	text, _ := os.ReadFile(file)
	if strings.Count(string(text), "\n") != 1 || strings.Count(string(text), `"label"`) != 1 {
		t.Errorf("%s", text)
	}
	o = call("predict", "-m", model, "-d", dir, "--json", "--score", "0")
	r := object(t, o.stdout)
	if r["schema"] != "rtx.predict/1" || r["images"] != 2.0 || r["objects"] != 6.0 || len(r["predictions"].([]any)) != 2 || r["failed"] != 0.0 || o.stderr != "" {
		t.Errorf("%+v", o)
	}
}

// TestPredictCOCO compares the files of --format coco with what was found, and asks for
// them twice.
func TestPredictCOCO(t *testing.T) {
	n := 0
	model := withDetector(t, spotter{masks: true, seen: &n})
	dir, out := reds(t, [2]int{8, 4}, [2]int{20, 10}), filepath.Join(t.TempDir(), "out")
	args := []string{"predict", "-m", model, "-d", dir, "-o", out, "--format", "coco", "--json"}
	if o := call(args...); o.code != 0 || object(t, o.stdout)["status"] != "done" {
		t.Fatalf("%+v", o)
	}
	var results []struct {
		ImageID      int64      `json:"image_id"`
		CategoryID   int64      `json:"category_id"`
		Box          [4]float64 `json:"bbox"`
		Score        float64
		Segmentation struct {
			Size   [2]int
			Counts string
		}
	}
	if err := json.Unmarshal(readFile(t, out, "predictions.json"), &results); err != nil || len(results) != 4 {
		t.Fatalf("%v: %+v", err, results)
	}
	r := results[3]
	if m, err := mask.Parse(r.Segmentation.Counts, r.Segmentation.Size[0], r.Segmentation.Size[1]); err != nil || m.Area() != 100 {
		t.Errorf("the mask of %+v: %v", r, err)
	}
	if r.ImageID != 2 || r.CategoryID != 9 || r.Box != [4]float64{0, 0, 20, 5} || r.Score != 0.3 {
		t.Errorf("%+v", r)
	}
	if got := string(readFile(t, out, "categories.json")); got != "[\n{\"id\":7,\"name\":\"left\"},\n{\"id\":9,\"name\":\"up\"}\n]\n" {
		t.Errorf("categories %s", got)
	}
	if got := string(readFile(t, out, "images.json")); !strings.Contains(got, `{"id":2,"file_name":"1.png","width":20,"height":10}`) {
		t.Errorf("images %s", got)
	}
	if o := call(args...); o.code != 0 || object(t, o.stdout)["status"] != "cached" || object(t, o.stdout)["objects"] != 4.0 || n != 2 {
		t.Errorf("again: %+v, %d images seen", o, n)
	}
	if o := call(append(args, "--score", "0.5")...); o.code != 2 || !strings.Contains(o.stdout, "score is 0.05 there and 0.5 here") {
		t.Errorf("another score: %+v", o)
	}
	if o := call(append(args, "--score", "0.5", "--overwrite")...); o.code != 0 || strings.Count(string(readFile(t, out, "predictions.json")), "image_id") != 2 {
		t.Errorf("overwritten: %+v", o)
	}
	t.Cleanup(cli.SetDetector(called{spotter{masks: true}, []string{"links"}}))
	if o := call(append(args, "--score", "0.5")...); o.code != 2 || !strings.Contains(o.stdout, "output holds another configuration") || !strings.Contains(o.stdout, "classes is") {
		t.Errorf("other names of classes: %+v", o)
	}
}

// TestPredictOtherIDs does not take the predictions that a folder holds for those of a
// data set whose images have other ids now.
func TestPredictOtherIDs(t *testing.T) {
	model, dir := withDetector(t, spotter{}), cocoFolder(t, [2]int{20, 10})
	args := []string{"predict", "-m", model, "-d", dir, "-o", filepath.Join(t.TempDir(), "out"), "--format", "coco", "--json"}
	if o := call(args...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	truths, _ := filepath.Glob(filepath.Join(dir, "annotations", "*.json"))
	if len(truths) != 1 {
		t.Fatalf("%q", truths)
	}
	text, _ := os.ReadFile(truths[0])
	os.WriteFile(truths[0], []byte(strings.ReplaceAll(string(text), `"id":10`, `"id":11`)), 0o666)
	if o := call(args...); o.code != 2 || !strings.Contains(o.stdout, "holds another configuration") {
		t.Errorf("%+v", o)
	}
}

// TestPredictYOLO reads the lines of --format yolo, and finds one picture an image.
func TestPredictYOLO(t *testing.T) {
	model := withDetector(t, spotter{})
	dir, out := reds(t, [2]int{8, 4}, [2]int{20, 10}), filepath.Join(t.TempDir(), "out")
	if o := call("predict", "-m", model, "-d", dir, "-o", out, "--format", "yolo", "--draw"); o.code != 0 || o.stdout != out+"\n" {
		t.Fatalf("%+v", o)
	}
	if got := string(readFile(t, out, "labels", "1.txt")); got != "0 0.25 0.5 0.5 1 0.8\n1 0.5 0.25 1 0.5 0.3\n" {
		t.Errorf("labels %q", got)
	}
	if got := string(readFile(t, out, "classes.txt")); got != "left\nup\n" {
		t.Errorf("classes %q", got)
	}
	pictures, err := filepath.Glob(filepath.Join(out, "pictures", "*.jpg"))
	if err != nil || len(pictures) != 2 {
		t.Errorf("pictures %q", pictures)
	}
	other := reds(t, [2]int{8, 4})
	if o := call("predict", "-m", model, "-d", other, "-o", out, "--format", "yolo", "--overwrite"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	labels, _ := filepath.Glob(filepath.Join(out, "labels", "*.txt"))
	if pictures, _ = filepath.Glob(filepath.Join(out, "pictures", "*")); len(labels) != 1 || len(pictures) != 0 {
		t.Errorf("after --overwrite there are %q %q", labels, pictures)
	}
}

// TestPredictGoesOn ends a job at its second image, and has the same command see the
// other images only.
func TestPredictGoesOn(t *testing.T) {
	n := 0
	dir, out := reds(t, [2]int{8, 4}, [2]int{20, 10}, [2]int{30, 30}), filepath.Join(t.TempDir(), "out")
	model := withDetector(t, spotter{seen: &n, end: 2})
	args := []string{"predict", "-m", model, "-d", dir, "-o", out, "--format", "coco"}
	if o := call(args...); o.code != 1 || !strings.Contains(o.stderr, `"1.png": out of order`) {
		t.Fatalf("%+v", o)
	}
	n = 0
	t.Cleanup(cli.SetDetector(spotter{seen: &n}))
	o := call(args...)
	if o.code != 0 || n != 2 || !strings.Contains(o.stderr, "going on after 1 of 3 images") {
		t.Fatalf("%+v, %d images seen", o, n)
	}
	whole := filepath.Join(t.TempDir(), "out")
	if o := call(append(slices.Clone(args), "-o", whole)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for _, name := range []string{"predictions.json", "images.json", "categories.json"} {
		if a, b := readFile(t, out, name), readFile(t, whole, name); string(a) != string(b) {
			t.Errorf("%s: %s, of a job of its own %s", name, a, b)
		}
	}
	if _, err := os.Stat(filepath.Join(out, ".rtx", "detected.jsonl")); err == nil {
		t.Error("the state of the job is still there")
	}
}

// TestPredictObjectsRefuses are command lines that mean nothing for the model.
func TestPredictObjectsRefuses(t *testing.T) {
	model := withDetector(t, spotter{})
	dir := reds(t, [2]int{8, 4})
	garbage := t.TempDir()
	os.WriteFile(filepath.Join(garbage, "a.jpg"), []byte("no image"), 0o666)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"format":             {[]string{"-m", model, "-d", dir, "--format", "voc"}, 2, "expected jsonl or coco or yolo"},
		"no out":             {[]string{"-m", model, "-d", dir, "--format", "coco"}, 2, "--out is missing: --format coco makes a folder"},
		"no out for draw":    {[]string{"-m", model, "-d", dir, "--draw"}, 2, "--out is missing: --draw makes a folder"},
		"standard input":     {[]string{"-m", model, "-d", "-", "-o", "x", "--draw"}, 2, "images on standard input give JSON lines only"},
		"table":              {[]string{"-m", model, "-d", dir, "-o", "x.csv"}, 2, "tables are of classifiers"},
		"score":              {[]string{"-m", model, "-d", dir, "--score", "50"}, 2, "--score is \"50\", expected a number from 0 to 1"},
		"score nan":          {[]string{"-m", model, "-d", dir, "--score", "nan"}, 2, "--score is"},
		"top-k":              {[]string{"-m", model, "-d", dir, "--top-k", "3"}, 2, "--top-k goes with other models"},
		"normalize":          {[]string{"-m", model, "-d", dir, "--normalize", "none"}, 2, "--normalize goes with other models"},
		"file as folder":     {[]string{"-m", model, "-d", dir, "-o", model, "--format", "coco"}, 2, "expected a folder"},
		"folder of another":  {[]string{"-m", model, "-d", dir, "-o", dir, "--format", "coco"}, 2, "holds no predictions"},
		"no images":          {[]string{"-m", model, "-d", t.TempDir()}, 65, "no images"},
		"nothing decodes":    {[]string{"-m", model, "-d", garbage}, 65, "none of the 1 images can be used"},
		"draw by classifier": {[]string{"-m", backbone, "-d", dir, "--draw", "-o", "x"}, 2, "--draw goes with detectors"},
		"score of a class":   {[]string{"-m", backbone, "-d", dir, "--score", ".5"}, 2, "--score goes with detectors"},
	} {
		t.Run(name, func(t *testing.T) {
			o := call(append([]string{"predict", "--json"}, c.args...)...)
			e := object(t, o.stdout[strings.LastIndex(strings.TrimSpace(o.stdout), "\n")+1:])
			if o.code != c.code || !strings.Contains(fmt.Sprint(e["error"]), c.want) || strings.Contains(fmt.Sprint(e["error"]), "\n") {
				t.Errorf("want exit %d with %q: %+v", c.code, c.want, o)
			}
		})
	}
}

// TestPredictLowScore asks for scores that the model itself leaves out.
func TestPredictLowScore(t *testing.T) {
	t.Cleanup(cli.SetDetector(spotter{}))
	model := variant(t, func(m *onnx.Model) *onnx.Model {
		spec, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		spec.Detect = &onnx.Detect{Kind: "retinanet", Classes: spotter{}.Classes(), Test: onnx.DetectTest{Score: 0.25}}
		if m, err = m.WithSpec(spec); err != nil {
			t.Fatal(err)
		}
		return m
	})
	dir := reds(t, [2]int{8, 4})
	for score, told := range map[string]bool{"0.01": true, "0.25": false, "0.5": false, "": false} {
		args := []string{"predict", "-m", model, "-d", dir}
		if score != "" {
			args = append(args, "--score", score)
		}
		if o := call(args...); o.code != 0 || strings.Contains(o.stderr, "above 0.25") != told {
			t.Errorf("--score %s: exit %d: %s", score, o.code, o.stderr)
		}
	}
}
