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

// TestNew begins files of names that others have, before and meanwhile.
func TestNew(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x")
	f, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "ours")
	if err := os.WriteFile(name, []byte("theirs"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.Is(err, ErrExists) {
		t.Errorf("a file that came meanwhile: %v", err)
	}
	if _, err := New(name); !errors.Is(err, ErrExists) {
		t.Errorf("a file that is there: %v", err)
	}
	if got, _ := os.ReadFile(name); string(got) != "theirs" {
		t.Errorf("it holds %q", got)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	if _, err := New(link); !errors.Is(err, ErrExists) {
		t.Errorf("a link that leads nowhere: %v", err)
	}
	if f, err = New(filepath.Join(dir, "y")); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "new")
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "y")); string(got) != "new" {
		t.Errorf("it holds %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestKeep overwrites folders of other jobs that hold what is read.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	layout := Layout{Kind: "test", Files: []string{"sub/a", "mark"}, Parts: []string{"part-*"}}
	for _, name := range []string{"sub/a", "mark", "other", "part-1/.rtx/x", "part-1/b"} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(dir, "sub", "a"), link); err != nil {
		t.Fatal(err)
	}
	f, err := Open(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for input, kept := range map[string]bool{"sub/a": true, "mark": true, "part-1/b": true, "other": false, "sub": false, "none": false, link: true} {
		if !filepath.IsAbs(input) {
			input = filepath.Join(dir, filepath.FromSlash(input))
		}
		f.inputs = nil
		f.Keep(input)
		if err := f.checkInputs(); errors.Is(err, ErrInput) != kept {
			t.Errorf("%q: %v", input, err)
		}
	}
	f.Keep(filepath.Join(dir, "mark"))
	if err := f.Begin(struct{}{}, true); !errors.Is(err, ErrInput) {
		t.Errorf("overwriting an input: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mark")); err != nil {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(dir, "mark"), layout); !errors.Is(err, ErrNoFolder) {
		t.Errorf("a file: %v", err)
	}
}
