package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFaults checks the table of faults that were found with real files: every line
// names a test that exists.
func TestFaults(t *testing.T) {
	text := readFile(t, filepath.Join("..", ".ci", "faults.tsv"))
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if want := "point\tinput\tbefore\tafter\treference\ttest"; lines[0] != want {
		t.Fatalf("header %q, want %q", lines[0], want)
	}
	tests := testFunctions(t)
	for i, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 6 {
			t.Errorf("line %d has %d cells: %q", i+2, len(cells), line)
			continue
		}
		for _, name := range strings.Split(cells[5], ", ") {
			if !tests[name] {
				t.Errorf("line %d: there is no test %q", i+2, name)
			}
		}
	}
}

// testFunctions are the tests of all packages, as package.TestName, with the name of
// the package's folder.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllSubmatch(text, -1) {
			found[filepath.Base(filepath.Dir(path))+"."+string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
