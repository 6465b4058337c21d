package arch

import (
	"bufio"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
)

// Weights of Synthetic. The gains below scale the weights of batch norms, so that
// activations stay of order one through the depth of a network.

// linearGain is for a batch norm without an activation behind it, which would
// halve the variance.
const linearGain = 0.5

// blockGain is for the last batch norm of every residual block, whose outputs add
// up over the blocks of the network.
func blockGain(blocks int) float64 {
	if blocks > 20 {
		return 0.125
	}
	return 0.25
}

// uniform returns a number in [0,1) for element i of a tensor: the upper 24 bits
// of splitmix64, seeded with the FNV-1a hash of the tensor's name.
func uniform(hash uint64, i int) float64 {
	z := hash + (uint64(i)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>40) / (1 << 24)
}

// rule returns a function that writes the n values of a tensor, in [low, high),
// as little-endian float32.
func rule(name string, n int, low, high float64) func(io.Writer) error {
	return float32s(n, func() func() float64 {
		h := fnv.New64a()
		h.Write([]byte(name))
		hash, i := h.Sum64(), -1
		return func() float64 {
			i++
			return low + float64((high-low)*uniform(hash, i))
		}
	})
}

// float32s returns a function that writes the first n values of a sequence as
// little-endian float32. Each write calls begin to start the sequence anew.
func float32s(n int, begin func() func() float64) func(io.Writer) error {
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
