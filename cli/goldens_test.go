package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGoldens holds that make golden knows a script for each file under a
// testdata folder, but for inputs that fuzzing found and for the table that
// TestParityForeign writes.
func TestGoldens(t *testing.T) {
	root := ".."
	text, err := os.ReadFile(filepath.Join(root, ".ci", "goldens.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{filepath.Join(root, "cli", "testdata", "foreign.tsv"): true}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(line, "\t")
		if len(row) != 4 {
			t.Fatalf("%q has %d columns, expected 4", line, len(row))
		}
		script := filepath.Join(root, row[0], strings.Fields(row[1])[0])
		if _, err := os.Stat(script); err != nil {
			t.Error(err)
		}
		for _, pattern := range strings.Fields(row[2]) {
			files, err := filepath.Glob(filepath.Join(root, row[0], pattern))
			if err != nil || len(files) == 0 {
				t.Errorf("%s/%s is no file (%v)", row[0], pattern, err)
			}
			for _, f := range files {
				made[f] = true
			}
		}
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "__pycache__" || d.Name() == "fuzz") {
			return fs.SkipDir
		}
		if d.IsDir() || !slices.Contains(strings.Split(filepath.Dir(path), string(filepath.Separator)), "testdata") {
			return nil
		}
		if script := []string{".py", ".sh", ".zsh"}; !made[path] && !slices.Contains(script, filepath.Ext(path)) {
			t.Errorf("%s is made by no script that .ci/goldens.tsv names", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
