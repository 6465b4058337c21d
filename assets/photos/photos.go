// Package photos draws images with the statistics of photographs, for benchmarks:
// smooth light, edges, texture at every scale and sensor noise. Encoded as JPEG
// they have the size of real photographs, and take decoders as long, but
// they depict no objects.
//
//	err := jpeg.Encode(file, photos.Draw(seed, 500, 375), &jpeg.Options{Quality: 90})
package photos

import (
	"image"
	"math"
	"math/rand/v2"
)

// Draw draws an image of width x height pixels. The same seed and size give the
// same image.
func Draw(seed uint64, width, height int) *image.RGBA {
	r := rand.New(rand.NewPCG(seed, 0x70686f746f))
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	texture := newNoise(r)
	blobs := make([]blob, 12)
	for i := range blobs {
		blobs[i] = newBlob(r)
	}
	light := [3]float64{r.Float64(), r.Float64(), r.Float64()}
	for y := range height {
		for x := range width {
			u, v := float64(x)/float64(width), float64(y)/float64(width)
			base := [3]float64{}
			for c := range base {
				base[c] = 90 + 80*light[c]*(1-v) + 30*u
			}
			for _, b := range blobs {
				b.paint(&base, u, v)
			}
			grain := 70*texture.at(u, v) + 5*r.NormFloat64()
			i := m.PixOffset(x, y)
			for c, value := range base {
				m.Pix[i+c] = uint8(min(255, max(0, value+grain+1.5*r.NormFloat64())))
			}
			m.Pix[i+3] = 255
		}
	}
	return m
}

// blob is an ellipse with a sharp or a soft edge.
type blob struct{ x, y, a, b, sin, cos, edge, red, green, blue float64 }

func newBlob(r *rand.Rand) blob {
	sin, cos := math.Sincos(r.Float64() * math.Pi)
	size := 0.03 + 0.25*r.Float64()*r.Float64()
	return blob{
		x: r.Float64(), y: r.Float64(), a: size, b: size * (0.3 + 0.7*r.Float64()), sin: sin, cos: cos, edge: 0.004 + 0.2*r.Float64()*r.Float64(),
		red: 255 * r.Float64(), green: 255 * r.Float64(), blue: 255 * r.Float64(),
	}
}

func (b *blob) paint(base *[3]float64, u, v float64) {
	du, dv := u-b.x, v-b.y
	p, q := (du*b.cos+dv*b.sin)/b.a, (dv*b.cos-du*b.sin)/b.b
	cover := min(1, max(0, (1-p*p-q*q)/b.edge))
	for c, own := range [3]float64{b.red, b.green, b.blue} {
		base[c] += cover * (own - base[c])
	}
}

// noise is a sum of octaves of interpolated random values; each has 0.7 times the
// amplitude of the one before.
type noise struct{ grid [64 * 64]float64 }

func newNoise(r *rand.Rand) *noise {
	n := &noise{}
	for i := range n.grid {
		n.grid[i] = 2*r.Float64() - 1
	}
	return n
}

func (n *noise) at(u, v float64) float64 {
	sum, strength := 0.0, 0.5
	for scale := 4.0; scale <= 256; scale *= 2 {
		x, y := u*scale, v*scale
		i, j := math.Floor(x), math.Floor(y)
		fx, fy := x-i, y-j
		top := n.value(i, j)*(1-fx) + n.value(i+1, j)*fx
		bottom := n.value(i, j+1)*(1-fx) + n.value(i+1, j+1)*fx
		sum += strength * (top*(1-fy) + bottom*fy)
		strength *= 0.7
	}
	return sum
}

func (n *noise) value(i, j float64) float64 { return n.grid[int(j)&63*64+int(i)&63] }
