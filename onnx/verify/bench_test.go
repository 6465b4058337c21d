package verify

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// resnet50 is a model in a file.
func resnet50(b *testing.B) *onnx.Model {
	m, err := arch.Synthetic("resnet50", 1000)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "resnet50.onnx")
	if err := m.Save(file); err != nil {
		b.Fatal(err)
	}
	if m, err = onnx.Load(file); err != nil {
		b.Fatal(err)
	}
	return m
}

// peak reports the most memory that this process has had: of one benchmark, if
// it is alone.
func peak(b *testing.B) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err == nil {
		b.ReportMetric(float64(u.Maxrss)/1024, "MB-resident")
	}
}

// BenchmarkFile compares a ResNet-50 with its file.
func BenchmarkFile(b *testing.B) {
	m := resnet50(b)
	for b.Loop() {
		if _, err := File(b.Context(), m.Path(), m); err != nil {
			b.Fatal(err)
		}
	}
	peak(b)
}

// BenchmarkWhole decodes and hashes the same file in one piece.
func BenchmarkWhole(b *testing.B) {
	m := resnet50(b)
	for b.Loop() {
		data, err := os.ReadFile(m.Path())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := decode(append(bytes.Clone(lead), data...), true); err != nil {
			b.Fatal(err)
		}
	}
	peak(b)
}
