package featurize_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// jobOf is a job that writes features in a format.
func jobOf(t *testing.T, format, data, out string, net *sums) *featurize.Job {
	j := job(t, data, out, net)
	j.Format = format
	return j
}

// rows reads all rows of a set.
func rows(t testing.TB, s *featurize.Set) []float32 {
	t.Helper()
	n := s.Len()
	for _, d := range s.Dims {
		n *= d
	}
	x := make([]float32, n)
	if err := s.Read(x, 0); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestFormats(t *testing.T) {
	data := dataset(t, 10)
	os.WriteFile(filepath.Join(data, "b", "broken \xff.png"), []byte("no image"), 0o666)
	var want *featurize.Set
	var wantRows []float32
	for _, format := range featurize.Formats {
		t.Run(format, func(t *testing.T) {
			out := t.TempDir()
			mustRun(t, jobOf(t, format, data, out, &sums{}))
			s, err := featurize.OpenSet(out)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if want == nil {
				want, wantRows = s, rows(t, s)
				if len(s.Records) != 11 || s.Len() != 10 || !slices.Equal(s.Classes, []string{"a", "b", "c"}) {
					t.Fatalf("set %+v", s)
				}
			}
			if !slices.Equal(rows(t, s), wantRows) || !slices.Equal(s.Labels, want.Labels) || !reflect.DeepEqual(s.Records, want.Records) || !slices.Equal(s.Dims, want.Dims) {
				t.Errorf("set %+v, want %+v", s, want)
			}
			one := make([]float32, rowSize)
			for _, i := range []int{7, 2, 9, 0} {
				if err := s.Read(one, i); err != nil || !slices.Equal(one, wantRows[i*rowSize:][:rowSize]) {
					t.Errorf("row %d: %v, %v", i, one, err)
				}
			}
			if s.Read(one, 10) == nil || s.Read(one[:2], 0) == nil {
				t.Error("rows that are not there were read")
			}

			net := &sums{}
			if s := mustRun(t, jobOf(t, format, data, out, net)); s.Status != "cached" || net.runs != 0 {
				t.Errorf("again: %+v", s)
			}
			added := filepath.Join(data, "a", "000.png")
			writeImage(t, added, 50)
			defer os.Remove(added)
			if s := mustRun(t, jobOf(t, format, data, out, net)); s.New != 1 || s.Reused != 10 {
				t.Errorf("one image more: %+v", s)
			}
			fresh := t.TempDir()
			mustRun(t, jobOf(t, format, data, fresh, &sums{}))
			sameFiles(t, out, fresh)
		})
	}
}

// sameFiles compares all files of two sets; of run.json it leaves out times and speed.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	entries, err := os.ReadDir(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if e.Name() == "run.json" {
			if x, y := described(t, a), described(t, b); x != y {
				t.Errorf("run.json differs: %s, want %s", x, y)
			}
			continue
		}
		x, _ := os.ReadFile(filepath.Join(a, e.Name()))
		y, err := os.ReadFile(filepath.Join(b, e.Name()))
		if err != nil || !bytes.Equal(x, y) {
			t.Errorf("%s differs, %v", e.Name(), err)
		}
	}
}

func TestMergeFormats(t *testing.T) {
	data := dataset(t, 9)
	for _, format := range featurize.Formats {
		whole := t.TempDir()
		mustRun(t, jobOf(t, format, data, whole, &sums{}))
		out := shards(t, data, 2, func(_ int, j *featurize.Job) {
			j.Format = format
		})
		if _, err := merge(t, out, out); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, out, whole)
	}
}

// TestOtherReaders has Python libraries read feature sets: whichever of numpy, pyarrow,
// duckdb and safetensors are installed.
func TestOtherReaders(t *testing.T) {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("no Python with numpy (PYTHON names another one)")
	}
	data := dataset(t, 5)
	dir := t.TempDir()
	for _, format := range featurize.Formats {
		mustRun(t, jobOf(t, format, data, filepath.Join(dir, format), &sums{}))
	}
	out, err := exec.Command(python, "testdata/readers.py", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestForeignArrays reads arrays as numpy and others write them.
func TestForeignArrays(t *testing.T) {
	var half, double, big bytes.Buffer
	for i, v := range []float64{1, -2.5, 0.25, 6e-8, 65504, math.Inf(-1)} {
		h := []uint16{0x3c00, 0xc100, 0x3400, 1, 0x7bff, 0xfc00}[i]
		half.Write([]byte{byte(h), byte(h >> 8)})
		bits := math.Float64bits(v)
		for k := range 8 {
			double.WriteByte(byte(bits >> (8 * k)))
			big.WriteByte(byte(bits >> (56 - 8*k)))
		}
	}
	labels := npyFile("{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }", []byte{1, 255})
	for _, c := range []struct {
		header string
		data   []byte
		err    string
	}{
		{"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }", half.Bytes(), ""},
		{"{'shape': (2,3), 'fortran_order': False, 'descr': '<f8'}", double.Bytes(), ""},
		{"{'descr': '>f8', 'fortran_order': False, 'shape': (2, 3), }", big.Bytes(), ""},
		{"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }", double.Bytes(), "Fortran"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }", double.Bytes(), "shape [2 4]"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", append(double.Bytes(), make([]byte, 24)...), "[3 3] and labels of shape [2]"},
		{"{'descr': '<U3', 'fortran_order': False, 'shape': (2, 3), }", double.Bytes(), "array of numbers"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", double.Bytes(), "shape"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 0), }", nil, "at least one number"},
	} {
		s, err := openFiles(t, map[string][]byte{"features.npy": npyFile(c.header, c.data), "labels.npy": labels, "classes.txt": []byte("a\nb\n"),
			"manifest.jsonl": []byte(`{"row":0,"path":"x","class":"b","label":1,"split":null}` + "\n" + `{"row":1,"path":"y","class":null,"label":-1,"split":"val","group":"g"}`)})
		if c.err != "" {
			if err == nil || !errors.Is(err, featurize.ErrFormat) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.header, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.header, err)
			continue
		}
		want := []float32{1, -2.5, 0.25, 6e-8, 65504, float32(math.Inf(-1))}
		got := rows(t, s)
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); d > 1e-8 {
				t.Errorf("%s: %v, want %v", c.header, got, want)
				break
			}
		}
		if s.Records[1].Group != "g" || s.Records[1].Split != "val" {
			t.Errorf("record %+v", s.Records[1])
		}
	}
}

func npyFile(header string, data []byte) []byte {
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), data...)
}

// openFiles opens a set of which a test has made the files.
func openFiles(t testing.TB, files map[string][]byte) (*featurize.Set, error) {
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s, err := featurize.OpenSet(dir)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func TestManifestNames(t *testing.T) {
	data := t.TempDir()
	names := []string{"a \xff\"\\.png", "b\nc.png", "d\u2028é😀.png", `\udcff.png`}
	for i, n := range names {
		writeImage(t, filepath.Join(data, n), i)
	}
	out := t.TempDir()
	mustRun(t, job(t, data, out, &sums{}))
	s, err := featurize.OpenSet(out)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	slices.Sort(names)
	for i, r := range s.Records {
		if r.Path != names[i] {
			t.Errorf("path %q, want %q", r.Path, names[i])
		}
	}
}

func TestBadManifests(t *testing.T) {
	x := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", make([]byte, 4))
	y := npyFile("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", make([]byte, 8))
	for _, manifest := range []string{
		"", `{"row":0,"path":"x","label":1}`, `{"row":1,"path":"x","label":0}`, `{"path":"x","label":0}`, `{"row":0,"label":0}`,
		`{"row":0,"path":"x","label":0,"error":"e"}`, `{"row":0,"path":"x","label":0}` + "\n" + `{"row":1,"path":"y","label":0}`, `[]`, `{"row":0`,
	} {
		if _, err := openFiles(t, map[string][]byte{"features.npy": x, "labels.npy": y, "classes.txt": []byte("a\n"), "manifest.jsonl": []byte(manifest)}); !errors.Is(err, featurize.ErrFormat) {
			t.Errorf("%s: %v", manifest, err)
		}
	}
	if _, err := openFiles(t, nil); !errors.Is(err, featurize.ErrFormat) {
		t.Errorf("an empty folder: %v", err)
	}
}

// fuzzSet checks that no feature file makes the reader crash, or take more memory than a
// small multiple of the file.
func fuzzSet(f *testing.F, format string, spare, factor int) {
	data := f.TempDir()
	for i := range 3 {
		writeImage(f, filepath.Join(data, "a", string(rune('0'+i))+".png"), i)
	}
	l, err := featurize.Folder(f.Context(), data)
	if err != nil {
		f.Fatal(err)
	}
	out := filepath.Join(f.TempDir(), "set")
	j := &featurize.Job{Out: out, Listing: l, Format: format, RowDims: []int{rowSize}, Open: opener(&sums{})}
	if _, err := j.Run(f.Context()); err != nil {
		f.Fatal(err)
	}
	name := filepath.Join(out, "features."+format)
	seed, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if s, err := featurize.OpenSet(out); err == nil {
			x := make([]float32, product(s.Dims))
			for i := range s.Len() {
				s.Read(x, i)
			}
			s.Close()
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(spare+factor*len(data)) {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
	})
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

func FuzzNPY(f *testing.F)         { fuzzSet(f, "npy", 1<<20, 200) }
func FuzzNPZ(f *testing.F)         { fuzzSet(f, "npz", 1<<20, 4000) }
func FuzzSafetensors(f *testing.F) { fuzzSet(f, "safetensors", 1<<20, 200) }
func FuzzParquet(f *testing.F)     { fuzzSet(f, "parquet", 16<<20, 4000) }

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"row":0,"path":"a\udcff","class":"a","label":0,"split":null,"group":"g"}` + "\n" + `{"index":3,"path":"b","class":null,"label":-1,"split":null,"error":"e"}`))
	x := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", make([]byte, 4))
	y := npyFile("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", make([]byte, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := openFiles(t, map[string][]byte{"features.npy": x, "labels.npy": y, "classes.txt": []byte("a\n"), "manifest.jsonl": data})
		if err == nil {
			if _, err := json.Marshal(s.Records); err != nil {
				t.Error(err)
			}
		}
	})
}
