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

// SeedKey is the metadata entry in which Untrained records its seed.
const SeedKey = "rtx.seed"

// maxClasses is more classes than any data set has.
const maxClasses = 1 << 20

// distribution returns the distribution of a tensor's values, given the fan-in
// and fan-out of its layer: normal with mean 0 and standard deviation scale, or
// uniform in [-scale, scale).
type distribution func(fanIn, fanOut float64) (normal bool, scale float64)

// The distributions in use, with their names in torch.nn.init.
var (
	zero         distribution = func(_, _ float64) (bool, float64) { return false, 0 }
	heIn         distribution = func(in, _ float64) (bool, float64) { return true, math.Sqrt(2 / in) }    // kaiming_normal_, fan_in
	heOut        distribution = func(_, out float64) (bool, float64) { return true, math.Sqrt(2 / out) }  // kaiming_normal_, fan_out
	hundredth    distribution = func(_, _ float64) (bool, float64) { return true, 0.01 }                  // normal_, 0, 0.01
	layerDefault distribution = func(in, _ float64) (bool, float64) { return false, 1 / math.Sqrt(in) }   // kaiming_uniform_, a=sqrt(5): the default of nn.Conv2d and nn.Linear and their biases
	sigmoidOut   distribution = func(_, out float64) (bool, float64) { return false, math.Sqrt(3 / out) } // kaiming_uniform_, fan_out, sigmoid
)

// initialisation says how the layers of a network are initialised. Batch norms
// always begin as the identity: weight and variance 1, bias and mean 0.
type initialisation struct{ conv, convBias, linear, linearBias distribution }

// The initialisations of torchvision 0.14, and of the projects that published the
// other networks.
var (
	residualInit = initialisation{heOut, zero, layerDefault, layerDefault} // ResNet; its convolutions have no bias
	mobileInit   = initialisation{heOut, zero, hundredth, zero}            // MobileNetV2 and VGG
	mnasInit     = initialisation{heOut, zero, sigmoidOut, zero}
	denseInit    = initialisation{heIn, zero, layerDefault, zero}
	optionAInit  = initialisation{heIn, zero, heIn, layerDefault} // akamaster/pytorch_resnet_cifar10
	defaultInit  = initialisation{layerDefault, layerDefault, layerDefault, layerDefault}
)

// Untrained builds a network as it is before training, with random weights. They
// follow the distributions of the network's PyTorch definition: torchvision's, or
// akamaster's for cifar_resnet20 to 110, or PyTorch's defaults for definitions
// that initialise nothing (ShuffleNetV2, cifar_resnet18 and 50, resnet2b,
// resnet8).
//
// The same seed gives the same weights. Each tensor has its own generator,
// math/rand/v2's ChaCha8 with a key made of the seed and the tensor's name, so
// that tensors of one name and shape are equal in all networks. Values are drawn
// while the model is written. The seed is recorded as metadata, under SeedKey.
func Untrained(name string, classes int, seed uint64, c Config) (*onnx.Model, error) {
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	if classes < 1 || classes > maxClasses {
		return nil, fmt.Errorf("arch: %s: %d classes, expected 1 to %d", name, classes, maxClasses)
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

// draw adds the parameters to the model, with random values. A bias follows the
// weight of its layer, whose fans its distribution depends on.
func (a architecture) draw(m *onnx.Model, b *builder, seed uint64) {
	norms := map[string]bool{}
	for _, n := range b.norms {
		norms[n] = true
	}
	var fanIn, fanOut float64
	var bias distribution
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
			m.SetPayload(t, int64(4*n), float32s(n, constant(map[bool]float64{true: 1}[one])))
			continue
		case len(p.dims) == 4: // [out, in/groups, height, width]
			of, bias = a.init.conv, a.init.convBias
			fanIn, fanOut = fans(p.dims)
		case len(p.dims) == 2: // [out, in]
			of, bias = a.init.linear, a.init.linearBias
			fanIn, fanOut = fans(p.dims)
		}
		normal, scale := of(fanIn, fanOut)
		m.SetPayload(t, int64(4*n), float32s(n, drawn(seed, p.name, normal, scale)))
	}
}

// fans returns the fan-in and fan-out of a weight as torch counts them: fan-out
// does not take groups into account.
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

// drawn returns a function that starts the random sequence of a seed and a name
// anew with each call.
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
