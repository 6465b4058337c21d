package arch

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// SeedKey is the metadata entry of Untrained's seed.
const SeedKey = "rtx.seed"

// mostClasses is more than any labelled data have.
const mostClasses = 1 << 20

// law is the distribution that a tensor's values are drawn from, by the fans
// of its layer's weight; what it returns is normal with a standard deviation
// of scale around 0, or else uniform in [-scale, scale). The names are those
// of torch.nn.init.
type law func(fanIn, fanOut float64) (normal bool, scale float64)

var (
	zero         law = func(_, _ float64) (bool, float64) { return false, 0 }
	heIn         law = func(in, _ float64) (bool, float64) { return true, math.Sqrt(2 / in) }    // kaiming_normal_, fan_in
	heOut        law = func(_, out float64) (bool, float64) { return true, math.Sqrt(2 / out) }  // kaiming_normal_, fan_out
	hundredth    law = func(_, _ float64) (bool, float64) { return true, 0.01 }                  // normal_, 0, 0.01
	layerDefault law = func(in, _ float64) (bool, float64) { return false, 1 / math.Sqrt(in) }   // kaiming_uniform_, a=sqrt(5): what nn.Conv2d and nn.Linear begin with, their biases too
	sigmoidOut   law = func(_, out float64) (bool, float64) { return false, math.Sqrt(3 / out) } // kaiming_uniform_, fan_out, sigmoid
)

// start says how the layers of a network begin. Batch norms always do as the
// identity: weights and variances of 1, biases and means of 0.
type start struct{ conv, convBias, linear, linearBias law }

// Those of torchvision 0.14, and of the projects that published the others.
var (
	residualStart  = start{heOut, zero, layerDefault, layerDefault} // ResNet; its convolutions have no bias
	mobileStart    = start{heOut, zero, hundredth, zero}            // MobileNetV2 and VGG
	mnasStart      = start{heOut, zero, sigmoidOut, zero}
	denseStart     = start{heIn, zero, layerDefault, zero}
	optionAStart   = start{heIn, zero, heIn, layerDefault} // akamaster/pytorch_resnet_cifar10
	untouchedStart = start{layerDefault, layerDefault, layerDefault, layerDefault}
)

// Untrained builds a network as it is before training: its values are drawn
// from the distributions that its PyTorch definition draws from, which are
// torchvision's, for cifar_resnet20 to 110 akamaster's, and PyTorch's own
// where a definition says nothing: ShuffleNetV2, cifar_resnet18 and 50,
// resnet2b and resnet8.
//
// A tensor's values are those of math/rand/v2's ChaCha8, keyed with the
// SHA-256 of the seed, 8 bytes little-endian, and the tensor's name: they do
// not depend on other tensors. They are made while the model is written. The
// seed becomes metadata, under SeedKey.
func Untrained(name string, classes int, seed uint64, c Config) (*onnx.Model, error) {
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	if classes < 1 || classes > mostClasses {
		return nil, fmt.Errorf("arch: %s: %d classes, expected 1 to %d", name, classes, mostClasses)
	}
	b, err := a.define(classes, c.InputSize)
	if err != nil {
		return nil, err
	}
	if err := c.check(a, b); err != nil {
		return nil, fmt.Errorf("arch: %s: %w", name, err)
	}
	m, spec := a.model(b, c)
	a.draw(m, b, seed)
	if m, err = c.labelled(m); err != nil {
		return nil, err
	}
	return m.WithMetadata(SeedKey, strconv.FormatUint(seed, 10)).WithSpec(spec)
}

// draw adds the parameters to the model, drawn as the architecture's layers
// begin. A bias stands behind the weight of its layer.
func (a architecture) draw(m *onnx.Model, b *builder, seed uint64) {
	norms := map[string]bool{}
	for _, n := range b.norms {
		norms[n] = true
	}
	var fanIn, fanOut float64
	var bias law
	for _, p := range b.params {
		t, n := initializer(m, p), int(onnx.Tensor{Dims: p.dims}.Elements())
		layer, kind := p.name[:max(0, strings.LastIndexByte(p.name, '.'))], p.name[strings.LastIndexByte(p.name, '.')+1:]
		of := bias
		switch {
		case p.values != nil:
			p.fill(m, t)
			continue
		case norms[layer]:
			one := kind == "weight" || kind == "running_var"
			m.SetPayload(t, int64(4*n), written(n, constant(map[bool]float64{true: 1}[one])))
			continue
		case len(p.dims) == 4: // [out, in/groups, height, width]
			of, bias = a.start.conv, a.start.convBias
			fanIn, fanOut = fans(p.dims)
		case len(p.dims) == 2: // [out, in]
			of, bias = a.start.linear, a.start.linearBias
			fanIn, fanOut = fans(p.dims)
		}
		normal, scale := of(fanIn, fanOut)
		m.SetPayload(t, int64(4*n), written(n, drawn(seed, p.name, normal, scale)))
	}
}

// fans are the inputs of an output of a layer, and what torch takes for the
// outputs of an input: groups do not count there.
func fans(weight []int64) (in, out float64) {
	area := int64(1)
	for _, d := range weight[2:] {
		area *= d
	}
	return float64(weight[1] * area), float64(weight[0] * area)
}

func constant(v float64) func() func() float64 {
	return func() func() float64 { return func() float64 { return v } }
}

// drawn is a sequence that begins anew at each call, the same for a seed and
// a name.
func drawn(seed uint64, name string, normal bool, scale float64) func() func() float64 {
	if scale == 0 {
		return constant(0)
	}
	return func() func() float64 {
		r := rand.New(rand.NewChaCha8(sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), name...))))
		if normal {
			return func() float64 { return scale * r.NormFloat64() }
		}
		return func() float64 { return scale * (2*r.Float64() - 1) }
	}
}
