package augment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// worker holds the buffers with which one goroutine makes rows.
type worker struct {
	decoder   *pixels.Decoder
	resampler pixels.Resampler
	data      []byte // encoded image
	decoded   pixels.Image
	prepared  pixels.Image
	row       []uint8 // [H,W,3]
}

var _ finetune.Data = (*Data)(nil)

// Load fills a batch: its input graph.Images [N,3,H,W], values in [0,1], and the
// truth of each row, its label as an int, or nil if it has none. Training images
// are augmented: the result depends only on the image, the seed and the epoch,
// counted from 0. In a negative epoch they get the evaluation transform.
func (d *Data) Load(ctx context.Context, s Split, epoch int, b *finetune.Batch) error {
	g := d.transform.Geometry
	labels := make([]int, b.N())
	if err := d.Images(ctx, s, b.Rows, epoch, b.Input(graph.Images, 3*g.Height*g.Width), labels); err != nil {
		return err
	}
	for i, label := range labels {
		if label >= 0 {
			b.Truth[i] = label
		}
	}
	return nil
}

// Images writes the images of rows to dst [len(rows),3,H,W], as Load does, and
// their labels to labels, -1 for none.
func (d *Data) Images(ctx context.Context, s Split, rows []int, epoch int, dst []float32, labels []int) error {
	g := d.transform.Geometry
	size := 3 * g.Height * g.Width
	if len(dst) != len(rows)*size || len(labels) != len(rows) {
		return fmt.Errorf("augment: %d values and %d labels for %d rows, expected [%d,3,%d,%d] and as many labels", len(dst), len(labels), len(rows), len(rows), g.Height, g.Width)
	}
	for _, r := range rows {
		if r < 0 || r >= d.Rows(s) {
			return fmt.Errorf("augment: row %d of split %s, which has %d", r, s, d.Rows(s))
		}
	}
	policy := d.policy(s)
	if epoch < 0 {
		policy = Policy{}
	}
	errs := make([]error, len(rows))
	d.forEach(ctx, len(rows), func(w *worker, i int) {
		at := d.rows[s][rows[i]]
		labels[i] = d.listing.Samples[at].Label
		if errs[i] = d.makeRow(w, at, policy, epoch, policy.preparesLike(d.policy(s))); errs[i] == nil {
			w.writePlanes(dst[i*size:][:size], d.config.BGR)
		}
	})
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("augment: %q: %w; have the images changed?", d.Sample(s, rows[i]).Path, err)
		}
	}
	return nil
}

// policy is how images of a split are augmented.
func (d *Data) policy(s Split) Policy {
	if s == Training {
		return d.config.Policy
	}
	return Policy{}
}

// forEach calls do for 0 to n-1 with all workers in parallel, until ctx ends.
func (d *Data) forEach(ctx context.Context, n int, do func(w *worker, i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(cap(d.workers), n) {
		group.Go(func() {
			w := <-d.workers
			defer func() { d.workers <- w }()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(w, i)
			}
		})
	}
	group.Wait()
}

// makeRow writes the augmented pixels of a sample to w.row. cached says that the
// cache may be used: its images are prepared for this policy.
func (d *Data) makeRow(w *worker, at int, p Policy, epoch int, cached bool) error {
	g := d.transform.Geometry
	var prepared *pixels.Image
	if cached {
		prepared = d.cache[at].Load()
	}
	if prepared == nil {
		var err error
		if prepared, _, err = d.prepare(w, at, p); err != nil {
			return err
		}
		if cached {
			d.cacheImage(at, prepared)
		}
	}
	w.row = resized(w.row, g.Width*g.Height*3)
	return p.draw(newRand(d.config.Seed, uint64(epoch), uint64(at)), &w.resampler, w.row, prepared, g)
}

// prepare reads, decodes and prepares a sample.
func (d *Data) prepare(w *worker, at int, p Policy) (*pixels.Image, pixels.Info, error) {
	var err error
	if w.data, err = d.listing.Samples[at].Read(w.data[:0]); err != nil {
		return nil, pixels.Info{}, fmt.Errorf("cannot be read: %w", err)
	}
	info, err := w.decoder.Decode(&w.decoded, w.data)
	if err != nil {
		return nil, info, err
	}
	prepared, err := p.prepare(&w.resampler, &w.prepared, &w.decoded, d.transform.Geometry)
	return prepared, info, err
}

// cacheImage copies a prepared image to the cache if there is room. Nothing is
// evicted, because every epoch needs every image once.
func (d *Data) cacheImage(at int, m *pixels.Image) {
	n := int64(len(m.Pix))
	if d.cacheRoom.Add(-n) < 0 {
		d.cacheRoom.Add(n)
		return
	}
	if !d.cache[at].CompareAndSwap(nil, &pixels.Image{Width: m.Width, Height: m.Height, Pix: slices.Clone(m.Pix)}) {
		d.cacheRoom.Add(n)
	}
}

// toTensor maps a byte to [0,1] as torchvision's ToTensor does.
var toTensor = func() (v [256]float32) {
	for i := range v {
		v[i] = float32(i) / 255
	}
	return v
}()

// writePlanes converts the row from [H,W,3] bytes to [3,H,W] floats.
func (w *worker) writePlanes(dst []float32, bgr bool) {
	n := len(dst) / 3
	r, g, b := dst[:n], dst[n:2*n], dst[2*n:]
	if bgr {
		r, b = b, r
	}
	for i := range n {
		p := w.row[3*i:][:3:3]
		r[i], g[i], b[i] = toTensor[p[0]], toTensor[p[1]], toTensor[p[2]]
	}
}

// checkImages decodes every image that may have a row, unless Config.Known has the
// result.
func (d *Data) checkImages(ctx context.Context) error {
	all, id := d.listing.Samples, d.id()
	if k := d.config.Known; k != nil && k.ID == id && len(k.Sums) == len(all) {
		d.check = *k
		return nil
	}
	split := map[string]Split{"val": Validation, "test": Test}
	reasons, warnings, sums := make([]error, len(all)), make([][]string, len(all)), make([][]byte, len(all))
	var done atomic.Int64
	d.forEach(ctx, len(all), func(w *worker, i int) {
		s := all[i]
		if s.Label >= 0 || d.config.Unlabelled {
			prepared, info, err := d.prepare(w, i, d.policy(split[s.Split]))
			sum := seen.SumOf(w.data)
			sums[i] = sum[:]
			if reasons[i], warnings[i] = err, info.Warnings; err == nil {
				d.cacheImage(i, prepared)
			}
		}
		if n := int(done.Add(1)); d.config.Progress != nil {
			d.config.Progress(n, len(all))
		}
	})
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d.check = Check{ID: id, Sums: sums}
	count := map[string]int{}
	for i, err := range reasons {
		if err != nil {
			d.check.Failed = append(d.check.Failed, featurize.Failure{Path: all[i].Path, Reason: err.Error()})
		}
		for _, w := range warnings[i] {
			count[w]++
		}
	}
	for _, w := range slices.Sorted(maps.Keys(count)) {
		d.check.Notes = append(d.check.Notes, fmt.Sprintf("%d image(s): %s", count[w], w))
	}
	return nil
}
