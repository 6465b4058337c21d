package assets

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// mirror is the URL below which the released checkpoints lie, each under its file
// name.
const mirror = "https://huggingface.co/madrylab/robust-imagenet-models/resolve/main/"

// Checkpoint is an entry of the catalogue: a model with a name. A field whose value
// is not known is empty or 0.
type Checkpoint struct {
	Name    string  // "resnet50_l2_eps3"
	File    string  // name of its file: "resnet50_l2_eps3.ckpt"
	Arch    string  // as package onnx/arch calls it: "resnet50", "densenet161"
	Norm    string  // threat model of its adversarial training: "l2" or "linf"
	Eps     float64 // radius of that, in units of [0,1] pixels; 0 is standard training
	Top1    float64 // published top-1 accuracy on ImageNet, a fraction
	Classes int
	Licence string
	Layout  string // of a PyTorch file: "robustness" names its tensors module.model.*
	Size    int64  // bytes
	SHA256  string // in hex: the whole digest or its beginning
	URL     string // where it can be downloaded
	Bundled bool   // it is a file of Backbones
}

//go:embed checkpoints.tsv
var checkpointTable string

// bundled are the files of Backbones.
var bundled = []Checkpoint{
	{Name: "resnet8_std"},
	{Name: "resnet8_l2_eps0.25", Norm: "l2", Eps: 0.25},
	{Name: "resnet8_noiseaug"},
}

// Checkpoints returns the catalogue: the 67 checkpoints released with Salman et al.
// (2020), "Do Adversarially Robust ImageNet Models Transfer Better?", then the
// bundled backbones.
func Checkpoints() []Checkpoint { return slices.Clone(catalogue()) }

// catalogue is read when it is first needed.
var catalogue = sync.OnceValue(func() []Checkpoint {
	var all []Checkpoint
	for line := range strings.Lines(checkpointTable) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, released(strings.Fields(line)))
		}
	}
	for _, c := range bundled {
		c.File, c.Arch, c.Classes, c.Licence, c.Bundled = c.Name+".onnx", "resnet8", 10, "MIT", true
		all = append(all, c)
	}
	return all
})

// released reads a line of the table. Tests check every line, so errors are ignored.
func released(f []string) Checkpoint {
	c := Checkpoint{
		Name: f[0], File: f[0] + ".ckpt", Arch: f[1], Norm: f[2], Classes: 1000, Licence: "MIT", Layout: "robustness",
		SHA256: strings.Trim(f[6], "-"), URL: mirror + f[0] + ".ckpt",
	}
	eps, of255 := strings.CutSuffix(f[3], "/255")
	c.Eps, _ = strconv.ParseFloat(eps, 64)
	if of255 {
		c.Eps /= 255
	}
	percent, _ := strconv.ParseFloat(f[4], 64)
	c.Top1 = percent / 100
	c.Size, _ = strconv.ParseInt(f[5], 10, 64)
	return c
}
