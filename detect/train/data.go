package train

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// Data feeds the training of a detector: it is a finetune.Data whose truth are Targets.
//
// Batches have the input graph.Images [N,3,H,W], in [0,1] and in the order of the Spec's
// channels. Images are scaled as in inference, lie in the upper left, and the rest has
// the colour that the detector normalises to 0.
type Data struct {
	set       *data.Set
	spec      onnx.Spec
	images    onnx.DetectImages // of images that are not augmented
	config    DataConfig
	padding   [3]float32
	classes   []int // for each class of the set, its index among the detector's, or -1
	rows      [3][]picture
	canvases  []detect.Size
	epochRows int // training rows that an epoch visits
	left      leftOut
	heldOut   bool

	loaders   chan *loader
	cache     []atomic.Pointer[cached] // for each image of the set
	cacheRoom atomic.Int64             // bytes left
	sums      []seen.Sum               // of the files of images of the set; nil before ReadSums
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

// Rows is the number of rows of a split. Of training rows it is the number that an epoch
// visits, of which some may be visited twice: see Order.
func (d *Data) Rows(s finetune.Split) int {
	if s == finetune.Training {
		return d.epochRows
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
