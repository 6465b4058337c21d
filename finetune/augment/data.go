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

// Config says how images are read and augmented. The zero value is the default.
type Config struct {
	Policy  Policy // how training images are augmented
	BGR     bool   // channels in the order blue, green, red
	Workers int    // goroutines that read and decode; 0: 1
	Seed    uint64 // of augmentations and of the held-out rows

	// Unlabelled makes rows of all images. Otherwise images without a class are left
	// out.
	Unlabelled bool

	// ValFraction is the fraction of the training images that is held out for
	// validation if the data have no validation split. 0: 0.1; negative: none.
	ValFraction float64

	Cache       int64 // most bytes of decoded images kept between epochs; 0: 1 GiB, negative: none
	StreamLimit int64 // most bytes of encoded images read from a stream, which are kept until Close; 0: 4 GiB

	// Known is the Check of an earlier Open. If it is of the same data, Open decodes
	// no images.
	Known    *Check
	Progress func(done, of int) // is told how many images are checked, from several goroutines; nil: none
}

// Check is the result of decoding every image.
type Check struct {
	ID     string              `json:"id"` // hash of the data and the decoder
	Failed []featurize.Failure `json:"failed"`
	Notes  []string            `json:"notes,omitempty"`
	Sums   [][]byte            `json:"sha256"` // of the image files, in the order of the listing; nil for images that were not read
}

// Data is a finetune.Data of images: the rows of each split, in the order of the
// listing. Rows stay the same as long as the data do: images that cannot be decoded
// are found by [Open] and are not rows.
type Data struct {
	listing    *featurize.Listing
	transform  featurize.Transform
	config     Config
	rows       [3][]int // by split: indices into listing.Samples
	check      Check
	heldOut    bool
	unlabelled int

	workers   chan *worker
	cache     []atomic.Pointer[pixels.Image] // by sample: the prepared image
	cacheRoom atomic.Int64                   // bytes left for the cache
}

// Open decodes each image of a listing once, so that those that cannot be decoded
// are known before training, and caches as many as fit. The listing belongs to Data
// from then on: Close closes it, and so does Open if it fails.
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
	for _, v := range []struct{ value, byDefault *int64 }{{&c.Cache, ptr(int64(1 << 30))}, {&c.StreamLimit, ptr(int64(4 << 30))}} {
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
	if err := d.readStream(); err != nil {
		return err
	}
	if len(d.listing.Classes) == 0 && !c.Unlabelled {
		return fmt.Errorf("augment: no image has a class (expected CLASS/*.jpg, SPLIT/CLASS/*.jpg or a list with labels): %w", featurize.ErrData)
	}
	d.cache = make([]atomic.Pointer[pixels.Image], len(d.listing.Samples))
	d.cacheRoom.Store(max(0, c.Cache))
	if err := d.checkImages(ctx); err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, f := range d.check.Failed {
		failed[f.Path] = true
	}
	return d.assignRows(failed, c.ValFraction, c.Seed)
}

func ptr[T any](v T) *T { return &v }

// readStream reads a stream into memory, so that its images can be read again.
func (d *Data) readStream() error {
	if d.listing.Stream == nil {
		return nil
	}
	held, total := map[string]func([]byte) ([]byte, error){}, int64(0)
	for s, err := range d.listing.Stream {
		if err != nil {
			return err
		}
		if total += s.Size; total > d.config.StreamLimit {
			return fmt.Errorf("augment: a stream of more than %d bytes of images cannot be held in memory; unpack it to a folder or to a .tar that is not compressed: %w", d.config.StreamLimit, featurize.ErrData)
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

// id is a hash of all that a Check depends on.
func (d *Data) id() string {
	h := sha256.New()
	fmt.Fprintf(h, "%v %s %s %+v\n", d.listing.Identity(), pixels.Version, pixels.JPEGDecoderKey(), d.transform.Decode)
	if d.config.Unlabelled {
		fmt.Fprintln(h, "all images")
	}
	for _, s := range d.listing.Samples {
		fmt.Fprintf(h, "%d %d\n", s.Size, s.ModTime)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Rows is the number of rows of a split, 0 if there is no such split.
func (d *Data) Rows(s Split) int { return len(d.rows[s]) }

// Sample returns the image of a row.
func (d *Data) Sample(s Split, row int) featurize.Sample { return d.listing.Samples[d.rows[s][row]] }

// Classes lists the names of the labels of all splits, in the order of
// featurize.OrderClasses.
func (d *Data) Classes() []string { return d.listing.Classes }

// HeldOut reports whether the validation rows were held out of the training rows.
func (d *Data) HeldOut() bool { return d.heldOut }

// Unlabelled is the number of images that are left out because they have no class.
func (d *Data) Unlabelled() int { return d.unlabelled }

// Lost lists the classes that have images in the data and no row in any split, as none
// of them decodes.
func (d *Data) Lost() (classes []string) {
	rows := make([]int, len(d.listing.Classes))
	for _, split := range d.rows {
		for _, i := range split {
			if label := d.listing.Samples[i].Label; label >= 0 {
				rows[label]++
			}
		}
	}
	for label, n := range rows {
		if n == 0 {
			classes = append(classes, d.listing.Classes[label])
		}
	}
	return classes
}

// Reseed changes the seed of augmentations, but not which rows are held out. It
// must not be called during a Load.
func (d *Data) Reseed(seed uint64) { d.config.Seed = seed }

// Check is the result of Open's check, for the Config.Known of a later Open.
func (d *Data) Check() Check { return d.check }

// Close frees memory and closes the listing. It must not be called during a Load.
func (d *Data) Close() error {
	for range cap(d.workers) {
		(<-d.workers).decoder.Close()
	}
	d.workers = nil
	return d.listing.Close()
}
