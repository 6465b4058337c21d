package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/photos"
)

// TestParity compares the whole way, from files to features, with PyTorch's:
// make parity. PYTHON names an interpreter that has it.
func TestParity(t *testing.T) {
	python := os.Getenv("PYTHON")
	if python == "" {
		t.Skip("PYTHON names an interpreter with torch, torchvision and Pillow: make parity")
	}
	needLibrary(t)
	if out, err := exec.Command(python, "-c", "import torch, torchvision, PIL").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if os.Getenv("RTX_REQUIRE_PEERS") == "1" {
			t.Fatal(lines[len(lines)-1])
		}
		t.Skipf("SKIPPED: %s: %s", python, lines[len(lines)-1])
	}
	compare := func(t *testing.T, name, images, weights string, bar float64) {
		bin := command(t).Path
		cmd := exec.Command(python, "-W", "ignore", filepath.Join("testdata", "parity.py"), bin, name, images, weights, t.TempDir())
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		lines := bytes.Split(bytes.TrimSpace(stdout.Bytes()), []byte("\n"))
		var r struct {
			About      string
			Images     int
			Difference float64
		}
		if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
			t.Fatalf("%v: %s", err, stdout.String())
		}
		t.Logf("%s: features of %d images differ by %.1e of the largest; %s", name, r.Images, r.Difference, r.About)
		if !(r.Difference <= bar) {
			t.Errorf("%s: features differ by %.1e, at most %.0e", name, r.Difference, bar)
		}
	}
	t.Run("resnet50, drawn photographs", func(t *testing.T) {
		images := t.TempDir()
		for i := range 48 {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, photos.Draw(uint64(i), 500, 375), &jpeg.Options{Quality: 90}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(images, fmt.Sprintf("%02d.jpg", i)), b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		compare(t, "resnet50", images, "-", 1e-4)
	})
	t.Run("resnet50, photographs", func(t *testing.T) {
		compare(t, "resnet50", untar(t, sharedData(t, "images/bccd.tar")), "-", 1e-4)
	})
	t.Run("resnet20, CIFAR-10", func(t *testing.T) {
		weights := sharedData(t, "nets/resnet20-12fca82f.th")
		images := untar(t, sharedData(t, "images/cifar10-jpeg.tar"), "cifar10-jpeg/test")
		compare(t, "resnet20", filepath.Join(images, "cifar10-jpeg", "test"), weights, 1e-5)
	})
}
