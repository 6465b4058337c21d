package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestCreate has a file keep its old contents until new ones are whole, and two
// processes keep out of each other's way.
func TestCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.jsonl")
	holds := func(file, want string) {
		t.Helper()
		got, err := os.ReadFile(file)
		if err != nil && want != "" || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", filepath.Base(file), got, err, want)
		}
	}
	begin := func(text string) *File {
		t.Helper()
		o, err := Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(o, text)
		return o
	}
	first := begin("first, and longer")
	if _, err := Create(name); !errors.Is(err, ErrLocked) {
		t.Errorf("two at once: %v", err)
	}
	holds(name, "")
	if err := first.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(name, "first, and longer")
	begin("never").Discard()
	holds(name, "first, and longer")
	holds(name+".part", "")
	if kept, err := begin("kept").Keep(); err != nil || kept != name+".part" {
		t.Fatalf("%q, %v", kept, err)
	}
	holds(name, "first, and longer")
	holds(name+".part", "kept")
	if err := begin("2nd").Commit(); err != nil {
		t.Fatal(err)
	}
	holds(name, "2nd")

	// A file that was given its name after it was opened.
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !named(f) {
		t.Error("the file has lost its name")
	}
	if err := os.Rename(name, name+"2"); err != nil {
		t.Fatal(err)
	}
	if named(f) {
		t.Error("the file has kept its name")
	}

	if _, err := Create(t.TempDir()); !errors.Is(err, ErrIrregular) {
		t.Errorf("a folder: %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	full, stop := errors.New("full"), errors.New("stop")
	if err := WriteFile(t.Context(), name, func(w io.Writer) error { fmt.Fprint(w, "new"); return full }); !errors.Is(err, full) {
		t.Errorf("a failing write: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := WriteFile(ctx, name, func(w io.Writer) error { cancel(stop); _, err := fmt.Fprint(w, "new"); return err })
	if err != stop {
		t.Errorf("a context that ends: %v", err)
	}
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
	if err := WriteFile(t.Context(), name, func(w io.Writer) error { _, err := fmt.Fprint(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(name); string(got) != "new" {
		t.Errorf("the file holds %q", got)
	}
	if left, _ := filepath.Glob(name + "*"); len(left) != 1 {
		t.Errorf("left %q", left)
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a"), filepath.Join(dir, "new", "b")
	if err := Copy(t.Context(), from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	if err := os.WriteFile(from, []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Copy(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(to); string(got) != "text" {
		t.Errorf("the copy holds %q", got)
	}
}

// TestBelongings has the record go before all that it speaks of.
func TestBelongings(t *testing.T) {
	f, err := Open(t.TempDir(), Layout{Kind: "test", Files: []string{"a", "mark"}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Begin(struct{}{}, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{f.Path("a"), f.Path("mark"), f.State("b")} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	names, err := f.belongings()
	if err != nil || names[0] != f.State(recordName) || names[1] != f.Path("mark") || !slices.Contains(names, f.Path("a")) || !slices.Contains(names, f.State("b")) {
		t.Errorf("%q, %v", names, err)
	}
}

// TestAcquire locks a file that another process removes in the meantime.
func TestAcquire(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := acquire(first); err != nil {
		t.Fatal(err)
	}
	if err := acquire(second); err != ErrLocked {
		t.Errorf("locked: %v", err)
	}
	os.Remove(name)
	first.Close()
	if err := acquire(second); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}
