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
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// worker holds what one goroutine needs to make rows.
type worker struct {
	decoder   *pixels.Decoder
	resampler pixels.Resampler
	data      []byte // encoded
	decoded   pixels.Image
	prepared  pixels.Image
	row       []uint8 // [H,W,3]
}

var _ finetune.Data = (*Data)(nil)

// Load fills a batch: its input graph.Images [N,3,H,W], values in [0,1], and as
// the truth of each row its label, an int, or nil where there is none. Training
// images are augmented: what becomes of one depends on itself, the seed and the
// epoch, from 0 on, and on nothing else. A negative epoch gives them the
// evaluation transform.
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

// Images puts the images of rows into dst [len(rows),3,H,W], as Load does, and
// their labels into labels, -1 for none.
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
	d.each(ctx, len(rows), func(w *worker, i int) {
		at := d.rows[s][rows[i]]
		labels[i] = d.listing.Samples[at].Label
		if errs[i] = d.row(w, at, policy, epoch, policy.startsAs(d.policy(s))); errs[i] == nil {
			w.planes(dst[i*size:][:size], d.config.BGR)
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

func (d *Data) policy(s Split) Policy {
	if s == Training {
		return d.config.Policy
	}
	return Policy{}
}

// each calls do for 0 to n-1, on as many goroutines as there are workers, until
// ctx ends.
func (d *Data) each(ctx context.Context, n int, do func(w *worker, i int)) {
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

// row makes the pixels of a sample in w.row. cached says that what the
// cache has of it is prepared for this policy.
func (d *Data) row(w *worker, at int, p Policy, epoch int, cached bool) error {
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
			d.keep(at, prepared)
		}
	}
	w.row = grown(w.row, g.Width*g.Height*3)
	return p.draw(generator(d.config.Seed, uint64(epoch), uint64(at)), &w.resampler, w.row, prepared, g)
}

// prepare reads and decodes a sample.
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

// keep copies a prepared image to the cache, if there is room. Every epoch asks
// for every row once, so what is in the cache stays there.
func (d *Data) keep(at int, m *pixels.Image) {
	n := int64(len(m.Pix))
	if d.room.Add(-n) < 0 {
		d.room.Add(n)
		return
	}
	if !d.cache[at].CompareAndSwap(nil, &pixels.Image{Width: m.Width, Height: m.Height, Pix: slices.Clone(m.Pix)}) {
		d.room.Add(n)
	}
}

// values are torchvision's ToTensor.
var values = func() (v [256]float32) {
	for i := range v {
		v[i] = float32(i) / 255
	}
	return v
}()

// planes writes the row as [3,H,W].
func (w *worker) planes(dst []float32, bgr bool) {
	n := len(dst) / 3
	r, g, b := dst[:n], dst[n:2*n], dst[2*n:]
	if bgr {
		r, b = b, r
	}
	for i := range n {
		p := w.row[3*i:][:3:3]
		r[i], g[i], b[i] = values[p[0]], values[p[1]], values[p[2]]
	}
}

// examine decodes every image that may have a row, unless that was done before.
func (d *Data) examine(ctx context.Context) error {
	all, id := d.listing.Samples, d.id()
	if k := d.config.Known; k != nil && k.ID == id {
		d.check = *k
		return nil
	}
	split := map[string]Split{"val": Validation, "test": Test}
	reasons, warnings := make([]error, len(all)), make([][]string, len(all))
	var done atomic.Int64
	d.each(ctx, len(all), func(w *worker, i int) {
		s := all[i]
		if s.Label >= 0 || d.config.Unlabelled {
			prepared, info, err := d.prepare(w, i, d.policy(split[s.Split]))
			if reasons[i], warnings[i] = err, info.Warnings; err == nil {
				d.keep(i, prepared)
			}
		}
		if n := int(done.Add(1)); d.config.Progress != nil {
			d.config.Progress(n, len(all))
		}
	})
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d.check = Check{ID: id}
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
