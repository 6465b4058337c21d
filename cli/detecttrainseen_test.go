package cli_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestDetectTrainSeen wants a detector to say which images it was trained on and chosen by,
// also those of the detector that it was made from, and eval to tell it.
func TestDetectTrainSeen(t *testing.T) {
	needLibrary(t)
	model, data, other := learnable(t, "fasterrcnn_tiny_fpn"), shapesSet(t, 4, 2), shapesTall(t, 2, 1, 32)
	first, second := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	training(t, "-m", model, "-d", data, "-o", first, "--epochs", "1", "-b", "2", "--empty", "keep")
	splits := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(readFile(t, first, "images.jsonl"))); lines.Scan(); {
		var m struct{ Split, Path, SHA256 string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(readFile(t, data, filepath.FromSlash(m.Path)))); m.SHA256 != want {
			t.Errorf("%s, want %s", lines.Text(), want)
		}
		splits[m.Split]++
	}
	if fmt.Sprint(splits) != "map[train:4 val:2]" {
		t.Errorf("images.jsonl lists %v", splits)
	}
	training(t, "-m", filepath.Join(first, "weights", "best.onnx"), "-d", other, "-o", second, "--epochs", "1", "-b", "2", "--empty", "keep")
	for _, c := range []struct{ model, data, split, want, told string }{
		{first, data, "all", "map[n:6 train:4 val:2]", "4 of 6 images were trained on, and 2 more chose the epoch"},
		{first, data, "val", "map[n:2 train:0 val:2]", "2 of 2 images chose the epoch"},
		{first, other, "all", "map[n:3 train:0 val:0]", ""},
		{second, other, "train", "map[n:2 train:2 val:0]", "2 of 2 images were trained on: the figures"},
		{second, data, "all", "map[n:6 train:4 val:2]", "4 of 6 images were trained on"},
		{model, data, "val", "<nil>", ""},
	} {
		got, r := overlapOf(t, "-m", c.model, "-d", c.data, "--split", c.split)
		told := fmt.Sprint(r["warnings"])
		if got != c.want || !strings.Contains(told, c.told) || c.told == "" && strings.Contains(told, "better than those") {
			t.Errorf("%s of %s: %s, want %s; warnings %s", c.split, c.data, got, c.want, told)
		}
	}
}
