package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	quietly(t, "new", "--arch", "resnet18", "--classes", "2", "-o", model)
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
