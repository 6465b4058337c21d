package coco_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

// suite is a case of a public test suite.
type suite struct {
	name               string // of the suite and its test
	config             coco.Config
	images, categories []int64
	size               [2]int      // height and width of the images; zero: 640x640
	corners            bool        // boxes are x1, y1, x2, y2; else x, y, width, height
	objects            [][]float64 // image, category, box, area and crowd; without these, the box's area and 0
	found              [][]float64 // image, category, score, and box; without it, that of the mask
	objectMasks, masks []segment   // of the objects and of those found
	want               []float64   // the twelve figures as they are published; -1: not defined
	ap, ar             []float64   // those of the categories
	within             float64     // half a unit of the last published place
	notLikePycocotools bool        // in its summary; the arrays are its
}

// segment is the segmentation of an object or detection in a file.
type segment any

// TestSuites gives the figures of public test suites, from their inputs.
func TestSuites(t *testing.T) {
	for _, s := range append(suites, outlined(t)) {
		e := s.evaluate(t)
		for i, got := range figures(e.Summary()) {
			if i < len(s.want) { // a suite may publish the first ones
				s.figure(t, i, got, s.want[i])
			}
		}
		for k, class := range e.PerClass() {
			if s.ap != nil {
				s.figure(t, 100+k, class.AP, s.ap[k])
				s.figure(t, 200+k, class.AR100, s.ar[k])
			}
		}
	}
}

func (s *suite) figure(t *testing.T, i int, got, want float64) {
	t.Helper()
	if math.IsNaN(got) {
		got = -1
	}
	if math.Abs(got-want) > s.within {
		t.Errorf("%s, figure %d: got %v, want %v", s.name, i, got, want)
	}
}

func (s *suite) evaluate(t *testing.T) *coco.Evaluation {
	t.Helper()
	files := set{Name: s.name, DT: s.results(t)}
	if err := json.Unmarshal(s.instances(t), &files.GT); err != nil {
		t.Fatal(err)
	}
	gt := files.dataset(t)
	return evaluated(t, gt, results(t, files.DT, gt), s.config)
}

// TestPycocotoolsSuites compares the arrays and figures of the same inputs with those of
// the pycocotools of $PYTHON.
func TestPycocotoolsSuites(t *testing.T) {
	if os.Getenv("RTX_PARITY") == "" {
		t.Skip("RTX_PARITY=1 compares with $PYTHON: make parity")
	}
	for _, s := range append(suites, outlined(t)) {
		kind, params := "bbox", map[string]any{}
		if s.config.Masks {
			kind = "segm"
		}
		if s.config.IoUs != nil {
			params["iouThrs"] = s.config.IoUs
		}
		if s.config.MaxDets != nil {
			params["maxDets"] = s.config.MaxDets
		}
		line := marshal(t, map[string]any{"kind": kind, "params": params,
			"gt": json.RawMessage(s.instances(t)), "dt": json.RawMessage(s.results(t))})
		c := exec.Command(os.Getenv("PYTHON"), "-W", "ignore", "testdata/golden.py", "--judge")
		c.Stdin = bytes.NewReader(line)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		w := &want{}
		if err := json.Unmarshal(out, w); err != nil {
			t.Fatal(err)
		}
		if s.notLikePycocotools {
			w.Stats = nil
		}
		w.check(t, s.name, s.evaluate(t))
	}
}

// TestSuitesConfusion gives the matrix of faster-coco-eval's
// TestBaseCoco.test_confusion_matrix. It has two more columns: detections of the row's
// category where there is nothing, and objects that were missed.
func TestSuitesConfusion(t *testing.T) {
	s := outlined(t)
	c, err := s.evaluate(t).Confusion(.5, 0)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range [][6]int{{2, 1, 0, 0, 1, 0}, {1, 1, 0, 0, 0, 1}, {0, 0, 1, 0, 0, 0}, {0, 0, 0, 2, 0, 0}} {
		got := [6]int{4: c.Counts[4*5+k], 5: c.Counts[k*5+4]}
		copy(got[:4], c.Counts[k*5:])
		if got != want {
			t.Errorf("row %d: %v, want %v", k, got, want)
		}
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// instances are the images, categories and objects as COCO's files have them.
func (s *suite) instances(t *testing.T) []byte {
	size := s.size
	if size[0] == 0 {
		size = [2]int{640, 640}
	}
	images, categories, annotations := []any{}, []any{}, []any{}
	for _, id := range s.images {
		images = append(images, map[string]any{"id": id, "height": size[0], "width": size[1]})
	}
	for _, id := range s.categories {
		categories = append(categories, map[string]any{"id": id, "name": ""})
	}
	for i, o := range s.objects {
		b := s.box(o[2:6])
		a := map[string]any{"id": i + 1, "image_id": int(o[0]), "category_id": int(o[1]), "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
		if len(o) > 6 {
			a["area"], a["iscrowd"] = o[6], int(o[7])
		}
		if s.objectMasks != nil {
			a["segmentation"] = s.objectMasks[i]
		}
		annotations = append(annotations, a)
	}
	return marshal(t, map[string]any{"images": images, "categories": categories, "annotations": annotations})
}

// results are the detections as COCO's files have them.
func (s *suite) results(t *testing.T) []byte {
	list := []any{}
	for i, f := range s.found {
		d := map[string]any{"image_id": int(f[0]), "category_id": int(f[1]), "score": f[2]}
		if len(f) > 3 {
			d["bbox"] = s.box(f[3:])
		}
		if s.masks != nil {
			d["segmentation"] = s.masks[i]
		}
		list = append(list, d)
	}
	return marshal(t, list)
}

func (s *suite) box(b []float64) []float64 {
	if s.corners {
		return []float64{b[0], b[1], b[2] - b[0], b[3] - b[1]}
	}
	return b
}

func text(m *mask.RLE) segment {
	return map[string]any{"size": [2]int{m.H, m.W}, "counts": m.String()}
}
