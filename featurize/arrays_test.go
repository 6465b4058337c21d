package featurize

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// npy encodes an array in the .npy format.
func npy(t *testing.T, dtype string, shape []int, values any) []byte {
	t.Helper()
	var head [npyHeader]byte
	putNPYHeader(&head, dtype, shape)
	b := bytes.NewBuffer(head[:])
	if err := binary.Write(b, binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOpenArrays(t *testing.T) {
	dir := t.TempDir()
	x := npy(t, "<f8", []int{4, 1, 3}, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	y := npy(t, "<i4", []int{4}, []int32{2, 0, -1, 1})
	put := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return file
	}
	pack := func(members map[string][]byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, data := range members {
			w, err := z.Create(name + ".npy")
			if err != nil {
				t.Fatal(err)
			}
			w.Write(data)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	features, labels := put("emb.npy", x), put("targets.npy", y)
	for name, files := range map[string][2]string{
		"npy": {features, labels}, "npz": {put("a.npz", pack(map[string][]byte{"X": x, "y": y, "more": y})), ""},
		"savez without names": {put("b.npz", pack(map[string][]byte{"arr_0": x, "arr_1": y})), ""},
		"labels elsewhere":    {put("c.npz", pack(map[string][]byte{"embeddings": x})), labels},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenArrays(files[0], files[1])
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := make([]float32, 12)
			if err := s.Read(got, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}) || !slices.Equal(s.Labels, []int64{2, 0, -1, 1}) || !slices.Equal(s.Classes, []string{"0", "1", "2"}) {
				t.Errorf("%v %v %q", got, s.Labels, s.Classes)
			}
			if r := s.Records[2]; r.Row != 2 || r.Label != -1 || r.Class != "" || !strings.HasSuffix(r.Path, "#2") {
				t.Errorf("%+v", r)
			}
		})
	}
	for name, c := range map[string]struct {
		files [2]string
		is    error
		want  string
	}{
		"no labels":       {[2]string{features, ""}, ErrLabels, "emb.npy"},
		"no features":     {[2]string{put("d.npz", pack(map[string][]byte{"some": x})), ""}, ErrFormat, `"some"`},
		"other kind":      {[2]string{put("e.csv", x), labels}, ErrFormat, ".npz"},
		"fewer labels":    {[2]string{features, put("f.npy", npy(t, "<i8", []int{3}, []int64{0, 1, 2}))}, ErrFormat, "[3]"},
		"labels as reals": {[2]string{features, put("g.npy", npy(t, "<f4", []int{4}, []float32{0, 1, 2, 3}))}, ErrFormat, "integers"},
		"a huge label":    {[2]string{features, put("h.npy", npy(t, "<i8", []int{4}, []int64{0, 1, 1 << 40, 3}))}, ErrFormat, "row 2"},
		"missing":         {[2]string{filepath.Join(dir, "none.npy"), labels}, os.ErrNotExist, "none.npy"},
	} {
		if _, err := OpenArrays(c.files[0], c.files[1]); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
