package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWriteFile interrupts the writing of a file: nothing of it remains, and the
// old file of that name does.
func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(name, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := target{flag: "out", name: name, overwrite: true}.write(ctx, func(w io.Writer) error {
		for i := range 3 {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return err
			}
			if i == 1 {
				cancel(signalled{syscall.SIGTERM})
			}
		}
		return nil
	})
	if code, hint := verdict(err); code != 143 || hint != "nothing was written; the same command starts over" {
		t.Errorf("%v: exit %d, %q", err, code, hint)
	}
	if data, _ := os.ReadFile(name); string(data) != "old" {
		t.Errorf("the file holds %d bytes", len(data))
	}
	if left, _ := filepath.Glob(name + "*"); len(left) != 1 {
		t.Errorf("left %q", left)
	}
}
