package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
)

// line is an image as JSON: its objects with labels and boxes x1, y1, x2, y2 in pixels.
func (p *predictingObjects) line(one detected) object {
	path := featurize.JSONPath(one.Path)
	if one.Error != "" {
		return object{{"path", path}, {"error", one.Error}}
	}
	objects := []object{}
	for _, o := range one.Objects {
		entry := object{{"label", p.class(o.Class)}, {"score", o.Score}, {"box", o.Box}}
		if o.Mask != nil {
			entry = append(entry, object{{"mask", cocoMask(o.Mask)}}...)
		}
		objects = append(objects, entry)
	}
	return object{{"path", path}, {"width", one.Width}, {"height", one.Height}, {"detections", objects}}
}

// cocoMask is a mask as COCO's files have it.
func cocoMask(m *mask.RLE) object {
	return object{{"size", [2]int{m.H, m.W}}, {"counts", m.String()}}
}

// cocoFiles are a list of results in COCO's format, the categories that it speaks of,
// which are not in it, and the images.
func (p *predictingObjects) cocoFiles() ([]output.Content, error) {
	results, images, categories := []object{}, []object{}, []object{}
	for i, one := range p.results {
		id := p.imageID(i, one)
		images = append(images, object{{"id", id}, {"file_name", one.Path}, {"width", one.Width}, {"height", one.Height}})
		for _, o := range one.Objects {
			category, named := p.categoryID(o.Class)
			if !named {
				continue
			}
			entry := object{{"image_id", id}, {"category_id", category}, {"bbox", cocoBox(o.Box)}, {"score", o.Score}}
			if o.Mask != nil {
				entry = append(entry, object{{"segmentation", cocoMask(o.Mask)}}...)
			}
			results = append(results, entry)
		}
	}
	if p.truth != nil {
		for _, c := range p.truth.Categories {
			categories = append(categories, object{{"id", c.ID}, {"name", c.Name}})
		}
		return p.cocoContents(results, categories, images), nil
	}
	for i, c := range p.detector.Classes() {
		if id, named := p.categoryID(i); named {
			categories = append(categories, object{{"id", id}, {"name", c.Name}})
		}
	}
	return p.cocoContents(results, categories, images), nil
}

func (p *predictingObjects) cocoContents(results, categories, images []object) []output.Content {
	return []output.Content{
		{Name: "predictions.json", Write: oneALine(results)},
		{Name: "categories.json", Write: oneALine(categories)},
		{Name: "images.json", Write: oneALine(images)},
	}
}

// cocoBox is x, y, width, height, as precise as a float32.
func cocoBox(b [4]float32) [4]float32 {
	return [4]float32{b[0], b[1], float32(float64(b[2]) - float64(b[0])), float32(float64(b[3]) - float64(b[1]))}
}

// imageID is the number of an image: the data set's, or its place, from 1 on.
func (p *predictingObjects) imageID(i int, one detected) int64 {
	if p.known != nil {
		return p.known.ids[string(one.Path)]
	}
	return int64(i + 1)
}

// categoryID is the number of a class: that of the data set's class of the same name, or
// the detector's. named is false for a class without a name, or one that the data set
// does not have.
func (p *predictingObjects) categoryID(class int) (id int64, named bool) {
	classes := p.detector.Classes()
	if class >= len(classes) || classes[class].Name == "" {
		return 0, false
	}
	if p.truth == nil {
		return classes[class].ID, true
	}
	c := p.truth.categoryOf(classes[class].Name)
	if c == nil {
		return 0, false
	}
	return c.ID, true
}

// oneALine writes a JSON list, an element a line.
func oneALine(list []object) func(io.Writer) error {
	return func(w io.Writer) error {
		for i, one := range list {
			before := ",\n"
			if i == 0 {
				before = "[\n"
			}
			text, err := json.Marshal(one)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s%s", before, text); err != nil {
				return err
			}
		}
		end := "\n]\n"
		if len(list) == 0 {
			end = "[]\n"
		}
		_, err := io.WriteString(w, end)
		return err
	}
}
