package torch

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// normalizers are the names that mean and standard deviation have in common
// normalizers. The first pair is InputNormalize of robustness, which clamps.
var normalizers = [][2]string{{"new_mean", "new_std"}, {"mean", "std"}, {"mu", "sigma"}}

// normalizer takes the mean and the standard deviation of a module in front of
// the network off the tensors.
func (b *builder) normalizer() (bool, error) {
	if b.Mean != nil {
		return false, nil
	}
	for _, prefix := range []string{"normalizer.", "normalize.", "normalization.", "norm.", "", "0."} {
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

// sequential says that all other tensors are those of the second module.
func (b *builder) sequential(mean, std int) bool {
	for i, e := range b.entries {
		if i != mean && i != std && !strings.HasPrefix(e.name, "1.") {
			return false
		}
	}
	return true
}

// channels are the values of a tensor that has one a channel, nil where it is
// no such tensor.
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

// take drops the two tensors of the normalizer.
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
