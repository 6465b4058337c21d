package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

func TestCreateFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	holds := func(file, want string) {
		t.Helper()
		got, err := os.ReadFile(file)
		if err != nil && want != "" || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", filepath.Base(file), got, err, want)
		}
	}
	begin := func(text string) *outFile {
		t.Helper()
		o, err := createFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(o, text)
		return o
	}
	first := begin("first, and longer")
	if _, err := createFile(name); !errors.Is(err, featurize.ErrLocked) {
		t.Errorf("two at once: %v", err)
	}
	holds(name, "")
	if err := first.commit(); err != nil {
		t.Fatal(err)
	}
	holds(name, "first, and longer")
	begin("never").discard()
	holds(name, "first, and longer")
	holds(name+".part", "")
	if err := begin("kept").keep(); err != nil {
		t.Fatal(err)
	}
	holds(name, "first, and longer")
	holds(name+".part", "kept")
	if err := begin("2nd").commit(); err != nil {
		t.Fatal(err)
	}
	holds(name, "2nd")

	// A file that was given its name after it was opened.
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !isNamed(f) {
		t.Error("the file has lost its name")
	}
	if err := os.Rename(name, name+"2"); err != nil {
		t.Fatal(err)
	}
	if isNamed(f) {
		t.Error("the file has kept its name")
	}
}

// TestWriteFile ends a file that is being written: nothing of it stays, and
// what had its name does.
func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(name, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := writeFile(ctx, name, func(w io.Writer) error {
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
