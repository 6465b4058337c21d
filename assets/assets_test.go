package assets_test

import (
	"testing"

	"github.com/robust-transfer/rtx/assets"
)

func TestDemoBackbonesAreThere(t *testing.T) {
	entries, err := assets.Backbones.ReadDir("backbones")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(assets.Demo) {
		t.Errorf("%d files, %d descriptions", len(entries), len(assets.Demo))
	}
	for _, b := range assets.Demo {
		if data, err := assets.Backbones.ReadFile(b.File()); err != nil || len(data) < 600_000 {
			t.Errorf("%s: %d bytes, %v", b.Name, len(data), err)
		}
	}
}
