package train

import (
	"context"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/finetune"
)

// Truth is what the images of a split show, to score detections with. Its i-th image is
// row i, with the size of its file. Ids are those of data.Set.COCO for the images' split,
// so that detections may be compared with the data themselves; categories are all classes
// of the set. masks asks for masks, which takes time: there are some if all
// objects have one of the size of their image's file, and otherwise none, as then they
// cannot be judged.
func (d *Data) Truth(ctx context.Context, s finetune.Split, masks bool) (*coco.Dataset, error) {
	ids, err := d.imageIDs(ctx, s)
	if err != nil {
		return nil, err
	}
	part := *d.set
	part.Images = nil
	for _, p := range d.rows[s] {
		img := d.set.Images[p.at]
		img.Width, img.Height = p.size.W, p.size.H
		part.Images = append(part.Images, img)
	}
	t, err := part.COCO(ctx, d.splitName(s), masks)
	if err != nil {
		return nil, err
	}
	of, sizes := map[int64]int64{}, map[int64]detect.Size{}
	for row := range t.Images {
		of[t.Images[row].ID], sizes[ids[row]] = ids[row], d.rows[s][row].size
		t.Images[row].ID = ids[row]
	}
	for i := range t.Annotations {
		t.Annotations[i].ImageID = of[t.Annotations[i].ImageID]
	}
	if slices.ContainsFunc(t.Annotations, func(a coco.Annotation) bool {
		return a.Mask == nil || a.Mask.H != sizes[a.ImageID].H || a.Mask.W != sizes[a.ImageID].W
	}) {
		for i := range t.Annotations {
			t.Annotations[i].Mask = nil
		}
	}
	return t, nil
}

// imageIDs are the ids of the rows' images among those of their split.
func (d *Data) imageIDs(ctx context.Context, s finetune.Split) ([]int64, error) {
	name := d.splitName(s)
	all, err := d.set.COCO(ctx, name, false)
	if err != nil {
		return nil, err
	}
	of, next := make([]int64, len(d.set.Images)), 0
	for i := range d.set.Images {
		if name == "" || d.set.Images[i].Split == name {
			of[i] = all.Images[next].ID
			next++
		}
	}
	ids := make([]int64, len(d.rows[s]))
	for row, p := range d.rows[s] {
		ids[row] = of[p.at]
	}
	return ids, nil
}

// splitName is what the set calls the split of a split's images; "" where they are of
// several, or of none.
func (d *Data) splitName(s finetune.Split) (name string) {
	for i, p := range d.rows[s] {
		if of := d.set.Images[p.at].Split; i == 0 {
			name = of
		} else if of != name {
			return ""
		}
	}
	return name
}
