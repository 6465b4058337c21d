package checkpoint

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// recognize names the architecture of the network, or checks that it is the one
// that was asked for. Where the tensors are not those of a network as a whole, it
// takes the network that comes first within them. A network whose head may be among
// the weights that were made integers is an ErrQuantized.
func (c *Checkpoint) recognize(asked string) (string, error) {
	name, err := c.find(asked)
	if err == nil && asked == "" {
		name = c.withStride(name)
	}
	if err == nil && c.headless() && c.File.Quantized() {
		return "", fmt.Errorf("%w: the layers of %s are there but for its head, and the file holds weights that are integers", ErrQuantized, name)
	}
	return name, err
}

func (c *Checkpoint) find(asked string) (string, error) {
	name, err := c.recognizeWhole(asked)
	if err == nil {
		return name, c.listOthers(asked)
	}
	if c.within != nil {
		return name, err
	}
	places, e := c.places(asked)
	if e != nil {
		return "", e
	}
	if at := foremost(places, c.dict()); at >= 0 && places[at].within != nil {
		if err := c.take(places, at); err != nil {
			return "", err
		}
		return c.recognizeWhole(asked)
	}
	if c.quantized() {
		return "", fmt.Errorf("%w: its weights are integers, or are rounded as it is trained", ErrQuantized)
	}
	return "", err
}

// listOthers lists the networks of the checkpoint where Open took the first of several
// state_dicts by its key, and another of them is a network, too.
func (c *Checkpoint) listOthers(asked string) error {
	if c.Networks != nil {
		return nil
	}
	dicts, err := c.File.StateDicts()
	if err != nil || len(dicts) < 2 {
		return err
	}
	places, err := c.places(asked)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(places, func(p Place) bool { return p.dict > 0 && p.Arch != "" })
	if others && places[0].dict == 0 && places[0].within == nil {
		c.Networks, c.Index = places, 0
	}
	return nil
}

// dict is the index of the state_dict that was chosen.
func (c *Checkpoint) dict() int {
	if len(c.Networks) == 0 {
		return 0
	}
	return c.Networks[c.Index].dict
}

// headless tells whether the network that was chosen has no head.
func (c *Checkpoint) headless() bool { return c.within != nil && c.within.Classes == 0 }

// recognizeWhole names the architecture whose tensors are those of c.Network. A
// normalizer that torch took for a module in front of the network may turn out to be
// a part of the network.
func (c *Checkpoint) recognizeWhole(asked string) (string, error) {
	match := arch.Recognize
	if c.within != nil && asked == "" {
		asked = c.within.Arch
	}
	if asked != "" {
		match = func(tensors []onnx.Tensor) (string, error) {
			_, err := arch.Build(asked, tensors, arch.Config{Headless: c.headless()})
			return asked, err
		}
	}
	n := c.Network
	name, err := match(n.Tensors)
	if err == nil || len(n.Normalizer) == 0 {
		return name, err
	}
	whole := append(slices.Clone(n.Normalizer), n.Tensors...)
	if name, e := match(whole); e == nil {
		n.Tensors, n.Normalizer, n.Mean, n.Std, n.Clamp = whole, nil, nil, nil, false
		n.Dropped = slices.DeleteFunc(n.Dropped, func(d torch.Drop) bool { return d.Why == "normalizer" })
		return name, nil
	}
	return "", err
}

// keyed returns the tensors under their keys in the checkpoint, for the Spec to
// record. It keeps the shorter names where the keys are not those of the
// architecture after one common prefix.
func (c *Checkpoint) keyed(name string) []onnx.Tensor {
	tensors := slices.Clone(c.Network.Tensors)
	for i, t := range tensors {
		if key := c.Network.Keys[t.Name]; key != "" {
			tensors[i].Name = key
		}
	}
	if _, err := arch.Build(name, tensors, arch.Config{Headless: c.headless()}); err == nil {
		return tensors
	}
	return slices.Clone(c.Network.Tensors)
}
