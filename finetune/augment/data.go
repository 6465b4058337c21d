package augment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Config changes how data are held. The zero value is the default.
type Config struct {
	Policy  Policy // what is done to training images
	BGR     bool   // channels in the order blue, green, red
	Workers int    // goroutines that read and decode; 0: 1
	Seed    uint64 // of augmentations and of what is held out

	// Unlabelled gives rows to all images, whether they have a class or not.
	// Otherwise those without a class have none.
	Unlabelled bool

	// ValFraction of the training images is held out to validate on, where the
	// data have no such split. 0: 0.1; negative: none.
	ValFraction float64

	Cache int64 // bytes of decoded images that are kept between epochs; 0: 1 GiB, negative: none
	Held  int64 // bytes of encoded images that a stream may take, kept until Close; 0: 4 GiB

	// Known is the Check of an earlier Open. Where it is of the same data, no image
	// is decoded in advance.
	Known    *Check
	Progress func(done, of int) // of the check, from several goroutines; nil: none
}

// Check is what decoding every image has found.
type Check struct {
	ID     string              `json:"id"` // tells data and decoders apart
	Failed []featurize.Failure `json:"failed"`
	Notes  []string            `json:"notes,omitempty"`
}

// Data holds the rows of images, which are labelled unless Config says otherwise. Rows of a split are in the order of
// the listing and stay the same as long as the data do: images that cannot be
// decoded are found by [Open] and have no row.
type Data struct {
	listing    *featurize.Listing
	transform  featurize.Transform
	config     Config
	rows       [3][]int // by split: indices of samples
	check      Check
	heldOut    bool
	unlabelled int

	workers chan *worker
	cache   []atomic.Pointer[pixels.Image] // by sample: its prepared image
	room    atomic.Int64                   // bytes that the cache may still take
}

// Open takes over a listing and decodes each image that may have a row once, so that those
// that cannot be are known before the first step; what fits stays decoded.
// Close closes the listing too, as Open does when it fails.
func Open(ctx context.Context, l *featurize.Listing, t featurize.Transform, c Config) (*Data, error) {
	d := &Data{listing: l, transform: t, config: c}
	if err := d.open(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Data) open(ctx context.Context) error {
	c := &d.config
	if err := c.Policy.Check(); err != nil {
		return err
	}
	if !(c.ValFraction < 1) {
		return fmt.Errorf("augment: the share to validate on is %v, expected less than 1", c.ValFraction)
	}
	if g := d.transform.Geometry; g.Width < 1 || g.Height < 1 {
		return fmt.Errorf("augment: images of %dx%d", g.Width, g.Height)
	}
	for _, v := range []struct{ value, byDefault *int64 }{{&c.Cache, ptr(int64(1 << 30))}, {&c.Held, ptr(int64(4 << 30))}} {
		if *v.value == 0 {
			*v.value = *v.byDefault
		}
	}
	if c.ValFraction == 0 {
		c.ValFraction = 0.1
	}
	c.Workers = max(1, c.Workers)
	d.workers = make(chan *worker, c.Workers)
	for range c.Workers {
		d.workers <- &worker{decoder: pixels.NewDecoder(d.transform.Decode)}
	}
	if err := d.hold(); err != nil {
		return err
	}
	if len(d.listing.Classes) == 0 && !c.Unlabelled {
		return fmt.Errorf("augment: no image has a class (expected CLASS/*.jpg, SPLIT/CLASS/*.jpg or a list with labels): %w", featurize.ErrData)
	}
	d.cache = make([]atomic.Pointer[pixels.Image], len(d.listing.Samples))
	d.room.Store(max(0, c.Cache))
	if err := d.examine(ctx); err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, f := range d.check.Failed {
		failed[f.Path] = true
	}
	return d.part(failed, c.ValFraction, c.Seed)
}

func ptr[T any](v T) *T { return &v }

// hold reads a stream to its end, so that its images can be read again.
func (d *Data) hold() error {
	if d.listing.Stream == nil {
		return nil
	}
	held, total := map[string]func([]byte) ([]byte, error){}, int64(0)
	for s, err := range d.listing.Stream {
		if err != nil {
			return err
		}
		if total += s.Size; total > d.config.Held {
			return fmt.Errorf("augment: a stream of more than %d bytes of images cannot be held in memory; unpack it to a folder or to a .tar that is not compressed: %w", d.config.Held, featurize.ErrData)
		}
		data, err := s.Read(nil)
		if err != nil {
			return fmt.Errorf("augment: stream: %q: %w: %w", s.Path, err, featurize.ErrData)
		}
		data = slices.Clip(data)
		held[s.Path] = func(dst []byte) ([]byte, error) { return append(dst, data...), nil }
	}
	for i := range d.listing.Samples {
		s := &d.listing.Samples[i]
		s.Read = held[s.Path]
	}
	d.listing.Stream = nil
	return nil
}

// id tells what a Check depends on.
func (d *Data) id() string {
	h := sha256.New()
	decoder, version := pixels.JPEGDecoder()
	fmt.Fprintf(h, "%v %s %s %s %+v\n", d.listing.Identity(), pixels.Version, decoder, version, d.transform.Decode)
	if d.config.Unlabelled {
		fmt.Fprintln(h, "all images")
	}
	for _, s := range d.listing.Samples {
		fmt.Fprintf(h, "%d %d\n", s.Size, s.ModTime)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Rows is the number of rows of a split, 0 for one that is not there.
func (d *Data) Rows(s Split) int { return len(d.rows[s]) }

// Sample is the image of a row.
func (d *Data) Sample(s Split, row int) featurize.Sample { return d.listing.Samples[d.rows[s][row]] }

// Classes are the names of the labels, of all splits, sorted bytewise.
func (d *Data) Classes() []string { return d.listing.Classes }

// HeldOut reports whether the rows to validate on were held out of training.
func (d *Data) HeldOut() bool { return d.heldOut }

// Unlabelled counts the images that have no class, and for that no row.
func (d *Data) Unlabelled() int { return d.unlabelled }

// Reseed makes augmentations those of another seed; what is held out stays. No
// Load may be under way.
func (d *Data) Reseed(seed uint64) { d.config.Seed = seed }

// Check is what Open has found; the next Open of the same data may take it as
// known.
func (d *Data) Check() Check { return d.check }

// Close frees what the data hold; no Load may be under way.
func (d *Data) Close() error {
	for range cap(d.workers) {
		(<-d.workers).decoder.Close()
	}
	d.workers = nil
	return d.listing.Close()
}
