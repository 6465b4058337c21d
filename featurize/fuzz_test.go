package featurize_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
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
	fuzzSource(f, "x.tar", tarOf(f, m...), tarOf(f, append(m, member{"a/2.jpg", "1.jpg", tar.TypeSymlink})...), gzipped(tarOf(f, m...)), zstandard(tarOf(f, m...)))
}

func FuzzZip(f *testing.F) {
	fuzzSource(f, "x.zip", zipOf(f, member{"a/1.jpg", "x", tar.TypeReg}, member{"b/2.jpg", strings.Repeat("y", 99), tar.TypeReg}), zipOf(f))
}

func FuzzCSV(f *testing.F) {
	fuzzSource(f, "x.csv", []byte("path,label,split,group\na.jpg,x,train,g\n\"b\n\",y,val,\n"), []byte("file_name\n"))
}

func FuzzJSONL(f *testing.F) {
	fuzzSource(f, "x.jsonl", []byte("{\"path\":\"a\",\"label\":1,\"split\":\"val\",\"group\":null}\n\n{}"))
}
