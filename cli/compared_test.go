package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestContenderRead counts what the seeds of a probe have right: their share,
// and their majority, which the first seed settles where they are divided.
func TestContenderRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "predictions.csv")
	text := "path,class,predicted_0,predicted_1,predicted_2,predicted_3\n" +
		"1,a,a,a,a,b\n" + "2,b,a,a,a,b\n" + "3,a,a,b,b,a\n" + "4,b,a,b,b,a\n" + "5,b,a,a,a,a\n"
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	one := &contender{}
	if err := one.read(file); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one.right, []float64{.75, .25, .5, .5, 0}) || !slices.Equal(one.most, []bool{true, false, true, false, false}) {
		t.Errorf("right %v, most %v", one.right, one.most)
	}
	if !slices.Equal(one.paths, []string{"1", "2", "3", "4", "5"}) {
		t.Errorf("paths %q", one.paths)
	}
}
