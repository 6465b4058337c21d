package assets

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// mirror is where the released checkpoints lie, each under its file name.
const mirror = "https://huggingface.co/madrylab/robust-imagenet-models/resolve/main/"

// ErrMismatch is wrapped by errors that say that a file is not what the
// catalogue says of it.
var ErrMismatch = errors.New("not what the catalogue says")

// Checkpoint is a model that has a name.
type Checkpoint struct {
	Name    string
	File    string
	Arch    string  // as rtx calls it: resnet50, densenet161; "" where not known
	Norm    string  // of the adversary it was trained against: "l2", "linf", "" for none
	Eps     float64 // in units of [0,1] pixels; 0 is standard training
	Top1    float64 // published, on ImageNet, a fraction; 0 where there is none
	Classes int     // 0 where not known
	Licence string  // "" where not known
	Layout  string  // of a PyTorch file: "robustness" names its tensors module.model.*
	Size    int64   // bytes; 0 where not known
	SHA256  string  // in hex: the whole digest or its beginning; "" where not known
	URL     string  // "" where it cannot be downloaded
	Bundled bool    // Backbones has it
}

//go:embed checkpoints.tsv
var checkpointTable string

// Checkpoints lists the released checkpoints, then the bundled backbones.
var Checkpoints = sync.OnceValue(func() []Checkpoint {
	var all []Checkpoint
	for line := range strings.Lines(checkpointTable) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, released(strings.Fields(line)))
		}
	}
	for _, b := range Demo {
		all = append(all, Checkpoint{
			Name: b.Name, File: b.Name + ".onnx", Arch: "resnet8", Norm: b.Norm, Eps: b.Eps, Classes: 10, Licence: "MIT", Bundled: true,
		})
	}
	return all
})

// released reads a line of the table. What is wrong in it shows in the tests.
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

// Check compares a checkpoint's claims with what was found in its file: the
// architecture, and the number of classes or 0. A difference is ErrMismatch.
func (c Checkpoint) Check(arch string, classes int) error {
	switch {
	case c.Arch != "" && arch != "" && arch != c.Arch:
		return fmt.Errorf("%s should be a %s, and the file holds a %s: %w", c.Name, c.Arch, arch, ErrMismatch)
	case c.Classes != 0 && classes != 0 && classes != c.Classes:
		return fmt.Errorf("%s should have %d classes, and the file has %d: %w", c.Name, c.Classes, classes, ErrMismatch)
	}
	return nil
}
