package featurize_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/robust-transfer/rtx/featurize"
)

// fuzzSource checks that no input makes a source crash, or take more memory than a small
// multiple of it.
func fuzzSource(f *testing.F, name string, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		drain(t, file)
		runtime.ReadMemStats(&after)
		// Deflate compresses by a factor of at most 1,032. Readers have buffers, and
		// that of zstd its window.
		if got, may := after.TotalAlloc-before.TotalAlloc, uint64(16<<20+4000*len(data)); got > may {
			t.Errorf("%d bytes allocated for %d of input", got, len(data))
		}
	})
}

func FuzzTar(f *testing.F) {
	m := []member{{"a/1.jpg", "x", tar.TypeReg}, {"b/", "", tar.TypeDir}, {"b/" + strings.Repeat("long", 40) + ".png", "yy", tar.TypeReg}}
	fuzzSource(f, "x.tar", tarOf(f, m...), tarOf(f, append(m, member{"a/2.jpg", "1.jpg", tar.TypeSymlink})...), gzipped(tarOf(f, m...)), zstandard(tarOf(f, m...)),
		tarOf(f, member{"x.jpg", "x", tar.TypeReg}, member{"x.cls", "cat\n", tar.TypeReg}, member{"y.seg.png", "y", tar.TypeReg}, member{"y.json", "{}", tar.TypeReg}))
}

func FuzzZip(f *testing.F) {
	fuzzSource(f, "x.zip", zipOf(f, member{"a/1.jpg", "x", tar.TypeReg}, member{"b/2.jpg", strings.Repeat("y", 99), tar.TypeReg}), zipOf(f),
		foreignZip(f, zipEntry{`train\cat\1.jpg`, 0, false, nil}, zipEntry{"\x90tang/1.jpg", 0, false, nil}, zipEntry{"??/1.jpg", 3, false, unicodePath("??/1.jpg", "日本/1.jpg")}))
}

func FuzzCSV(f *testing.F) {
	fuzzSource(f, "x.csv", []byte("path,label,split,group\na.jpg,x,train,g\n\"b\n\",y,val,\n"), []byte("file_name\n"))
}

func FuzzJSONL(f *testing.F) {
	fuzzSource(f, "x.jsonl", []byte("{\"path\":\"a\",\"label\":1,\"split\":\"val\",\"group\":null}\n\n{}"))
}

// FuzzLabelKey reads labels from the .json member of a WebDataset.
func FuzzLabelKey(f *testing.F) {
	f.Add("meta.label", []byte(`{"meta":{"label":"a \udcff"}}`))
	f.Add("a", []byte("{\"a\":1.0,\"b\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		file := writeFile(t, "x.tar", tarOf(t, member{"x.jpg", "x", tar.TypeReg}, member{"x.json", string(data), tar.TypeReg}))
		l, err := featurize.Source(t.Context(), file, featurize.SourceConfig{LabelKey: key})
		if err != nil {
			return
		}
		defer l.Close()
		for _, c := range l.Classes {
			if !utf8.ValidString(c) || strings.ContainsAny(c, "\r\n") || l.Samples[0].Class != c {
				t.Errorf("class %q of %+v", c, l.Samples)
			}
		}
	})
}

// FuzzBraces names archives that do not exist.
func FuzzBraces(f *testing.F) {
	for _, s := range []string{"x-{000..127}.tar", "{a,b}-{1..3}.tar", "{{a}", "{9..1}"} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		if !strings.Contains(name, "{") {
			return
		}
		if _, err := featurize.Source(t.Context(), dir+"/none/"+name, featurize.SourceConfig{}); err == nil {
			t.Errorf("%q is read", name)
		}
	})
}
