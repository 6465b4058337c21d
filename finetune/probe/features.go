package probe

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"

	"github.com/robust-transfer/rtx/featurize"
)

// ReadFeatures reads a feature set into memory, with the labels, groups, splits and
// paths of its manifest. Features of several dimensions are flattened.
func ReadFeatures(s *featurize.Set) (Data, error) {
	d := Data{N: s.Len(), D: 1, Classes: s.Classes}
	for _, n := range s.Dims {
		d.D *= n
	}
	d.X = make([]float32, d.N*d.D)
	if err := s.Read(d.X, 0); err != nil {
		return Data{}, err
	}
	grouped := false
	for _, r := range s.Records {
		if r.Row < 0 {
			continue
		}
		d.Y, d.Groups = append(d.Y, r.Label), append(d.Groups, r.Group)
		d.Names, d.Splits, d.SHA256 = append(d.Names, r.Path), append(d.Splits, r.Split), append(d.SHA256, r.SHA256)
		grouped = grouped || r.Group != ""
	}
	if !grouped {
		d.Groups = nil
	}
	return d, nil
}

// Digest identifies data by their size and a hash of the features, labels, classes,
// groups, splits and names.
func (s *Set) Digest() string { return s.digest() }

func (d Data) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %q\n", d.N, d.D, d.Classes)
	for i, y := range d.Y {
		name := ""
		if d.Names != nil {
			name = d.Names[i]
		}
		fmt.Fprintf(h, "%q %d %q %q\n", name, y, d.split(i), d.group(i))
	}
	writeFloats(h, d.X)
	return fmt.Sprintf("%d x %d, %s", d.N, d.D, hex.EncodeToString(h.Sum(nil))[:16])
}

// writeFloats writes the bytes of x, little-endian.
func writeFloats(w io.Writer, x []float32) {
	var b [1 << 16]byte
	for len(x) > 0 {
		n := min(len(x), len(b)/4)
		for i, v := range x[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
		w.Write(b[:4*n])
		x = x[n:]
	}
}
