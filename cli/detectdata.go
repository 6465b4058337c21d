package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
)

// truth is a detection data set: what detections are compared with. The embedded set is
// of the split.
type truth struct {
	coco.Dataset
	name       string             // as --data names it
	split      string             // "all": of all splits
	all        coco.Dataset       // of all splits; the images of other splits have negative ids where splits have ids in common
	renumbered bool               // all splits are taken, and some have ids in common, so that images have others
	sizes      map[string][2]int  // width and height of the image files of the split, by path
	textIDs    map[string]int64   // the ids of images whose id in the data is a text
	samples    []featurize.Sample // the image files of the split, in its order; Read is nil for a lost one
	objects    [][]data.Object    // of each image of the split
	masks      bool               // every object has a mask
	set        *data.Set
}

// quiet are flaws that do not change a figure, or that most sets have. Verbs pass them
// over; rtx detect check tells all.
var quiet = []data.Kind{
	data.ImageNoObjects, data.ClassIDs, data.ClassUnused, data.ClassSuper, data.ImageNoLabels, data.ImageLost,
	data.CrowdMissing, data.AreaMissing, data.DifficultMissing, data.TruncatedMissing, data.BoxThin, data.BoxRepeated, data.MaskOverlap,
}

// openObjects reads the data set that --data names, and tells its flaws.
func (e *env) openObjects(ctx context.Context, o dataOptions) (*data.Set, error) {
	set, err := data.Open(ctx, o.Data, data.Config{Root: o.Root})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--data names a data set for detection: a folder, an archive, or a .json file of COCO"}
	case err != nil:
		return nil, err
	}
	for _, f := range set.Findings {
		if !slices.Contains(quiet, f.Kind) {
			e.warn("%s: %s", o.Data, f)
		}
	}
	return set, nil
}

// readTruth reads the split of the data that the detections are compared with.
func (e *env) readTruth(ctx context.Context, o dataOptions, split string) (*truth, error) {
	set, err := e.openObjects(ctx, o)
	if err != nil {
		return nil, err
	}
	t := &truth{name: o.Data, set: set}
	if err := t.choose(e, split); err != nil {
		set.Close()
		return nil, err
	}
	if err := t.read(ctx); err != nil {
		set.Close()
		return nil, err
	}
	return t, nil
}

// choose finds the split: the one that is asked for, else test or val if it shows
// objects, else all images.
func (t *truth) choose(e *env, split string) error {
	objects := map[string]int{}
	for _, image := range t.set.Images {
		objects[image.Split] += len(image.Objects)
	}
	splits := t.set.Splits()
	if t.split = split; split == "" {
		t.split = "all"
		for _, s := range []string{"val", "test"} {
			if objects[s] > 0 {
				t.split = s
			}
		}
		if t.split == "all" && len(splits) > 1 {
			e.warn("there is no test or val split with objects; all images are taken (%s)", strings.Join(splits, ", "))
		}
	}
	switch {
	case t.split != "all" && !slices.Contains(splits, t.split):
		return hinted{fmt.Errorf("the data have no split %q, found %q: %w", t.split, splits, featurize.ErrData), "--split all takes all images"}
	case t.split != "all" && objects[t.split] == 0:
		return fmt.Errorf("the split %q of %q shows no objects, so that nothing can be found: %w", t.split, t.name, featurize.ErrData)
	}
	return nil
}

// inData is the name of the split as the data have it; "": all.
func (t *truth) inData() string {
	if t.split == "all" {
		return ""
	}
	return t.split
}

// addMasks makes the masks of the objects, if all of them have one.
func (t *truth) addMasks(ctx context.Context) error {
	d, err := t.set.COCO(ctx, t.inData(), true)
	if err != nil {
		return err
	}
	if t.masks = !slices.ContainsFunc(d.Annotations, func(a coco.Annotation) bool { return a.Mask == nil }); t.masks {
		t.Dataset = *d
	}
	return nil
}

// read makes the sets of the split and of all splits, without masks.
func (t *truth) read(ctx context.Context) error {
	name := t.inData()
	d, err := t.set.COCO(ctx, name, false)
	if err != nil {
		return err
	}
	t.Dataset, t.all = *d, *d
	if len(t.Annotations) == 0 {
		return hinted{fmt.Errorf("%q shows no objects, so that nothing can be found: %w", t.name, featurize.ErrData), "a file of annotations has images, annotations and categories"}
	}
	if name == "" {
		t.renumbered = !t.unique(d)
	} else {
		if d, err = t.set.COCO(ctx, "", false); err != nil {
			return err
		}
		t.number(d)
		t.all = *d
	}
	t.textIDs, t.sizes = map[string]int64{}, map[string][2]int{}
	for i := range t.set.Images {
		img, own := &t.set.Images[i], name == "" || t.set.Images[i].Split == name
		if _, known := t.textIDs[img.TextID]; img.TextID != "" && (own || !known) {
			t.textIDs[img.TextID] = t.all.Images[i].ID
		}
		if own {
			s, _ := img.Sample()
			s.Size, s.ModTime = t.stat(img)
			t.samples, t.objects = append(t.samples, s), append(t.objects, img.Objects)
			t.sizes[img.Path] = [2]int{img.Width, img.Height}
		}
	}
	return nil
}

// mapNames gives images that results tell by names or by ids that are texts their ids:
// those in the split if it has images of these names. It returns the names that are not of
// one image.
func (t *truth) mapNames(r *coco.Results) (unknown []string) {
	for i, name := range r.Names {
		if id, ok := t.textIDs[name]; ok && name != "" {
			r.Detections[i].ImageID, r.Names[i] = id, ""
		}
	}
	if r.MapNames(&t.Dataset) == nil {
		return nil
	}
	return r.MapNames(&t.all)
}

// number keeps the ids of the images of the split in the set of all splits, where images of
// other splits have the same ones: those get others, which no file holds.
func (t *truth) number(all *coco.Dataset) {
	if t.unique(all) {
		return
	}
	of, free := t.Images, int64(-1)
	for _, image := range of {
		free = min(free, image.ID-1)
	}
	for i := range all.Images {
		if t.set.Images[i].Split == t.split {
			all.Images[i].ID, of = of[0].ID, of[1:]
			continue
		}
		all.Images[i].ID = free
		free--
	}
}

// unique reports whether images of all splits have the ids that the data give them.
func (t *truth) unique(d *coco.Dataset) bool {
	for i := range d.Images {
		if d.Images[i].ID != t.set.Images[i].ID {
			return false
		}
	}
	return true
}

// stat tells the size and time of an image file, or of the archive that it is in.
func (t *truth) stat(img *data.Image) (size, time int64) {
	info, err := os.Stat(t.name)
	if err == nil && info.IsDir() {
		info, err = os.Stat(filepath.Join(t.name, filepath.FromSlash(img.Path)))
	}
	if err != nil {
		return 0, 0
	}
	return info.Size(), info.ModTime().UnixNano()
}

// classNames are the names of the classes.
func (t *truth) classNames() (names []string) {
	for _, c := range t.Categories {
		names = append(names, c.Name)
	}
	return names
}

// sizeOf is the width and height of an image file as the data say them; 0, 0: they do not.
func (t *truth) sizeOf(path string) (width, height int) {
	size := t.sizes[path]
	return size[0], size[1]
}

// each yields samples.
func each(samples []featurize.Sample) iter.Seq2[featurize.Sample, error] {
	return func(yield func(featurize.Sample, error) bool) {
		for _, s := range samples {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// categoryOf is the class of a name; nil: there is none.
func (t *truth) categoryOf(name string) *coco.Category {
	for i := range t.Categories {
		if t.Categories[i].Name == name {
			return &t.Categories[i]
		}
	}
	return nil
}

// identity tells sets apart by all that the figures depend on. Masks are told apart as the
// data have them, so that it is the same before and after addMasks.
func (t *truth) identity() string {
	h := sha256.New()
	for _, m := range t.Images {
		fmt.Fprintf(h, "%d %q %d %d\n", m.ID, m.FileName, m.Width, m.Height)
	}
	for _, c := range t.Categories {
		fmt.Fprintf(h, "%d %q\n", c.ID, c.Name)
	}
	for _, a := range t.Annotations {
		fmt.Fprintf(h, "%d %d %d %v %v %t\n", a.ID, a.ImageID, a.CategoryID, a.Box, a.Area, a.Crowd)
	}
	for _, objects := range t.objects {
		for _, o := range objects {
			fmt.Fprintf(h, "%t", o.Difficult)
			if m := o.Mask; m != nil {
				fmt.Fprintf(h, " %v", m.Polygons)
				if m.RLE != nil {
					fmt.Fprintf(h, " %d %v", m.RLE.H, m.RLE.Counts)
				}
			}
			fmt.Fprintln(h)
		}
	}
	return fmt.Sprintf("%d images, %d objects, %s", len(t.Images), len(t.Annotations), hex.EncodeToString(h.Sum(nil))[:16])
}
