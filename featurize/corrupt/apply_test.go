package corrupt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// flat is an image of one colour.
func flat(w, h int, v uint8) *pixels.Image {
	return &pixels.Image{Width: w, Height: h, Pix: bytes.Repeat([]byte{v}, w*h*3)}
}

func apply(t *testing.T, c Corruption, m *pixels.Image, name string) {
	t.Helper()
	if err := c.Apply(m, name); err != nil {
		t.Fatal(err)
	}
}

// TestStatistics compares the noise of a grey image with the distributions of the
// references: the mean and the standard deviation of what is not clipped.
func TestStatistics(t *testing.T) {
	const n, grey = 256 * 256 * 3, 127
	for level, c := range [5]float64{.08, .12, .18, .26, .38} {
		m := flat(256, 256, grey)
		apply(t, Corruption{Kind: GaussianNoise, Severity: level + 1}, m, "a")
		below := 0
		for _, v := range m.Pix {
			if v < grey {
				below++
			}
		}
		near(t, "share below the mean", float64(below)/n, 0.5, 5*0.5/math.Sqrt(n))
		black := 0
		for _, v := range m.Pix {
			if v == 0 {
				black++
			}
		}
		p := 0.5 * math.Erfc((grey-1)/255.0/c/math.Sqrt2) // of a value that is cut to 0
		near(t, "share of black", float64(black)/n, p, 5*math.Sqrt(p/n))
	}
	for level, c := range [5]float64{.01, .02, .03, .05, .07} {
		m := flat(256, 256, grey)
		apply(t, Corruption{Kind: ImpulseNoise, Severity: level + 1, Table: CIFAR}, m, "a")
		black, white := 0, 0
		for _, v := range m.Pix {
			switch v {
			case 0:
				black++
			case 255:
				white++
			case grey:
			default:
				t.Fatalf("impulse noise made a %d", v)
			}
		}
		near(t, "share of black", float64(black)/n, c/2, 5*math.Sqrt(c/2/n))
		near(t, "share of white", float64(white)/n, c/2, 5*math.Sqrt(c/2/n))
	}
	for level, c := range [5]float64{60, 25, 12, 5, 3} {
		m := flat(256, 256, grey)
		apply(t, Corruption{Kind: ShotNoise, Severity: level + 1}, m, "a")
		mean := c * grey / 255
		var p [256]float64 // of each byte
		for k, q := 0, math.Exp(-mean); k < 200; k++ {
			p[cut(float64(k)/c)] += q
			q *= mean / float64(k+1)
		}
		var counts [256]int
		for _, v := range m.Pix {
			counts[v]++
		}
		for v, count := range counts {
			near(t, fmt.Sprintf("severity %d: share of %d", level+1, v), float64(count)/n, p[v], 5*math.Sqrt(p[v]/n)+1e-9)
		}
	}
}

// TestFrost checks what the texture is meant to have of photographs of frost: in the mean
// over textures their lightness and contrast, the blue tint, and coarse structure.
func TestFrost(t *testing.T) {
	const textures = 24
	light, spread, coarse, blue := 0.0, 0.0, 0.0, 0.0
	for i := range textures {
		m := flat(224, 224, 0)
		apply(t, Corruption{Kind: Frost, Severity: 5}, m, fmt.Sprint(i))
		var levels, blocks []float64
		for j := 0; j < len(m.Pix); j += 3 {
			levels = append(levels, float64(m.Pix[j+1])/0.75)
			blue += (float64(m.Pix[j+2]) - float64(m.Pix[j])) / 0.75 / 224 / 224 / textures
		}
		for y := 0; y < 224; y += 16 {
			for x := 0; x < 224; x += 16 {
				sum := 0.0
				for d := range 256 {
					sum += levels[(y+d/16)*224+x+d%16] / 256
				}
				blocks = append(blocks, sum)
			}
		}
		mean, deviation := moments(levels)
		_, of16 := moments(blocks)
		light, spread, coarse = light+mean/textures, spread+deviation/textures, coarse+of16/textures
	}
	near(t, "lightness", light, 150, 25)
	near(t, "contrast", spread, 25, 8)
	near(t, "contrast of blocks of 16 pixels", coarse, 17, 6)
	near(t, "blue less red", blue, 33, 5)
}

func moments(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		deviation += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(deviation)
}

// TestSizes corrupts images of strange sizes, black, white and colourful ones.
func TestSizes(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {2, 1}, {1, 7}, {3, 3}, {5, 4}, {32, 32}, {33, 15}, {130, 3}} {
		for _, k := range Kinds() {
			for severity := 1; severity <= Severities; severity++ {
				for _, table := range []Table{ImageNet, CIFAR} {
					for _, m := range []*pixels.Image{drawing(size[0], size[1]), flat(size[0], size[1], 0), flat(size[0], size[1], 255)} {
						apply(t, Corruption{k, severity, table, 1}, m, "a")
						if len(m.Pix) != size[0]*size[1]*3 {
							t.Fatalf("%s has left %d bytes of %v", k, len(m.Pix), size)
						}
					}
				}
			}
		}
	}
}

// TestStronger checks that an image is farther from itself at severity 5 than at 1, by
// every corruption and by either table, but for two of CIFAR-10-C whose constants fall as
// others grow.
func TestStronger(t *testing.T) {
	for _, table := range []Table{ImageNet, CIFAR} {
		for _, k := range Kinds() {
			var distance [Severities]int
			for s := range distance {
				clean, m := drawing(64, 64), drawing(64, 64)
				apply(t, Corruption{k, s + 1, table, 0}, m, "a")
				for i, v := range m.Pix {
					d := int(v) - int(clean.Pix[i])
					distance[s] += d * d
				}
			}
			mixed := table == CIFAR && (k == GlassBlur || k == ElasticTransform)
			if distance[0] == 0 || distance[4] <= distance[0] && !mixed {
				t.Errorf("%s of %s: squared distances %v", k, table, distance)
			}
		}
	}
}

// TestSeeds checks what random numbers depend on, and that goroutines change nothing.
func TestSeeds(t *testing.T) {
	digest := func(c Corruption, name string) [32]byte {
		m := drawing(40, 36)
		if err := c.Apply(m, name); err != nil {
			t.Error(err)
		}
		return sha256.Sum256(m.Pix)
	}
	deterministic := []Kind{DefocusBlur, ZoomBlur, Brightness, Contrast, Pixelate, JPEGCompression}
	for _, k := range Kinds() {
		c := Corruption{k, 3, CIFAR, 7}
		first := digest(c, "a/b.jpg")
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if digest(c, "a/b.jpg") != first {
					t.Errorf("%s is not the same again", k)
				}
			})
		}
		group.Wait()
		seeded := c
		seeded.Seed = 8
		if slices.Contains(deterministic, k) != (digest(c, "a/c.jpg") == first) || slices.Contains(deterministic, k) != (digest(seeded, "a/b.jpg") == first) {
			t.Errorf("%s: wrong about the seed or the name", k)
		}
	}
}

// TestBits pins the pixels of our own random numbers, which are the same everywhere.
func TestBits(t *testing.T) {
	h := sha256.New()
	for _, table := range []Table{ImageNet, CIFAR} {
		for _, k := range Kinds() {
			m := drawing(48, 40)
			apply(t, Corruption{k, 4, table, 1}, m, "images/a.jpg")
			h.Write(m.Pix)
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != bits {
		t.Errorf("the pixels have the digest %s, want %s", got, bits)
	}
}

const bits = "02cf4caec84491e43c23023ba540f092e22aa91cd2028f764cb5c047e16c7bfd"

func TestRefused(t *testing.T) {
	for _, c := range []Corruption{{Kind: "rain", Severity: 1}, {Kind: Fog, Severity: 0}, {Kind: Fog, Severity: 6}} {
		if err := c.Apply(flat(4, 4, 9), ""); !errors.Is(err, ErrKind) {
			t.Errorf("%v: error %v", c, err)
		}
	}
	for _, m := range []*pixels.Image{{}, {Width: 2, Height: 2, Pix: make([]uint8, 4)}, {Width: -1, Height: -1, Pix: make([]uint8, 3)}} {
		if err := (Corruption{Kind: Fog, Severity: 1}).Apply(m, ""); err == nil || errors.Is(err, ErrKind) {
			t.Errorf("%v: error %v", m, err)
		}
	}
	if Kind("rain").Group() != "" || Fog.Group() != "weather" || len(Kinds()) != 15 {
		t.Error("wrong lists")
	}
	if TableFor(63, 500) != CIFAR || TableFor(64, 64) != ImageNet || ImageNet.String() != "ImageNet-C" || CIFAR.String() != "CIFAR-10-C" {
		t.Error("wrong table")
	}
}

func BenchmarkApply(b *testing.B) {
	for _, k := range Kinds() {
		b.Run(string(k), func(b *testing.B) {
			for b.Loop() {
				if err := (Corruption{k, 3, ImageNet, 1}).Apply(drawing(224, 224), "a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
