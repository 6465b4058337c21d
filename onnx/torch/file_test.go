package torch_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/robust-transfer/rtx/onnx/torch"
)

// made reads a file of testdata.
func made(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// archive makes a zip archive from pairs of name and contents.
func archive(parts ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, _ := z.Create(parts[i])
		io.WriteString(w, parts[i+1])
	}
	z.Close()
	return b.String()
}

// gzipped compresses data.
func gzipped(data string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, data)
	z.Close()
	return b.String()
}

// TestGzip reads compressed files of all formats as the files themselves.
func TestGzip(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for _, name := range []string{"plain.pt", "plain_deflated.pt", "plain_legacy.pth", "dtypes.safetensors"} {
		data := made(t, name)
		path := filepath.Join(t.TempDir(), name+".gz")
		if err := os.WriteFile(path, []byte(gzipped(string(data))), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := torch.Open(path)
		if err != nil {
			t.Fatal(name, ": ", err)
		}
		want, err := torch.New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		got, plain := values(t, f), values(t, want)
		if !f.Compressed || want.Compressed || len(got) == 0 || !reflect.DeepEqual(got, plain) {
			t.Errorf("%s: compressed %v, %d tensors, want %d", name, f.Compressed, len(got), len(plain))
		}
		if err := f.Close(); err != nil {
			t.Error(name, ": ", err)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
			t.Errorf("%s left %v, %v", name, left, err)
		}
		cut := gzipped(string(data))
		cut = cut[:len(cut)/2]
		if _, err := torch.New(strings.NewReader(cut), int64(len(cut))); !errors.Is(err, torch.ErrFormat) {
			t.Errorf("half of %s: %v", name, err)
		}
	}
}

// values are the bytes of each tensor of a file's network.
func values(t *testing.T, f *torch.File) map[string]string {
	t.Helper()
	n, err := f.Network(-1)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, x := range n.Tensors {
		b, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out[x.Name] = string(b)
	}
	return out
}

func TestOtherFiles(t *testing.T) {
	tar := make([]byte, 1024)
	copy(tar, "pickle")
	copy(tar[257:], "ustar")
	for _, c := range []struct{ data, want string }{
		{"", "the file is empty"}, {"<!DOCTYPE html><html>", "HTML page"}, {"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"},
		{"just some words\n", "this is text"}, {"\x08\x08\x12\x07pytorch", "ONNX model"}, {"\x93NUMPY\x01\x00v\x00{'descr'", "numpy array"},
		{"\x1f\x8b\x08\x00\x00", "the gzip data end too early"}, {"\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00\x00", "damaged gzip data"},
		{gzipped("just some words\n"), "decompressed: this is text"}, {gzipped(gzipped("words")), "compressed by gzip; decompress it first"},
		{gzipped(strings.Repeat("\x00", 3<<20)), "bytes of gzip hold more than"}, {"\x28\xb5\x2f\xfd\x04", "compressed by zstd; decompress it first"},
		{"\xfd7zXZ\x00\x00", "compressed by xz"}, {"BZh91AY&SY", "compressed by bzip2"}, {"\x04\x22\x4d\x18\x64", "compressed by lz4"},
		{"\x89HDF\r\n\x1a\n", "HDF5"}, {string(tar), "tar archive, as PyTorch 0.1.10"},
		{"\x00\x01\x02\xff\xfe\xfd\xfc\xfb\xfa", "neither a zip archive"}, {"PK\x03\x04rest", "truncated or damaged"},
		{archive("a.npy", "x"), "numpy arrays (.npz)"}, {archive("word/document.xml", "x"), "without data.pkl"}, {archive("deep/er/data.pkl", "N."), "without data.pkl"},
		{archive("a/data.pkl", "N.", "b/data.pkl", "N."), "two pickles"}, {archive("a/data.pkl", "N.", "a/data.pkl", "N."), "two entries"},
		{archive("a/data.pkl", "N.", "a/constants.pkl", "N."), "TorchScript"}, {archive("a/data.pkl", "N.", "a/byteorder", "big"), `byte order "big"`},
		{archive("a/data.pkl", "]"), "ends after 1 bytes"}, {archive("a/data.pkl", "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI3\ntQ."), "not in the archive"},
		{archive("a/data.pkl", "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI3\ntQ.", "a/data/0", "12345678"), "8 bytes, expected 3 values of 4"},
		{archive("a/data.pkl", strings.Repeat("(0", 1<<20)), "are compressed to"},
		{"\x80\x02]q\x00.", "not one of torch.save"}, {"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe8\x03.", "version of the file 1000"},
		{"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P", "ends after"}, {"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":1}        ", "safetensors"},
	} {
		_, err := torch.New(strings.NewReader(c.data), int64(len(c.data)))
		if !errors.Is(err, torch.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q: %v, want %q", c.data, err, c.want)
		}
	}
	if _, err := torch.Open(t.TempDir()); !errors.Is(err, torch.ErrFormat) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := torch.Open("testdata/absent.pt"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestTruncated cuts files of all formats at many places.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"plain.pt", "plain_deflated.pt", "plain_legacy.pth", "parts_legacy.pth", "dtypes.safetensors"} {
		data := made(t, name)
		for n := 0; n < len(data); n += 7 {
			if _, err := torch.New(bytes.NewReader(data[:n]), int64(n)); !errors.Is(err, torch.ErrFormat) {
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(data), err)
			}
		}
	}
}

// TestLies reads files whose sizes contradict one another.
func TestLies(t *testing.T) {
	legacy := made(t, "parts_legacy.pth")
	legacy[len(legacy)-48] = 9 // the number of values
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("a/data.pkl")
	io.WriteString(w, "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI3\ntQ.")
	w, _ = z.CreateRaw(&zip.FileHeader{Name: "a/data/0", CompressedSize64: 4, UncompressedSize64: 1 << 40})
	w.Write(make([]byte, 4))
	z.Close()
	for data, want := range map[string]string{string(legacy): "9 values, expected 10", b.String(): "1099511627776 bytes in 4"} {
		if _, err := torch.New(strings.NewReader(data), int64(len(data))); !errors.Is(err, torch.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// counter counts the bytes that are read.
type counter struct {
	io.ReaderAt
	n int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += n
	return n, err
}

// TestViewsOfOneStorage checks that a storage with many views, in order and
// transposed, is read a few times rather than once for every view.
func TestViewsOfOneStorage(t *testing.T) {
	const views, size = 100, 1000
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.Create("a/data.pkl")
		io.WriteString(w, "(d")
		for i := range views {
			for k, stride := range []string{"(I1\nI100\nt", "(I10\nI1\nt"} {
				fmt.Fprintf(w, "S'%d.%d'\nctorch._utils\n_rebuild_tensor\n((S'storage'\nctorch\nByteStorage\nS'0'\nS'cpu'\nI%d\ntQI%d\n(I100\nI10\nt%stRs", i, k, views*size, i*size, stride)
			}
		}
		io.WriteString(w, ".")
		w, _ = z.CreateHeader(&zip.FileHeader{Name: "a/data/0", Method: method})
		for i := range views * size {
			w.Write([]byte{byte(rand.N(100) + i/size)})
		}
		z.Close()
		c := &counter{ReaderAt: bytes.NewReader(b.Bytes())}
		f, err := torch.New(c, int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		c.n = 0
		written := 0
		each(f.Value, func(x *torch.Tensor) {
			if err := x.Write(io.Discard); err != nil {
				t.Error(err)
			}
			written++
		})
		if written != 2*views || c.n > 4*views*size {
			t.Errorf("method %d: %d bytes were read for %d views of a storage of %d", method, c.n, written, views*size)
		}
	}
}

// each calls do for every tensor below a value.
func each(v any, do func(*torch.Tensor)) {
	switch v := v.(type) {
	case *torch.Tensor:
		do(v)
	case *torch.Dict:
		for _, x := range v.All() {
			each(x, do)
		}
	}
}

// TestFlipped checks that a changed byte of a storage is found by every tensor that
// uses the storage, and by no other.
func TestFlipped(t *testing.T) {
	for _, name := range []string{"views.pt", "views_deflated.pt", "plain.pt"} {
		data := made(t, name)
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range z.File {
			if !strings.Contains(e.Name, "/data") || e.CompressedSize64 == 0 {
				continue
			}
			at, _ := e.DataOffset()
			bad := slices.Clone(data)
			bad[at+int64(e.CompressedSize64)/2] ^= 1
			failed, written := 0, 0
			f, err := torch.New(bytes.NewReader(bad), int64(len(bad)))
			if strings.HasSuffix(e.Name, "data.pkl") {
				if !errors.Is(err, torch.ErrFormat) || e.Method == zip.Store && !strings.Contains(err.Error(), "checksum error") {
					t.Errorf("%s, %s: %v", name, e.Name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				each(f.Value, func(x *torch.Tensor) {
					err := x.Write(io.Discard)
					switch {
					case err == nil:
						written++
					case !errors.Is(err, torch.ErrFormat) || !strings.Contains(err.Error(), e.Name) || e.Method == zip.Store && !strings.Contains(err.Error(), "checksum error"):
						t.Errorf("%s, %s: %v", name, e.Name, err)
					default:
						failed++
					}
				})
			}
			if failed == 0 || failed%2 != 0 || written == 0 || name == "plain.pt" && failed != 2 {
				t.Errorf("%s, %s: %d tensors failed, %d were written", name, e.Name, failed, written)
			}
		}
	}
}

// TestConcurrent writes all tensors from several goroutines.
func TestConcurrent(t *testing.T) {
	for _, name := range []string{"views.pt", "views_deflated.pt", "views_legacy.pth"} {
		f := open(t, name)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				each(f.Value, func(x *torch.Tensor) {
					if err := x.Write(io.Discard); err != nil {
						t.Error(err)
					}
				})
			})
		}
		wait.Wait()
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestWriterFails checks that an error of the writer is not taken for one of the
// file.
func TestWriterFails(t *testing.T) {
	for _, name := range []string{"views.pt", "views_deflated.pt", "views_legacy.pth", "dtypes.safetensors"} {
		each(open(t, name).Value, func(x *torch.Tensor) {
			if err := x.Write(full{}); x.Size() > 0 && (!errors.Is(err, os.ErrClosed) || errors.Is(err, torch.ErrFormat)) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// FuzzOpen checks that no file makes the reader crash, or take more memory than a
// small multiple of the file; zip archives may inflate.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"views.pt", "views_deflated.pt", "views_legacy.pth", "parts_legacy.pth", "module.pt", "robust.pt", "arrays.pt", "list.pt", "dtypes.safetensors"} {
		f.Add(made(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		inspect(data)
		runtime.ReadMemStats(&after)
		factor := 400
		if bytes.HasPrefix(data, []byte("PK")) {
			factor = 4000
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(4<<20+factor*len(data)) {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
	})
}

// inspect uses a checkpoint as callers do.
func inspect(data []byte) {
	c, err := torch.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return
	}
	c.Fields()
	c.Classes()
	n, err := c.Network(-1)
	if err != nil {
		return
	}
	for _, x := range n.Tensors[:min(len(n.Tensors), 4)] {
		if x.Size() < 1<<20 {
			x.Write(io.Discard)
		}
	}
}

// bytesOf is the pickle of a tensor of n bytes, at an offset in a storage of a size.
func bytesOf(name, storage string, size, offset, n int) string {
	return fmt.Sprintf("S'%s'\nctorch._utils\n_rebuild_tensor\n((S'storage'\nctorch\nByteStorage\nS'%s'\nS'cpu'\nI%d\ntQI%d\n(I%d\nt(I1\nttRs", name, storage, size, offset, n)
}

// packed makes a checkpoint of a dict and two deflated storages of size bytes.
func packed(dict string, size int) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("a/data.pkl")
	io.WriteString(w, "(d"+dict+".")
	for _, key := range []string{"0", "1"} {
		w, _ := z.Create("a/data/" + key)
		for range size / 50 {
			w.Write(append(make([]byte, 49), byte(rand.N(256))))
		}
	}
	z.Close()
	return b.Bytes()
}

// TestStoragesInTurns checks that reading numbers alternately from two deflated
// storages does not inflate a storage for each, and that writing such tensors comes
// to an end.
func TestStoragesInTurns(t *testing.T) {
	const size, turns = 2 << 20, 500
	var dict strings.Builder
	for i := range turns {
		dict.WriteString(bytesOf(fmt.Sprint("x", i), fmt.Sprint(i%2), size/50*50, i, 1))
	}
	data := packed(dict.String(), size)
	c := &counter{ReaderAt: bytes.NewReader(data)}
	f, err := torch.New(c, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	c.n = 0
	if n := len(f.Fields()); n != turns || c.n > 3*len(data) {
		t.Errorf("%d fields, and %d bytes read of %d", n, c.n, len(data))
	}
	written, refused := 0, 0
	each(f.Value, func(x *torch.Tensor) {
		if refused > 0 {
			return
		}
		switch err := x.Write(io.Discard); {
		case err == nil:
			written++
		case errors.Is(err, torch.ErrFormat) && strings.Contains(err.Error(), "read too often"):
			refused++
		default:
			t.Error(err)
		}
	})
	if limit := (64<<20 + 64*len(data)) / (size / 50 * 50); written < limit/2 || refused == 0 || written > limit+2 {
		t.Errorf("%d tensors were written before %d was refused, with a limit of %d", written, refused, limit)
	}
}

// TestHalvesInTurns writes large parts of two deflated storages alternately, which
// is not limited.
func TestHalvesInTurns(t *testing.T) {
	const size = 2 << 20
	var dict strings.Builder
	for i := range 4 {
		dict.WriteString(bytesOf(fmt.Sprint("x", i), fmt.Sprint(i%2), size/50*50, i, size/2))
	}
	data := packed(dict.String(), size)
	f, err := torch.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		each(f.Value, func(x *torch.Tensor) {
			if err := x.Write(io.Discard); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestCopiesOfOneStorage checks that an attacker's copies which overlap the model's
// tensors are refused once comparing them has cost more than the file.
func TestCopiesOfOneStorage(t *testing.T) {
	const size, honest = 8 << 20, 5
	for _, copies := range []int{honest, 100} {
		var dict strings.Builder
		for i := range copies {
			dict.WriteString(bytesOf(fmt.Sprint("model.x", i), "0", size, 0, size-1))
			dict.WriteString(bytesOf(fmt.Sprint("attacker.model.x", i), "0", size, 1, size-1))
		}
		data := stored("a/data.pkl", "(d"+dict.String()+".", "a/data/0", strings.Repeat("x", size))
		c := &counter{ReaderAt: strings.NewReader(data)}
		f, err := torch.New(c, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		c.n = 0
		_, err = f.Network(-1)
		refused := errors.Is(err, torch.ErrFormat) && strings.Contains(err.Error(), "share their values too often")
		if refused != (copies > honest) || !refused && err != nil || c.n > 64<<20+10*len(data) {
			t.Errorf("%d copies: %v, %d bytes read of %d", copies, err, c.n, len(data))
		}
	}
}

// stored is like archive, without compression.
func stored(parts ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: parts[i], Method: zip.Store})
		io.WriteString(w, parts[i+1])
	}
	z.Close()
	return b.String()
}

// TestManyTensors checks that a network of implausibly many tensors is refused.
func TestManyTensors(t *testing.T) {
	const most = 65536
	for _, n := range []int{most, most + 1} {
		var dict strings.Builder
		dict.WriteString("(d" + strings.TrimSuffix(bytesOf("x", "0", 1, 0, 1), "s") + "p0\ns")
		for i := range n - 1 {
			fmt.Fprintf(&dict, "S'%d'\ng0\ns", i)
		}
		data := stored("a/data.pkl", dict.String()+".", "a/data/0", "x")
		f, err := torch.New(strings.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Network(-1)
		if n == most && err != nil || n > most && (!errors.Is(err, torch.ErrFormat) || !strings.Contains(err.Error(), "65537 tensors, expected at most 65536")) {
			t.Errorf("%d tensors: %v", n, err)
		}
	}
}
