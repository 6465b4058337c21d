package torch_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/onnx/torch"
)

// checkpoint writes a file as robustness does, every weight twice: n tensors of
// size values, and again for the attacker.
func checkpoint(b *testing.B, path string, n, size int) {
	b.Helper()
	out, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	z := zip.NewWriter(out)
	store := func(name string, data []byte) {
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(data), CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data))})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	var p bytes.Buffer
	p.WriteString("(dS'model'\n(d")
	for i := range 2 * n {
		prefix := "module.model"
		if i >= n {
			prefix = "module.attacker.model"
		}
		fmt.Fprintf(&p, "S'%s.%d'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'%d'\nS'cpu'\nI%d\ntQI0\n(I%d\nt(I1\ntI00\nNtRs", prefix, i%n, i, size, size)
	}
	p.WriteString("s.")
	store("archive/data.pkl", p.Bytes())
	data := make([]byte, 4*size)
	for i := range 2 * n {
		r := rand.New(rand.NewPCG(1, uint64(i%n)))
		for k := 0; k < len(data); k += 8 {
			binary.LittleEndian.PutUint64(data[k:], r.Uint64())
		}
		store(fmt.Sprintf("archive/data/%d", i), data)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkImport opens a checkpoint of 205 MB, finds the network, compares the
// attacker's copy and writes every weight once. Its metrics are the time in
// units of reading the file with a checksum, and the most that was in the heap.
func BenchmarkImport(b *testing.B) {
	path := filepath.Join(b.TempDir(), "robust.ckpt")
	checkpoint(b, path, 50, 512<<10)
	var plain, ours time.Duration
	var most uint64
	for b.Loop() {
		start := time.Now()
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		io.CopyBuffer(crc32.NewIEEE(), struct{ io.Reader }{f}, make([]byte, 256<<10))
		f.Close()
		plain += time.Since(start)

		runtime.GC()
		start = time.Now()
		most = max(most, importAll(b, path))
		ours += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(plain), "x-reading")
	b.ReportMetric(float64(most)/1e6, "heap-MB")
}

// importAll writes the network of a checkpoint and returns the size of the heap
// afterwards, garbage included.
func importAll(b *testing.B, path string) uint64 {
	f, err := torch.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	n, err := f.Network(-1)
	if err != nil {
		b.Fatal(err)
	}
	if len(n.Tensors) != 50 || len(n.Dropped) != 50 {
		b.Fatalf("%d tensors, %d dropped", len(n.Tensors), len(n.Dropped))
	}
	for _, t := range n.Tensors {
		if err := t.Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
