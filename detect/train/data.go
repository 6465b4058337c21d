package train

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// DataConfig says how the images of a set are brought to a detector in training. The
// zero value is the default.
type DataConfig struct {
	// Size, a multiple of 32, makes all batches squares of this side: images are scaled
	// so that their longer side is Size. 0: batches have one of a few canvases, which
	// are chosen by the images, and a batch is of images of similar shapes.
	Size int

	// MinSizes and MaxSize are read where Size is 0. The shorter side of a training
	// image becomes one of MinSizes, drawn anew in each epoch, as far as the longer one
	// does not exceed MaxSize. Where nothing is drawn it becomes the largest of them.
	// nil and 0: those of Spec.Detect.Images.
	MinSizes []int
	MaxSize  int
	Canvases int // at most so many; 0: 6

	Flip      bool // half of the training images, drawn anew in each epoch, are mirrored
	Masks     bool // targets have masks
	KeepEmpty bool // training images without an object to learn are kept, as background

	// ValFraction is the fraction of the training images that is held out for validation
	// if the set has no validation split. 0: 0.1; negative: none.
	ValFraction float64

	Seed      uint64 // of flips, sizes and held-out images
	BatchSize int    // of batches that do not mix canvases; 0: 2
	Workers   int    // goroutines that read and decode; 0: 1
	Cache     int64  // most bytes of decoded images kept between epochs; 0: 1 GiB, negative: none
}

// Data feeds the training of a detector: it is a finetune.Data whose truth are Targets.
//
// Batches have the input graph.Images [N,3,H,W], in [0,1] and in the order of the Spec's
// channels. Images are scaled as in inference, lie in the upper left, and the rest has
// the colour that the detector normalises to 0.
type Data struct {
	set      *data.Set
	spec     onnx.Spec
	images   onnx.DetectImages // of images that are not augmented
	config   DataConfig
	padding  [3]float32
	classes  []int // for each class of the set, its index among the detector's, or -1
	rows     [3][]picture
	canvases []detect.Size
	left     leftOut
	heldOut  bool

	loaders   chan *loader
	cache     []atomic.Pointer[cached] // for each image of the set
	cacheRoom atomic.Int64             // bytes left
	failures  sync.Mutex
	failed    map[int]string // why images of the set could not be read
}

// picture is a row: an image of the set.
type picture struct {
	at     int         // index in Set.Images
	size   detect.Size // of the image of the file, once it is turned
	turned bool        // by its EXIF orientation
	canvas int         // index among the canvases
}

var (
	_ finetune.Ordered = (*Data)(nil)
	_ finetune.Grouped = (*Data)(nil)
)

// OpenData makes rows of the images of a set, for a detector whose core is given. The
// caller closes the set after Data. It reads the sizes of all image files, and decodes
// none.
//
// Images of the splits train, val and test are the rows of finetune's splits. Images
// without a split are training images, and so are those of all other splits if there
// are no others to train on. Images whose files are lost, or whose size cannot be read,
// are no rows. An error that wraps featurize.ErrData says that there is nothing to train
// on, or that an object is of a class that the detector does not have.
func OpenData(ctx context.Context, set *data.Set, core *onnx.Model, c DataConfig) (*Data, error) {
	d := &Data{set: set, config: c, failed: map[int]string{}}
	var err error
	if d.padding, err = detect.Padding(core); err != nil {
		return nil, err
	}
	if d.spec, _, err = core.Spec(); err != nil {
		return nil, err
	}
	if err := d.resolve(); err != nil {
		return nil, err
	}
	if err := d.matchClasses(); err != nil {
		return nil, err
	}
	pictures, err := d.measure(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.split(pictures); err != nil {
		return nil, err
	}
	d.chooseCanvases()
	d.cache = make([]atomic.Pointer[cached], len(set.Images))
	d.cacheRoom.Store(max(0, d.config.Cache))
	d.loaders = newLoaders(d.config.Workers)
	return d, nil
}

// resolve fills in defaults.
func (d *Data) resolve() error {
	c, i := &d.config, d.spec.Detect.Images
	for _, n := range []struct {
		name         string
		value, least int
	}{{"size", c.Size, 0}, {"longer side", c.MaxSize, 0}, {"number of canvases", c.Canvases, 0}, {"batch size", c.BatchSize, 0}} {
		if n.value < n.least {
			return fmt.Errorf("detect: the %s is %d", n.name, n.value)
		}
	}
	if c.Size%canvasMultiple != 0 {
		return fmt.Errorf("detect: the size of images is %d, expected a multiple of %d", c.Size, canvasMultiple)
	}
	if !(c.ValFraction < 1) {
		return fmt.Errorf("detect: the share to validate on is %v, expected less than 1", c.ValFraction)
	}
	if c.MaxSize == 0 {
		c.MaxSize = i.MaxSize
	}
	if len(c.MinSizes) == 0 {
		c.MinSizes = []int{i.MinSize}
	}
	if c.Size > 0 {
		c.MinSizes, c.MaxSize = []int{c.Size}, c.Size
	}
	if least := slices.Min(c.MinSizes); least < 1 {
		return fmt.Errorf("detect: a shorter side is %d", least)
	}
	orDefault(&c.Canvases, 6)
	orDefault(&c.BatchSize, 2)
	orDefault(&c.Workers, 1)
	orDefault(&c.ValFraction, .1)
	orDefault(&c.Cache, 1<<30)
	d.images = i
	d.images.MinSize, d.images.MaxSize = slices.Max(c.MinSizes), c.MaxSize
	return nil
}

func orDefault[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

// matchClasses finds the classes of the set among the detector's, by name. It is an
// error if the detector lacks the class of an object.
func (d *Data) matchClasses() error {
	objects := make([]int, len(d.set.Classes))
	for i := range d.set.Images {
		for _, o := range d.set.Images[i].Objects {
			objects[o.Class]++
		}
	}
	var strange []string
	for i, c := range d.set.Classes {
		at := slices.IndexFunc(d.spec.Detect.Classes, func(k onnx.DetectClass) bool { return k.Name == c.Name && c.Name != "" })
		if d.classes = append(d.classes, at); at < 0 && objects[i] > 0 {
			strange = append(strange, fmt.Sprintf("%q (%d objects)", c.Name, objects[i]))
		}
	}
	if len(strange) > 0 {
		return fmt.Errorf("detect: the detector does not have %d of the %d classes of the data, such as %s: %w", len(strange), len(d.set.Classes), strange[0], featurize.ErrData)
	}
	return nil
}

// Rows is the number of rows of a split. Of training rows it is the number that an epoch
// visits, of which some may be visited twice: see Order.
func (d *Data) Rows(s finetune.Split) int {
	if s == finetune.Training {
		return d.epochRows()
	}
	return len(d.rows[s])
}

// Len is the number of images of a split.
func (d *Data) Len(s finetune.Split) int { return len(d.rows[s]) }

// Image returns the image of a row.
func (d *Data) Image(s finetune.Split, row int) *data.Image {
	return &d.set.Images[d.picture(s, row).at]
}

// Size is the size of a row's image, to which its boxes in the truth belong.
func (d *Data) Size(s finetune.Split, row int) detect.Size { return d.picture(s, row).size }

// Images says how images are scaled that are not augmented. A detector that is trained
// on the data should do the same in inference.
func (d *Data) Images() onnx.DetectImages { return d.images }

// Canvases lists the sizes that batches may have.
func (d *Data) Canvases() []detect.Size { return slices.Clone(d.canvases) }

// HeldOut reports whether the validation rows were held out of the training images.
func (d *Data) HeldOut() bool { return d.heldOut }

// Reseed changes the seed of flips and sizes, but not which images are held out. It must
// not be called during a Load.
func (d *Data) Reseed(seed uint64) { d.config.Seed = seed }

// Close frees memory. It must not be called during a Load.
func (d *Data) Close() error {
	for range cap(d.loaders) {
		(<-d.loaders).close()
	}
	d.loaders, d.cache = nil, nil
	return nil
}
