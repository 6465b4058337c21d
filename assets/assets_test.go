package assets_test

import (
	"testing"

	"github.com/robust-transfer/rtx/assets"
)

// TestBackbonesAreThere compares the bundled files with the catalogue.
func TestBackbonesAreThere(t *testing.T) {
	entries, err := assets.Backbones.ReadDir("backbones")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for _, e := range entries {
		files[e.Name()] = true
	}
	for _, c := range assets.Checkpoints() {
		if !c.Bundled {
			continue
		}
		if data, err := assets.Backbones.ReadFile("backbones/" + c.File); err != nil || len(data) < 600_000 {
			t.Errorf("%s: %d bytes, %v", c.Name, len(data), err)
		}
		delete(files, c.File)
	}
	if len(files) > 0 || len(entries) < 3 {
		t.Errorf("%d files, of which the catalogue does not have %v", len(entries), files)
	}
}
