package torch_test

import (
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

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// checkpoint writes a file in the layout of robustness: n tensors of size values,
// and all of them again for the attacker.
func checkpoint(b *testing.B, path string, n, size int) {
	b.Helper()
	out, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	var all []onnx.Tensor
	for _, prefix := range []string{"module.model.", "module.attacker.model."} {
		for i := range n {
			all = append(all, onnx.Tensor{Name: fmt.Sprint(prefix, i), DType: pb.TensorProto_FLOAT, Dims: []int64{int64(size)}, Write: func(w io.Writer) error {
				data := make([]byte, 4*size)
				r := rand.New(rand.NewPCG(1, uint64(i)))
				for k := 0; k < len(data); k += 8 {
					binary.LittleEndian.PutUint64(data[k:], r.Uint64())
				}
				_, err := w.Write(data)
				return err
			}})
		}
	}
	if err := torchtest.Save(out, "model", all); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkImport opens a checkpoint of 205 MB, finds the network, compares the
// attacker's copy and writes every weight once. Its metrics are the time, as a
// multiple of that of reading the file with a checksum, and the largest heap.
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
// afterwards, including garbage.
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
