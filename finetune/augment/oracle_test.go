package augment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// result is an image of finetune/testdata/crops.json: what it was made from, how,
// and the SHA-256 of its pixels.
type result struct {
	Width, Height, Size, Pad int
	Box                      [4]int // top, left, height, width
	Mode, Adjust             string
	Factor                   float64
	Order                    [][2]any
	Out                      [2]int
	SHA256                   string
}

type moments struct {
	Mean, Variance float64
	MeanError      float64 `json:"mean_error"`
	VarianceError  float64 `json:"variance_error"`
}

type oracle struct {
	Resized, Cropped, Flipped, Jitter, Jitters []result
	Draws                                      []struct {
		Width, Height      int
		Fallback           [4]int
		Fallbacks          float64
		FallbacksError     float64 `json:"fallbacks_error"`
		Area, Aspect, X, Y *moments
	}
}

func crops(t *testing.T) (o oracle) {
	t.Helper()
	data, err := os.ReadFile("../testdata/crops.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// ruled is the image that crops.py makes from its name.
func ruled(name string, w, h int) *pixels.Image {
	f := fnv.New64a()
	f.Write([]byte(name))
	m := &pixels.Image{Width: w, Height: h, Pix: make([]uint8, w*h*3)}
	const step = 0x9e3779b97f4a7c15
	for i := range m.Pix {
		m.Pix[i] = uint8(splitmix64(f.Sum64()+step*uint64(i)) >> 56)
	}
	return m
}

func (r result) source() *pixels.Image {
	return ruled(fmt.Sprintf("crop/%dx%d", r.Width, r.Height), r.Width, r.Height)
}

func (r result) compare(t *testing.T, pix []uint8) {
	t.Helper()
	if sum := sha256.Sum256(pix); hex.EncodeToString(sum[:]) != r.SHA256 {
		t.Errorf("%+v: pixels differ", r)
	}
}

func TestOracle(t *testing.T) {
	o := crops(t)
	var resampler pixels.Resampler
	resized := 0
	for _, r := range o.Resized {
		top, left, h, w := r.Box[0], r.Box[1], r.Box[2], r.Box[3]
		if 0 < h-r.Size && h-r.Size > 2*(w-r.Size) {
			continue // of Pillow 9, which never resizes the height first
		}
		resized++
		dst := make([]uint8, r.Size*r.Size*3)
		if err := resampler.ResizedCrop(dst, r.Size, r.Size, r.source(), image.Rect(left, top, left+w, top+h), pixels.Bilinear); err != nil {
			t.Fatal(err)
		}
		r.compare(t, dst)
	}
	if resized < 15 {
		t.Errorf("only %d boxes of %d were compared", resized, len(o.Resized))
	}
	for _, r := range o.Cropped {
		numbers := &player{t, tape{{I: &r.Box[0]}, {I: &r.Box[1]}}}
		dst := make([]uint8, r.Out[0]*r.Out[1]*3)
		PaddedCrop{r.Pad, r.Mode == "reflect"}.crop(numbers, dst, r.Out[0], r.Out[1], r.source())
		r.compare(t, dst)
	}
	for _, r := range o.Flipped {
		m := r.source()
		pixels.Flip(m.Pix, m.Width)
		r.compare(t, m.Pix)
	}
	adjust := map[string]func([]uint8, float64){
		"brightness": pixels.Brightness, "contrast": pixels.Contrast, "saturation": pixels.Saturation, "hue": pixels.Hue,
	}
	for _, r := range o.Jitter {
		m := r.source()
		adjust[r.Adjust](m.Pix, r.Factor)
		r.compare(t, m.Pix)
	}
	for _, r := range o.Jitters {
		m := r.source()
		for _, step := range r.Order {
			adjust[step[0].(string)](m.Pix, step[1].(float64))
		}
		r.compare(t, m.Pix)
	}
}

// TestDraws: the area, log aspect ratio and position of boxes, and the frequency of the
// fallback, differ from torchvision's by at most 5 standard errors, over as many draws.
func TestDraws(t *testing.T) {
	const n = 20000
	for _, c := range crops(t).Draws {
		r := newRand(7, uint64(c.Width), uint64(c.Height))
		var area, aspect, x, y []float64
		fallbacks := 0.0
		for range n {
			b := ResizedCrop{}.box(r, c.Width, c.Height)
			w, h := b.Dx(), b.Dy()
			if [4]int{b.Min.Y, b.Min.X, h, w} == c.Fallback {
				fallbacks++
			}
			area = append(area, float64(w*h)/float64(c.Width*c.Height))
			aspect = append(aspect, math.Log(float64(w)/float64(h)))
			if h < c.Height {
				y = append(y, float64(b.Min.Y)/float64(c.Height-h))
			}
			if w < c.Width {
				x = append(x, float64(b.Min.X)/float64(c.Width-w))
			}
		}
		if got := fallbacks / n; math.Abs(got-c.Fallbacks) > 5*math.Sqrt2*c.FallbacksError {
			t.Errorf("%dx%d: fallback in %v, torchvision's in %v", c.Width, c.Height, got, c.Fallbacks)
		}
		for name, v := range map[string]struct {
			got  []float64
			want *moments
		}{"area": {area, c.Area}, "aspect": {aspect, c.Aspect}, "x": {x, c.X}, "y": {y, c.Y}} {
			if v.want == nil {
				continue
			}
			mean, variance := meanVariance(v.got)
			if math.Abs(mean-v.want.Mean) > 5*math.Sqrt2*v.want.MeanError || math.Abs(variance-v.want.Variance) > 5*math.Sqrt2*v.want.VarianceError {
				t.Errorf("%dx%d: %s has mean %v and variance %v, torchvision's has %v and %v", c.Width, c.Height, name, mean, variance, v.want.Mean, v.want.Variance)
			}
		}
	}
}

func meanVariance(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}
