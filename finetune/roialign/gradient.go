package roialign

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas/blas32"
)

// Level is a level of the pyramid of a batch of images, channels last, or the gradient of
// a loss with respect to it.
type Level struct {
	Stride, H, W int
	Values       []float32 // [Images,H,W,Channels]
}

// Gradient computes the gradient of pooled features with respect to the levels that
// they are pooled from, and adds it to what the levels hold. Layouts have their channels last, so that what a pixel
// contributes to a bin is a sum of rows of memory. The numbers do not depend on how
// many workers there are.
type Gradient struct {
	Pooling          Pooling
	Images, Channels int
	Levels           []Level // the caller's memory, which is written
	Workers          int     // goroutines; 0: GOMAXPROCS
}

// Add adds to the levels the gradient of boxes that are pooled from them, given that with
// respect to the pooled features, dy [K,Size,Size,Channels].
func (g *Gradient) Add(dy []float32, r RoIs[float32]) error {
	if err := g.check(dy, r); err != nil {
		return err
	}
	all, bands := g.weights(r), g.bands(r)
	g.parallel(len(bands), func(i int, memory *[]float32) {
		b := bands[i]
		l := g.Levels[b.level]
		to := l.Values[b.image*l.H*l.W*g.Channels:][:l.H*l.W*g.Channels]
		for _, k := range b.boxes {
			g.addBox(to, dy[k*g.Pooling.Size*g.Pooling.Size*g.Channels:], all[k], b, memory)
		}
	})
	return nil
}

func (g *Gradient) check(pooled []float32, r RoIs[float32]) error {
	if err := r.Check(g.Images, len(g.Levels)); err != nil {
		return err
	}
	if n := len(r.Images) * g.Pooling.Size * g.Pooling.Size * g.Channels; len(pooled) != n {
		return fmt.Errorf("roialign: %d pooled features, expected %d", len(pooled), n)
	}
	for i, l := range g.Levels {
		if n := g.Images * l.H * l.W * g.Channels; len(l.Values) != n {
			return fmt.Errorf("roialign: level %d has %d values, expected %d", i, len(l.Values), n)
		}
	}
	return nil
}

// sides are the weights of the rows and columns of a level for a box.
type sides struct{ rows, columns Weights[float32] }

func (g *Gradient) sides(box [4]float32, l Level) sides {
	return sides{Rows(g.Pooling, box, l.Stride, l.H), Columns(g.Pooling, box, l.Stride, l.W)}
}

// weights returns the sides of all boxes.
func (g *Gradient) weights(r RoIs[float32]) []sides {
	out := make([]sides, len(r.Images))
	for i, l := range g.Levels {
		first, behind := r.Level(i)
		g.parallel(behind-first, func(k int, _ *[]float32) {
			k += first
			out[k] = g.sides(r.Box(k), l)
		})
	}
	return out
}

// band is the part of the work that one worker does: some rows of a level of an image.
type band struct {
	level, image, from, to int
	boxes                  []int // of the image and the level, in order
}

// bandRows is the number of rows of a band: few enough for several workers, and so many
// that few boxes lie on two.
const bandRows = 16

func (g *Gradient) bands(r RoIs[float32]) (out []band) {
	for i, l := range g.Levels {
		boxes := make([][]int, g.Images)
		for k, behind := r.Level(i); k < behind; k++ {
			image := int(r.Images[k])
			boxes[image] = append(boxes[image], k)
		}
		for image := range g.Images {
			for from := 0; from < l.H; from += bandRows {
				out = append(out, band{i, image, from, min(from+bandRows, l.H), boxes[image]})
			}
		}
	}
	return out
}

// addBox adds Wyᵀ·dy·Wx of a box to the rows of a band of a map [H,W,C]. memory is for
// dy·Wx, [Size,columns,C], of the bins that the band has a part in.
func (g *Gradient) addBox(to, dy []float32, s sides, b band, memory *[]float32) {
	taps := within(s.rows, b.from, b.to)
	if len(taps) == 0 || len(s.columns.Taps) == 0 {
		return
	}
	first, last := taps[0].Bin, taps[0].Bin
	for _, t := range taps {
		first, last = min(first, t.Bin), max(last, t.Bin)
	}
	size, c, n := g.Pooling.Size, g.Channels, len(s.columns.Pixels)
	products := scratch(memory, (last+1-first)*n*c)
	clear(products)
	for bin := first; bin <= last; bin++ {
		row, from := products[(bin-first)*n*c:][:n*c], dy[bin*size*c:][:size*c]
		for _, t := range s.columns.Taps {
			axpy(t.Weight, from[t.Bin*c:][:c], row[t.At*c:][:c])
		}
	}
	width := g.Levels[b.level].W
	for _, t := range taps {
		row, from := to[s.rows.Pixels[t.At]*width*c:][:width*c], products[(t.Bin-first)*n*c:][:n*c]
		for i := 0; i < n; {
			from, run := from[i*c:], s.columns.run(i)
			axpy(t.Weight, from[:run*c], row[s.columns.Pixels[i]*c:][:run*c])
			i += run
		}
	}
}

// within are the taps of pixels from to behind to.
func within(w Weights[float32], from, to int) []Tap[float32] {
	i := 0
	for i < len(w.Taps) && w.Pixels[w.Taps[i].At] < from {
		i++
	}
	j := i
	for j < len(w.Taps) && w.Pixels[w.Taps[j].At] < to {
		j++
	}
	return w.Taps[i:j]
}

// run is how many pixels from Pixels[i] on follow each other.
func (w Weights[T]) run(i int) int {
	n := 1
	for i+n < len(w.Pixels) && w.Pixels[i+n] == w.Pixels[i]+n {
		n++
	}
	return n
}

// axpy adds w·x to y.
func axpy(w float32, x, y []float32) { blas32.Implementation().Saxpy(len(x), w, x, 1, y, 1) }

// parallel calls f for 0 to n-1, with memory of the worker's own.
func (g *Gradient) parallel(n int, f func(i int, own *[]float32)) {
	workers := g.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(workers, n) {
		group.Go(func() {
			var own []float32
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i, &own)
			}
		})
	}
	group.Wait()
}
