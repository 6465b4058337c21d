package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// imports measures rtx import on checkpoints that hold every weight twice, as those
// of robustness do: its time, relative to reading the file and computing the SHA-256
// that the Spec has, and its peak memory, relative to the size of the weights.
func (b *bench) imports(ctx context.Context) error {
	rtx, err := b.build(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"resnet50", "wide_resnet50_4"} {
		if err := b.importOne(ctx, rtx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (b *bench) importOne(ctx context.Context, rtx, name string) error {
	file, model := filepath.Join(b.dir, name+".pt"), filepath.Join(b.dir, name+".onnx")
	defer os.Remove(file)
	defer os.Remove(model)
	weights, err := twice(file, name)
	if err != nil {
		return err
	}
	var ratios, times, plain, crc, peaks []float64
	for range b.rounds {
		s, err := digested(file, sha256.New())
		if err != nil {
			return err
		}
		c, err := digested(file, crc32.NewIEEE())
		if err != nil {
			return err
		}
		t, peak, err := process(ctx, rtx, "import", file, "-o", model, "--overwrite", "-q")
		if err != nil {
			return err
		}
		ratios, times, plain, crc, peaks = append(ratios, t/s), append(times, t), append(plain, s), append(crc, c), append(peaks, peak/weights)
	}
	b.rows = append(b.rows,
		row{fmt.Sprintf("import %s, weights of %.0f MB twice", name, weights/1e6), fmt.Sprintf("%.2f s", median(times)), fmt.Sprintf("%.2f s, reading with SHA-256", median(plain)), median(ratios), "<= 3"},
		row{"the same, peak resident memory", fmt.Sprintf("%.0f MB", median(peaks)*weights/1e6), fmt.Sprintf("%.0f MB, the weights once", weights/1e6), median(peaks), "<= 1.3"})
	b.notes = append(b.notes, fmt.Sprintf("  import %s: ratios %.2f; reading with CRC-32 instead takes %.2f s", name, ratios, median(crc)))
	return nil
}

// twice writes a checkpoint of a network as robustness does, with the model's
// weights under the attacker again, and returns their size, counted once.
func twice(file, name string) (size float64, err error) {
	m, err := arch.Synthetic(name, 1000)
	if err != nil {
		return 0, err
	}
	var all []onnx.Tensor
	for _, prefix := range []string{"module.model.", "module.attacker.model."} {
		size = 0
		for _, t := range m.Tensors() {
			size += float64(t.Size())
			t.Name = prefix + t.Name
			all = append(all, t)
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return size, torchtest.Save(f, "model", all)
}

// digested is the time in seconds for reading a file and computing its SHA-256.
func digested(file string, h hash.Hash) (float64, error) {
	start := time.Now()
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return time.Since(start).Seconds(), err
}

// process runs a command and returns its time in seconds and its peak resident
// memory in bytes.
func process(ctx context.Context, name string, args ...string) (seconds, peak float64, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	seconds = time.Since(start).Seconds()
	peak, err = resident(cmd.ProcessState.SysUsage())
	return seconds, peak, err
}

// resident is the peak resident memory of a process, in bytes.
func resident(usage any) (float64, error) {
	u, ok := usage.(*syscall.Rusage)
	if !ok {
		return 0, fmt.Errorf("%s: memory is not known here", runtime.GOOS)
	}
	if runtime.GOOS == "linux" {
		return float64(u.Maxrss) * 1024, nil
	}
	return float64(u.Maxrss), nil // elsewhere bytes
}
