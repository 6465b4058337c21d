package arch

import (
	"bufio"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
)

// linearGain scales a batch norm by the rule that no activation follows, which
// would halve the variance.
const linearGain = 0.5

// lastGain scales the last batch norm of each of a network's residual blocks,
// so that the sum of them stays of order one.
func lastGain(blocks int) float64 {
	if blocks > 20 {
		return 0.125
	}
	return 0.25
}

// uniform is the rule: splitmix64 of the name's FNV-1a hash and the index,
// its upper 24 bits as a number in [0,1).
func uniform(hash uint64, i int) float64 {
	z := hash + (uint64(i)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>40) / (1 << 24)
}

// rule writes n float32 in [low, high), little-endian.
func rule(name string, n int, low, high float64) func(io.Writer) error {
	return written(n, func() func() float64 {
		h := fnv.New64a()
		h.Write([]byte(name))
		hash, i := h.Sum64(), -1
		return func() float64 {
			i++
			return low + float64((high-low)*uniform(hash, i))
		}
	})
}

// written writes the first n values of a sequence as float32, little-endian;
// begin starts it anew each time.
func written(n int, begin func() func() float64) func(io.Writer) error {
	return func(w io.Writer) error {
		next, b := begin(), bufio.NewWriterSize(w, 1<<16)
		var v [4]byte
		for range n {
			binary.LittleEndian.PutUint32(v[:], math.Float32bits(float32(next())))
			if _, err := b.Write(v[:]); err != nil {
				return err
			}
		}
		return b.Flush()
	}
}
