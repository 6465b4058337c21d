package torch

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// normalizers are the names of mean and standard deviation in common
// normalisation modules. The first pair is that of robustness' InputNormalize,
// which clamps its input.
var normalizers = [][2]string{{"new_mean", "new_std"}, {"mean", "std"}, {"mu", "sigma"}}

// normalizerModules are the names of such modules, as prefixes. "0." is that of an
// nn.Sequential.
var normalizerModules = []string{"normalizer.", "normalize.", "normalization.", "norm.", "", "0."}

// normalizer removes the tensors of a normalisation module in front of the
// network and keeps their values as Mean and Std. It reports whether it did.
func (b *builder) normalizer() (bool, error) {
	if b.Mean != nil {
		return false, nil
	}
	for _, prefix := range normalizerModules {
		for _, pair := range normalizers {
			mean, std := b.index(prefix+pair[0]), b.index(prefix+pair[1])
			if mean < 0 || std < 0 || len(b.entries) == 2 || prefix == "0." && !b.sequential(mean, std) {
				continue
			}
			m, err := b.channels(mean)
			if err != nil {
				return false, err
			}
			s, err := b.channels(std)
			if err != nil {
				return false, err
			}
			if m == nil || len(m) != len(s) {
				continue
			}
			if slices.ContainsFunc(s, func(v float64) bool { return !(v > 0) || math.IsInf(v, 0) }) || math.IsNaN(sum(m)) {
				return false, fmt.Errorf("tensors %q and %q: mean %v, standard deviation %v: %w", b.entries[mean].key, b.entries[std].key, m, s, ErrFormat)
			}
			b.Mean, b.Std, b.Clamp, b.sequence = m, s, pair == normalizers[0], prefix == "0."
			b.take(mean, std)
			return true, nil
		}
	}
	return false, nil
}

func sum(v []float64) float64 {
	t := 0.0
	for _, x := range v {
		t += x
	}
	return t
}

func (b *builder) index(name string) int {
	return slices.IndexFunc(b.entries, func(e entry) bool { return e.name == name })
}

// sequential reports whether all other tensors are those of the second module
// of an nn.Sequential.
func (b *builder) sequential(mean, std int) bool {
	for i, e := range b.entries {
		if i != mean && i != std && !strings.HasPrefix(e.name, "1.") {
			return false
		}
	}
	return true
}

// channels returns the values of a tensor that has one value per channel, such
// as [3,1,1], and nil for any other tensor.
func (b *builder) channels(i int) ([]float64, error) {
	e := b.entries[i]
	n := int64(1)
	for _, d := range e.t.Dims {
		if d != 1 && n != 1 {
			return nil, nil
		}
		n *= d
	}
	if n < 1 || n > 4 {
		return nil, nil
	}
	v, err := e.t.Floats()
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", e.key, err)
	}
	return v, nil
}

// take moves the two tensors of the normalizer out of the network.
func (b *builder) take(mean, std int) {
	var kept []entry
	for i, e := range b.entries {
		if i == mean || i == std {
			b.Dropped = append(b.Dropped, Drop{e.key, "normalizer"})
			b.Normalizer = append(b.Normalizer, e.t.Named(e.name))
		} else {
			kept = append(kept, e)
		}
	}
	b.entries = kept
}
