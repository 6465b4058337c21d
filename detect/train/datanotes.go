package train

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
)

// Notes says in sentences what of the set is not used, or in another way than it says.
func (d *Data) Notes() (notes []string) {
	l := &d.left
	for _, n := range []struct {
		count int
		text  string
	}{
		{l.lost, "image(s) have no file, and are left out"},
		{len(l.unread), "image file(s) cannot be read, and are left out" + d.example(l.unread)},
		{l.otherSplit, "image(s) are of a split that is none of train, val and test, and are left out"},
		{l.turned, "image(s) are turned as their EXIF orientation says, which gives them the size that the data say"},
		{l.resized, "image(s) have another size than the data say; boxes are taken in pixels of the image files"},
		{l.crowds, "crowd(s) in training images are not learned"},
		{l.small, fmt.Sprintf("object(s) in training images are not learned, as a side is at most %g pixels once images are scaled", leastSide)},
	} {
		if n.count > 0 {
			notes = append(notes, fmt.Sprintf("%d %s", n.count, n.text))
		}
	}
	if l.maskless > 0 && d.config.Masks {
		notes = append(notes, fmt.Sprintf("%d object(s) in training images have no mask, and only their boxes are learned", l.maskless))
	}
	if l.empty > 0 {
		what := "and are left out"
		if d.config.KeepEmpty {
			what = "and are learned as background"
		}
		notes = append(notes, fmt.Sprintf("%d training image(s) have no object to learn, %s", l.empty, what))
	}
	if d.heldOut {
		notes = append(notes, fmt.Sprintf("there is no validation split: %d of %d training images are held out", len(d.rows[finetune.Validation]), len(d.rows[finetune.Validation])+len(d.rows[finetune.Training])))
	} else if len(d.rows[finetune.Validation]) == 0 {
		notes = append(notes, "there are no images to validate on")
	}
	if n, all := d.padded(), len(d.rows[finetune.Validation]); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d validation images are padded more than in use, as images of several shapes share a canvas; figures of the trained detector in use may differ slightly", n, all))
	}
	return notes
}

// padded counts the validation images whose canvas is larger than the one that they have in
// inference.
func (d *Data) padded() (n int) {
	for _, p := range d.rows[finetune.Validation] {
		if d.canvases[p.canvas] != d.need(p) {
			n++
		}
	}
	return n
}

// example names the first of some images of the set.
func (d *Data) example(images []int) string {
	if len(images) == 0 {
		return ""
	}
	return fmt.Sprintf("; the first is %q", d.set.Images[images[0]].Path)
}

// Failed lists the images that could not be read so far, with the reasons.
func (d *Data) Failed() (list []featurize.Failure) {
	d.failures.Lock()
	defer d.failures.Unlock()
	for at, reason := range d.failed {
		list = append(list, featurize.Failure{Path: d.set.Images[at].Path, Reason: reason})
	}
	slices.SortFunc(list, func(a, b featurize.Failure) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

func (d *Data) fail(at int, err error) {
	d.failures.Lock()
	defer d.failures.Unlock()
	d.failed[at] = err.Error()
}
