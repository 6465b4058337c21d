package checkpoint

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// recognize names the architecture of the network, or checks that it is the one
// that was asked for. A normalizer that torch took for a module in front of the
// network may turn out to be a part of the network.
func (c *Checkpoint) recognize(asked string) (string, error) {
	match := arch.Recognize
	if asked != "" {
		match = func(tensors []onnx.Tensor) (string, error) {
			_, err := arch.Build(asked, tensors, arch.Config{})
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
	if _, err := arch.Build(name, tensors, arch.Config{}); err == nil {
		return tensors
	}
	return slices.Clone(c.Network.Tensors)
}
