package coco_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

// set is a line of testdata/golden.py.
type set struct {
	Name string
	GT   instances
	DT   json.RawMessage
	Want map[string]*want
}

type instances struct {
	Images []struct {
		ID            int64
		Width, Height int
		FileName      string `json:"file_name"`
	}
	Categories  []coco.Category
	Annotations []struct {
		ID           int64
		ImageID      int64 `json:"image_id"`
		CategoryID   int64 `json:"category_id"`
		BBox         [4]float64
		Area         float64
		IsCrowd      int
		Segmentation json.RawMessage
	}
}

type want struct {
	Stats                     []float64 // none with custom
	Precision, Recall, Scores string
	Arrays                    struct{ Precision, Recall, Scores string }
}

// custom are the thresholds CUSTOM of testdata/golden.py.
var custom = coco.Config{IoUs: []float64{1, 0, .3, .5}, Recalls: []float64{-.5, 0, .25, .5, 1, 1.5}, MaxDets: []int{300, 2, 7},
	Areas: []coco.AreaRange{{Name: "all", Max: 500}, {Name: "medium", Min: 100, Max: 2000}, {Name: "none", Min: 5, Max: 4}}}

func (s *set) dataset(t testing.TB) *coco.Dataset {
	t.Helper()
	d := &coco.Dataset{Categories: s.GT.Categories}
	size := map[int64][2]int{}
	for _, i := range s.GT.Images {
		d.Images = append(d.Images, coco.Image{ID: i.ID, FileName: i.FileName, Width: i.Width, Height: i.Height})
		size[i.ID] = [2]int{i.Height, i.Width}
	}
	for _, a := range s.GT.Annotations {
		var m *mask.RLE
		if a.Segmentation != nil {
			m = segmentation(t, a.Segmentation, size[a.ImageID][0], size[a.ImageID][1])
		}
		d.Annotations = append(d.Annotations, coco.Annotation{ID: a.ID, ImageID: a.ImageID, CategoryID: a.CategoryID,
			Box: a.BBox, Area: a.Area, Crowd: a.IsCrowd == 1, Mask: m})
	}
	return d
}

func segmentation(t testing.TB, b []byte, h, w int) *mask.RLE {
	t.Helper()
	var polygons [][]float64
	if json.Unmarshal(b, &polygons) == nil {
		m, err := mask.FromPolygons(polygons, h, w)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var runs struct {
		Size   [2]int
		Counts []uint32
	}
	if json.Unmarshal(b, &runs) == nil {
		return &mask.RLE{H: runs.Size[0], W: runs.Size[1], Counts: runs.Counts}
	}
	var text struct {
		Size   [2]int
		Counts string
	}
	if err := json.Unmarshal(b, &text); err != nil {
		t.Fatal(err)
	}
	m, err := mask.Parse(text.Counts, text.Size[0], text.Size[1])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func goldenSets(t testing.TB) []*set {
	t.Helper()
	f, err := os.Open("testdata/sets.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return readSets(t, z)
}

func readSets(t testing.TB, r io.Reader) []*set {
	t.Helper()
	var sets []*set
	for d := json.NewDecoder(bufio.NewReader(r)); ; {
		s := &set{}
		if err := d.Decode(s); err == io.EOF {
			return sets
		} else if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, s)
	}
}

// TestGolden compares every array and figure with pycocotools.
func TestGolden(t *testing.T) {
	sets := goldenSets(t)
	if len(sets) != 200 {
		t.Fatalf("%d sets, want 200", len(sets))
	}
	for _, s := range sets {
		s.check(t)
	}
}

// TestPycocotools does so with other sets and the pycocotools of $PYTHON.
func TestPycocotools(t *testing.T) {
	if os.Getenv("RTX_PARITY") == "" {
		t.Skip("RTX_PARITY=1 compares with $PYTHON: make parity")
	}
	out, err := exec.Command(os.Getenv("PYTHON"), "-W", "ignore", "testdata/golden.py", "--all", "2", "200").Output()
	if err != nil {
		t.Fatalf("PYTHON=%s needs pycocotools and numpy: %v", os.Getenv("PYTHON"), err)
	}
	sets := readSets(t, bytes.NewReader(out))
	if len(sets) != 200 {
		t.Fatalf("%d sets, want 200", len(sets))
	}
	for _, s := range append(sets, goldenSets(t)...) {
		s.check(t)
	}
}

func (s *set) check(t *testing.T) {
	gt := s.dataset(t)
	results, err := coco.ReadResults(bytes.NewReader(s.DT), gt)
	if err != nil {
		t.Errorf("%s: %v", s.Name, err)
		return
	}
	for kind, w := range s.Want {
		config := coco.Config{}
		if strings.HasSuffix(kind, " custom") {
			config = custom
		}
		config.Masks = strings.HasPrefix(kind, "segm")
		e, err := coco.Evaluate(gt, results.Detections, config)
		if err != nil {
			t.Errorf("%s, %s: %v", s.Name, kind, err)
			continue
		}
		w.check(t, s.Name+", "+kind, e)
	}
}

// check holds an evaluation against pycocotools': each figure within 1e-12, and each
// array.
func (w *want) check(t *testing.T, name string, e *coco.Evaluation) {
	t.Helper()
	for i, got := range figures(e.Summary()) {
		if w.Stats == nil {
			break
		}
		if math.IsNaN(got) {
			got = -1
		}
		if math.Abs(got-w.Stats[i]) > 1e-12 {
			t.Errorf("%s, figure %d: got %v, want %v", name, i, got, w.Stats[i])
		}
	}
	compare(t, name+", precision", axes(e, e.Precision, len(e.Config.Recalls)), w.Precision, w.Arrays.Precision)
	compare(t, name+", recall", axes(e, e.Recall, 1), w.Recall, w.Arrays.Recall)
	compare(t, name+", scores", axes(e, e.Scores, len(e.Config.Recalls)), w.Scores, w.Arrays.Scores)
}

func figures(s coco.Summary) []float64 {
	return []float64{s.AP, s.AP50, s.AP75, s.APs, s.APm, s.APl, s.AR1, s.AR10, s.AR100, s.ARs, s.ARm, s.ARl}
}

// axes puts v [K,A,M,T,R] in pycocotools' order, [T,R,K,A,M].
func axes(e *coco.Evaluation, v []float64, nr int) []float64 {
	nk, na, nm, nt := len(e.Categories), len(e.Config.Areas), len(e.Config.MaxDets), len(e.Config.IoUs)
	out := make([]float64, 0, len(v))
	for t := range nt {
		for r := range nr {
			for k := range nk {
				for a := range na {
					for m := range nm {
						out = append(out, v[(((k*na+a)*nm+m)*nt+t)*nr+r])
					}
				}
			}
		}
	}
	return out
}

// compare holds an array against its SHA-256, and against the numbers where they are
// at hand.
func compare(t *testing.T, what string, got []float64, sum, packed string) {
	t.Helper()
	b := make([]byte, 0, 8*len(got))
	for _, v := range got {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	if h := sha256.Sum256(b); hex.EncodeToString(h[:]) != sum {
		t.Errorf("%s: the bits differ", what)
	}
	if packed == "" {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(z)
	if err != nil || len(want) != len(b) {
		t.Errorf("%s: %d bytes, want %d: %v", what, len(b), len(want), err)
		return
	}
	for i, v := range got {
		if w := math.Float64frombits(binary.LittleEndian.Uint64(want[8*i:])); math.Abs(v-w) > 1e-12 {
			t.Errorf("%s: entry %d is %v, want %v", what, i, v, w)
			return
		}
	}
}

func results(t testing.TB, content []byte, gt *coco.Dataset) []coco.Detection {
	t.Helper()
	r, err := coco.ReadResults(bytes.NewReader(content), gt)
	if err != nil {
		t.Fatal(err)
	}
	return r.Detections
}

func evaluated(t testing.TB, gt *coco.Dataset, dt []coco.Detection, c coco.Config) *coco.Evaluation {
	t.Helper()
	e, err := coco.Evaluate(gt, dt, c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
