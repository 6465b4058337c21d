package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

// leftOut counts what is not used as the set has it.
type leftOut struct {
	lost       int   // images without a file
	unread     []int // images whose size cannot be read
	empty      int   // training images without an object to learn
	otherSplit int   // images of splits that are not used
	turned     int   // images that EXIF turns
	resized    int   // images of another size than the set says
	crowds     int   // of training images, as all that follow
	small      int
	maskless   int // objects without a mask where others have one
}

// measure reads the sizes of all image files: the pictures that can be rows.
func (d *Data) measure(ctx context.Context) ([]picture, error) {
	type size struct {
		w, h, orientation int
		err               error
	}
	sizes := make([]size, len(d.set.Images))
	onWorkers(ctx, d.config.Workers, len(sizes), func(i int) {
		z := &sizes[i]
		z.w, z.h, z.orientation, z.err = d.set.Images[i].FileSize()
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var out []picture
	for i, z := range sizes {
		img := &d.set.Images[i]
		p := picture{at: i, size: detect.Size{H: z.h, W: z.w}}
		switch {
		case errors.Is(z.err, fs.ErrNotExist) || img.Read == nil:
			d.left.lost++
			continue
		case z.err != nil || z.w < 1 || z.h < 1:
			d.left.unread = append(d.left.unread, i)
			continue
		case img.Turned || z.orientation >= 5 && z.w != z.h && img.Width == z.h && img.Height == z.w:
			p.size, p.turned = detect.Size{H: z.w, W: z.h}, true
			d.left.turned++
		case img.Width != 0 && (img.Width != z.w || img.Height != z.h):
			d.left.resized++
		}
		out = append(out, p)
	}
	return out, nil
}

// onWorkers calls do for 0 to n-1 on several goroutines, until ctx ends.
func onWorkers(ctx context.Context, workers, n int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(workers, n) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	all.Wait()
}

// split makes the pictures rows of their splits, and holds out validation rows if there
// are none.
func (d *Data) split(pictures []picture) error {
	of := map[string]finetune.Split{"train": finetune.Training, "": finetune.Training, "val": finetune.Validation, "test": finetune.Test}
	var others []picture
	for _, p := range pictures {
		if s, ok := of[d.set.Images[p.at].Split]; ok {
			d.rows[s] = append(d.rows[s], p)
		} else {
			others = append(others, p)
		}
	}
	if len(d.rows[finetune.Training]) == 0 {
		d.rows[finetune.Training], others = others, nil
	}
	d.left.otherSplit = len(others)
	d.dropEmpty()
	n := len(d.rows[finetune.Training])
	if n == 0 {
		return fmt.Errorf("detect: no image to train on among %d (%d lost, %d unreadable, %d without objects): %w", len(d.set.Images), d.left.lost, len(d.left.unread), d.left.empty, featurize.ErrData)
	}
	if len(d.rows[finetune.Validation]) == 0 && d.config.ValFraction > 0 && n > 1 {
		return d.holdOut()
	}
	return nil
}

// dropEmpty leaves out training images without an object to learn, and counts objects
// that are not learned.
func (d *Data) dropEmpty() {
	some := slices.ContainsFunc(d.set.Images, func(img data.Image) bool {
		return slices.ContainsFunc(img.Objects, func(o data.Object) bool { return o.Mask != nil })
	})
	d.rows[finetune.Training] = slices.DeleteFunc(d.rows[finetune.Training], func(p picture) bool {
		n := 0
		for _, o := range d.set.Images[p.at].Objects {
			switch _, fits := scaledBox(o.Box, p.size, detect.Scaled(d.images, p.size)); {
			case o.Crowd:
				d.left.crowds++
			case !fits:
				d.left.small++
			default:
				n++
				if some && o.Mask == nil {
					d.left.maskless++
				}
			}
		}
		if n == 0 {
			d.left.empty++
		}
		return n == 0 && !d.config.KeepEmpty
	})
}

// holdOut moves training rows to validation. Classes are spread by the rarest class of
// each image, and images of one file stay together.
func (d *Data) holdOut() error {
	all := d.rows[finetune.Training]
	images := make([]int, len(d.set.Classes))
	classes := make([][]int, len(all))
	by := stratify.Labels{Classes: []string{"no object"}}
	for i, p := range all {
		img := &d.set.Images[p.at]
		for _, o := range img.Objects {
			if !slices.Contains(classes[i], o.Class) {
				classes[i] = append(classes[i], o.Class)
				images[o.Class]++
			}
		}
		by.Groups = append(by.Groups, img.Path)
	}
	for _, c := range d.set.Classes {
		by.Classes = append(by.Classes, c.Name)
	}
	for _, list := range classes {
		rarest := -1
		for _, c := range list {
			if rarest < 0 || images[c] < images[rarest] {
				rarest = c
			}
		}
		by.Y = append(by.Y, rarest+1)
	}
	fold, err := stratify.Holdout(by, nil, d.config.ValFraction, d.config.Seed)
	if too := (*stratify.Error)(nil); errors.As(err, &too) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("detect: images to validate on: %w", err)
	}
	d.rows[finetune.Training] = nil
	for _, i := range fold.Train {
		d.rows[finetune.Training] = append(d.rows[finetune.Training], all[i])
	}
	for _, i := range fold.Test {
		d.rows[finetune.Validation] = append(d.rows[finetune.Validation], all[i])
	}
	d.heldOut = true
	return nil
}
