package shapes_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

func TestDrawIsDeterministic(t *testing.T) {
	a, b := shapes.Draw(3, 7, shapes.Config{}), shapes.Draw(3, 7, shapes.Config{})
	if !bytes.Equal(a.Pix, b.Pix) {
		t.Error("the same class and seed gave two images")
	}
	if c := shapes.Draw(3, 8, shapes.Config{}); bytes.Equal(a.Pix, c.Pix) {
		t.Error("another seed gave the same image")
	}
	if a.Rect.Dx() != 96 || shapes.Draw(0, 1, shapes.Config{Size: 40}).Rect.Dy() != 40 {
		t.Error("wrong size")
	}
}

// TestDrawShows checks that every class stands out from its background: lightness
// varies over the image.
func TestDrawShows(t *testing.T) {
	for class, name := range shapes.Names {
		for seed := range uint64(20) {
			m := shapes.Draw(class, seed, shapes.Config{})
			sum, square, n := 0.0, 0.0, 0.0
			for i := 0; i < len(m.Pix); i += 4 {
				v := 0.299*float64(m.Pix[i]) + 0.587*float64(m.Pix[i+1]) + 0.114*float64(m.Pix[i+2])
				sum, square, n = sum+v, square+v*v, n+1
			}
			if sd := math.Sqrt(square/n - sum/n*sum/n); sd < 9 {
				t.Errorf("%s, seed %d: lightness has sd %.1f of 255", name, seed, sd)
			}
		}
	}
}

// TestNoise measures the additional noise.
func TestNoise(t *testing.T) {
	const want = 0.1
	plain, noisy := shapes.Draw(7, 5, shapes.Config{}), shapes.Draw(7, 5, shapes.Config{Noise: want})
	sum, n := 0.0, 0.0
	for i, v := range plain.Pix {
		if i%4 == 3 || v < 90 || v > 165 || noisy.Pix[i] == 0 || noisy.Pix[i] == 255 {
			continue
		}
		d := float64(noisy.Pix[i]) - float64(v)
		sum, n = sum+d*d, n+1
	}
	if sd := math.Sqrt(sum/n) / 255; sd < 0.9*want || sd > 1.1*want {
		t.Errorf("noise of sd %.3f over %v values, want %.1f", sd, n, want)
	}
}
