package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
