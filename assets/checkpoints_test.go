package assets_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets"
)

// TestReleased counts the released checkpoints and reads their names back.
func TestReleased(t *testing.T) {
	sweeps, names := map[string]int{}, map[string]bool{}
	n, sum := 0, 0.0
	for _, c := range assets.Checkpoints() {
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		names[c.Name] = true
		if c.Bundled {
			if _, err := assets.Backbones.ReadFile("backbones/" + c.File); err != nil {
				t.Error(err)
			}
			continue
		}
		n++
		sum += c.Top1
		sweeps[c.Arch+" "+c.Norm]++
		before, written, ok := strings.Cut(c.Name, "_"+c.Norm+"_eps")
		eps, err := strconv.ParseFloat(written, 64)
		if c.Norm == "linf" {
			eps /= 255
		}
		if !ok || err != nil || eps != c.Eps || !strings.HasPrefix(c.Arch, before) || c.File != c.Name+".ckpt" || !strings.HasSuffix(c.URL, "/"+c.File) {
			t.Errorf("%+v does not agree with its name", c)
		}
		if digits, err := hex.DecodeString(c.SHA256); err != nil || len(digits) > 32 || c.Size < 0 || c.Licence != "MIT" || c.Classes != 1000 {
			t.Errorf("%+v", c)
		}
	}
	if n != 67 || len(names) != 70 {
		t.Errorf("%d released, %d in all", n, len(names))
	}
	want := map[string]int{
		"resnet18 l2": 10, "resnet50 l2": 10, "wide_resnet50_2 l2": 10, "wide_resnet50_4 l2": 10,
		"densenet161 l2": 2, "mnasnet1_0 l2": 2, "mobilenet_v2 l2": 2, "resnext50_32x4d l2": 2, "shufflenet_v2_x1_0 l2": 2, "vgg16_bn l2": 2,
		"resnet18 linf": 5, "resnet50 linf": 5, "wide_resnet50_2 linf": 5,
	}
	if fmt.Sprint(sweeps) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", sweeps, want)
	}
	// The sums of the README's rows: L2 sweeps, pairs, Linf sweeps.
	if rows := 640.80 + 714.30 + 737.96 + 753.21 + 144.35 + 102.80 + 115.66 + 143.63 + 107.57 + 130.85 + 283.82 + 333.27 + 352.05; math.Abs(100*sum-rows) > 1e-9 {
		t.Errorf("top-1 accuracies add up to %.2f, want %.2f", 100*sum, rows)
	}
}

// TestPublished compares some lines with the release's README.
func TestPublished(t *testing.T) {
	want := map[string]float64{
		"resnet18_l2_eps0": 69.79, "resnet50_l2_eps0.25": 74.14, "resnet50_l2_eps3": 62.83, "wide_resnet50_2_l2_eps5": 60.94,
		"wide_resnet50_4_l2_eps0.05": 77.77, "densenet_l2_eps3": 66.98, "mnasnet_l2_eps0": 60.97, "mobilenet_l2_eps3": 50.40,
		"resnext50_32x4d_l2_eps0": 77.38, "shufflenet_l2_eps3": 43.32, "vgg16_bn_l2_eps0": 73.66, "resnet18_linf_eps4.0": 52.49,
		"resnet50_linf_eps4.0": 63.86, "wide_resnet50_2_linf_eps0.5": 75.82, "resnet18_linf_eps8.0": 42.11,
	}
	for _, c := range assets.Checkpoints() {
		if percent, ok := want[c.Name]; ok && math.Abs(c.Top1*100-percent) > 1e-9 {
			t.Errorf("%s: %v, want %v percent", c.Name, c.Top1, percent)
		}
		delete(want, c.Name)
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
}
