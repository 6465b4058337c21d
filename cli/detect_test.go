package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// vocFolder writes a small data set in the form of Pascal VOC, whose images are drawn.
func vocFolder(t *testing.T, n int) string {
	t.Helper()
	root := t.TempDir()
	images, _ := filepath.Glob(filepath.Join(drawn(t, n), "*", "*.png"))
	for i, file := range images {
		name := fmt.Sprintf("%03d", i)
		put(t, filepath.Join(root, "JPEGImages", name+".png"), readFile(t, file))
		put(t, filepath.Join(root, "Annotations", name+".xml"), []byte(fmt.Sprintf(`<annotation><filename>%s.png</filename><size><width>48</width><height>48</height><depth>3</depth></size>
<object><name>shape</name><difficult>0</difficult><bndbox><xmin>%d</xmin><ymin>5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>`, name, 1+i%10)))
	}
	return root
}

func put(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestClassifyObjects gives the verbs of classification a data set for detection, which
// they name, and a data set whose classes are called like its folders, which they read.
func TestClassifyObjects(t *testing.T) {
	needLibrary(t)
	data, out := vocFolder(t, 8), t.TempDir()
	model := filepath.Join(out, "classifier.onnx")
	quietly(t, "new", "--arch", "resnet8", "--classes", "2", "-o", model)
	for _, line := range []string{"featurize -m " + backbone, "finetune -m " + backbone, "compare " + backbone, "eval -m " + model, "predict -m " + model} {
		args := append(strings.Fields(line), "-d", data, "-o", filepath.Join(out, strings.Fields(line)[0]))
		if o := call(args...); o.code != 65 || !strings.Contains(o.stderr, "Pascal VOC") || !strings.Contains(o.stderr, "hint: rtx detect check") {
			t.Errorf("%s: %+v", line, o)
		}
	}
	classes := t.TempDir()
	for i, file := range []string{"labels/1.png", "labels/2.png", "images/1.png", "images/2.png"} {
		put(t, filepath.Join(classes, file), readFile(t, filepath.Join(data, "JPEGImages", fmt.Sprintf("%03d.png", i))))
	}
	if o := call("featurize", "-m", backbone, "-d", classes, "-o", filepath.Join(out, "classes")); o.code != 0 || !strings.Contains(o.stderr+o.stdout, "classes") {
		t.Errorf("classes called labels and images: %+v", o)
	}
	if text := string(readFile(t, filepath.Join(out, "classes", "classes.txt"))); text != "images\nlabels\n" {
		t.Errorf("classes %q", text)
	}
}

// TestDetectCheck checks a data set with flaws: in words, as JSON, and into a folder.
func TestDetectCheck(t *testing.T) {
	data, out := vocFolder(t, 12), filepath.Join(t.TempDir(), "out")
	put(t, filepath.Join(data, "Annotations", "000.xml"), []byte(`<annotation><size><width>48</width><height>48</height></size>
<object><name>shape</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>48</xmax><ymax>48</ymax></bndbox></object>
<object><name>猫 &amp; &lt;b&gt;</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>90</xmax><ymax>40</ymax></bndbox></object>
<object><name>shape</name><bndbox><xmin>20</xmin><ymin>5</ymin><xmax>19.5</xmax><ymax>9</ymax></bndbox></object></annotation>`))
	put(t, filepath.Join(data, "JPEGImages", "001.png"), readFile(t, filepath.Join(data, "JPEGImages", "002.png")))
	put(t, filepath.Join(data, "JPEGImages", "003.png"), []byte("no image"))

	o := call("detect", "check", data, "-o", out, "--quiet")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	for _, want := range []string{"form     Pascal VOC", "images   12", "objects  14", "shape     1       13", "1 box(es) reach out of their images", "1 box(es) cover all of the image", "1 image file(s) cannot be decoded: JPEGImages/003.png", "1 image(s) are copies of others; 0 time(s)"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in\n%s", want, o.stdout)
		}
	}
	if n := strings.Count(o.stdout, "have a side below one pixel"); n != 1 {
		t.Errorf("a thin box is told %d times", n)
	}
	told, written := object(t, call("detect", "check", data, "--json").stdout), map[string]any{}
	if err := json.Unmarshal(readFile(t, filepath.Join(out, "check.json")), &written); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"schema", "unusable", "format", "images", "objects", "classes", "splits", "per_class", "boxes", "findings", "odd", "base", "files", "notes"} {
		if a, b := fmt.Sprint(told[key]), fmt.Sprint(written[key]); a != b || told[key] == nil {
			t.Errorf("%s is %s on stdout and %s in check.json", key, a, b)
		}
	}
	files := told["files"].(map[string]any)
	if told["schema"] != "rtx.detect.check/1" || told["status"] != "done" || told["format"] != "voc" || files["read"] != 11.0 || files["unreadable"] != 1.0 || files["copies"] != 1.0 {
		t.Errorf("%v", told)
	}
	if rows := strings.Split(string(readFile(t, filepath.Join(out, "per_class.csv"))), "\n"); rows[0] != "id,class,objects,images,small,medium,large,only_in" || rows[1] != "1,shape,13,12,9,4,0," {
		t.Errorf("per_class.csv: %q", rows)
	}
	page := string(readFile(t, filepath.Join(out, "check.html")))
	if n := strings.Count(page, `src="data:image/jpeg;base64,`); n != 8+2 {
		t.Errorf("the page has %d pictures, want 8 samples and two odd boxes", n)
	}
	if !strings.Contains(page, "猫 &amp; &lt;b&gt;") || strings.Contains(page, "<b>\"") || strings.Contains(page, "http") && !strings.Contains(page, "http://www.w3.org/2000/svg") {
		t.Error("names are not escaped, or something is loaded from elsewhere")
	}
}

// TestDetectCheckFolder follows the protocol of output folders.
func TestDetectCheckFolder(t *testing.T) {
	data, out := vocFolder(t, 4), filepath.Join(t.TempDir(), "out")
	run := func(args ...string) (outcome, map[string]any) {
		o := call(append([]string{"detect", "check", data, "-o", out, "--json"}, args...)...)
		return o, object(t, o.stdout)
	}
	if o, r := run(); o.code != 0 || r["status"] != "done" {
		t.Fatalf("%+v", o)
	}
	page := readFile(t, filepath.Join(out, "check.html"))
	if o, r := run("-j", "1"); o.code != 0 || r["status"] != "cached" || r["objects"] != 4.0 {
		t.Errorf("again: %+v", o)
	}
	put(t, filepath.Join(data, "JPEGImages", "001.png"), readFile(t, filepath.Join(data, "JPEGImages", "002.png")))
	if o, r := run(); o.code != 2 || !strings.Contains(fmt.Sprint(r["error"], r["hint"]), "overwrite") {
		t.Errorf("other data: %+v", o)
	}
	if o, r := run("--overwrite"); o.code != 0 || r["status"] != "done" {
		t.Errorf("overwritten: %+v", o)
	}
	if string(readFile(t, filepath.Join(out, "check.html"))) == string(page) {
		t.Error("the page is the old one")
	}
	if o := call("detect", "check", data, "-o", data); o.code != 2 {
		t.Errorf("output into the data: %+v", o)
	}
}

// TestDetectCheckAgain finds a check done of a COCO file whose images have other sizes than
// it says, which the check itself adds to what is known of the set; and not done where an
// image file has changed.
func TestDetectCheckAgain(t *testing.T) {
	root, voc := t.TempDir(), vocFolder(t, 2)
	for i := range 2 {
		put(t, filepath.Join(root, "images", fmt.Sprintf("%d.png", i)), readFile(t, filepath.Join(voc, "JPEGImages", fmt.Sprintf("%03d.png", i))))
	}
	truth := filepath.Join(root, "truth.json")
	put(t, truth, []byte(`{"images": [{"id": 1, "file_name": "0.png", "width": 99, "height": 99}, {"id": 2, "file_name": "1.png", "width": 99, "height": 99}],
"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}], "categories": [{"id": 1, "name": "a"}]}`))
	out := filepath.Join(t.TempDir(), "out")
	for _, want := range []string{"done", "cached"} {
		if o := call("detect", "check", truth, "-o", out, "--json"); o.code != 0 || object(t, o.stdout)["status"] != want || !strings.Contains(o.stdout, "image_size_differs") {
			t.Fatalf("want %s: %+v", want, o)
		}
	}
	put(t, filepath.Join(root, "images", "1.png"), readFile(t, filepath.Join(root, "images", "0.png")))
	if o := call("detect", "check", truth, "-o", out, "--json"); o.code != 2 {
		t.Errorf("another image file: %+v", o)
	}
}

// TestDetectRefuses gives rtx detect what it cannot use.
func TestDetectRefuses(t *testing.T) {
	empty, broken, lost := t.TempDir(), t.TempDir(), vocFolder(t, 2)
	put(t, filepath.Join(broken, "instances_train.json"), []byte(`{"images": [`))
	for _, f := range []string{"000", "001"} {
		put(t, filepath.Join(lost, "JPEGImages", f+".png"), []byte("x"))
	}
	for name, c := range map[string]struct {
		line string
		code int
		want string
	}{
		"nothing named": {"detect check", 2, "expected one"}, "two sets": {"detect check a b", 2, "expected one"},
		"no such data": {"detect check nowhere", 65, "nowhere"}, "an empty folder": {"detect check " + empty, 65, "COCO"}, "broken JSON": {"detect check " + broken, 65, `"instances_train.json": line 1: no JSON`},
		"no image can be read": {"detect check " + lost, 65, "none of the 2 images can be read"},
		"classes":              {"detect check " + drawn(t, 6), 65, "rtx featurize"},
		"a flag for data":      {"detect check -d x", 2, "named without a flag"},
		"detect alone":         {"detect", 2, "rtx detect -m MODEL -d DATA -o RUN"},
		"train":                {"detect train", 2, "rtx detect -m MODEL -d DATA -o RUN"}, "val": {"detect val", 2, "rtx eval"}, "predict": {"detect predict", 2, "rtx predict"}, "export": {"detect export", 2, "rtx export"}, "a slip": {"detect chekc", 2, "did you mean check"},
	} {
		if o := call(strings.Fields(c.line)...); o.code != c.code || !strings.Contains(o.stderr, c.want) {
			t.Errorf("%s: %+v, want exit %d with %q", name, o, c.code, c.want)
		}
	}
	o := call("detect", "check", lost, "--json")
	if r := object(t, o.stdout); o.code != 65 || r["status"] != "failed" || !strings.Contains(fmt.Sprint(r["unusable"]), "can be read") {
		t.Errorf("%+v", o)
	}
}

// TestDetectStreams runs a detector over a data set for detection as a folder, as
// archives that can be read at will and in order only, and on standard input, where its
// images alone are taken.
func TestDetectStreams(t *testing.T) {
	model, data, dir := withDetector(t, spotter{}), vocFolder(t, 6), t.TempDir()
	for name, flags := range map[string]string{"x.tar": "-cf", "x.tar.gz": "-czf"} {
		if out, err := exec.Command("tar", flags, filepath.Join(dir, name), "-C", data, "Annotations", "JPEGImages").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, source := range []string{data, filepath.Join(dir, "x.tar"), filepath.Join(dir, "x.tar.gz")} {
		o := call("predict", "-m", model, "-d", source, "--json")
		if r := object(t, o.stdout); o.code != 0 || r["images"] != 6.0 {
			t.Errorf("%s: %+v", source, o)
		}
	}
	input, err := os.Open(filepath.Join(dir, "x.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	os.Stdin = input
	if o := call("predict", "-m", model, "-d", "-"); o.code != 0 || strings.Count(o.stdout, "\n") != 6 {
		t.Errorf("standard input: %+v", o)
	}
}

// TestDetectCheckInterrupted ends a check while it reads images.
func TestDetectCheckInterrupted(t *testing.T) {
	data, out := vocFolder(t, 400), filepath.Join(t.TempDir(), "out")
	cmd := command(t, "detect", "check", data, "-o", out, "-j", "1", "--json", "--progress", "jsonl")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	events, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 1)
	if _, err := io.ReadFull(events, line); err != nil { // the first event
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGINT)
	io.Copy(io.Discard, events)
	cmd.Wait()
	if code, o := cmd.ProcessState.ExitCode(), object(t, stdout.String()); code != 130 || o["schema"] != "rtx.detect.check/1" || o["status"] != "interrupted" {
		t.Fatalf("exit %d, %s", code, stdout.String())
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was left in the output")
	}
	if o := call("detect", "check", data, "-o", out); o.code != 0 {
		t.Errorf("again: %+v", o)
	}
}
