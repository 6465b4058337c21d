package shapes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// COCO says what data set WriteCOCO writes. The zero value is the default.
type COCO struct {
	Train, Val int    // numbers of images; 0: 60 and 20
	Objects    int    // the most of an image; 0: 5
	Seed       uint64 // another one makes other images
	Scene      SceneConfig
}

// emptyEvery is how many images there are to each without objects.
const emptyEvery = 10

// WriteCOCO writes a data set for detection and instance segmentation to a folder:
// train/NUMBER.jpg, val/NUMBER.jpg, annotations/instances_train.json and
// annotations/instances_val.json. Masks are run lengths, equal to those of the scenes. One
// image in ten shows no object. Categories are those of the scenes, in the order of Names,
// with ids from 1 on.
func WriteCOCO(dir string, c COCO) error {
	if c.Train == 0 {
		c.Train = 60
	}
	if c.Val == 0 {
		c.Val = 20
	}
	if c.Objects == 0 {
		c.Objects = 5
	}
	if err := os.MkdirAll(filepath.Join(dir, "annotations"), 0o777); err != nil {
		return err
	}
	if err := c.split(dir, "train", 1, c.Train); err != nil {
		return err
	}
	return c.split(dir, "val", c.Train+1, c.Val)
}

// The contents of instances_*.json.
type (
	cocoFile struct {
		Images      []cocoImage      `json:"images"`
		Categories  []cocoCategory   `json:"categories"`
		Annotations []cocoAnnotation `json:"annotations"`
	}
	cocoImage struct {
		ID       int    `json:"id"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		FileName string `json:"file_name"`
	}
	cocoCategory struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	cocoAnnotation struct {
		ID           int         `json:"id"`
		ImageID      int         `json:"image_id"`
		CategoryID   int         `json:"category_id"`
		BBox         [4]int      `json:"bbox"` // x, y, width, height
		Area         int         `json:"area"`
		Crowd        int         `json:"iscrowd"`
		Segmentation cocoLengths `json:"segmentation"`
	}
	cocoLengths struct {
		Size   [2]int `json:"size"` // height, width
		Counts []int  `json:"counts"`
	}
)

// split writes the images of a split, whose ids begin at first, and their annotations.
func (c *COCO) split(dir, name string, first, n int) error {
	if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
		return err
	}
	scenes := make([]*Scene, n)
	errs := make([]error, n)
	var images sync.WaitGroup
	for i := range n {
		images.Go(func() {
			id := first + i
			scenes[i] = c.scene(id)
			var b bytes.Buffer
			if errs[i] = jpeg.Encode(&b, scenes[i].Image, &jpeg.Options{Quality: 95}); errs[i] == nil {
				errs[i] = os.WriteFile(filepath.Join(dir, name, fileName(id)), b.Bytes(), 0o666)
			}
		})
	}
	images.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	text, err := json.Marshal(c.annotations(first, scenes))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "annotations", "instances_"+name+".json"), text, 0o666)
}

func fileName(id int) string { return fmt.Sprintf("%04d.jpg", id) }

// scene draws the image of an id.
func (c *COCO) scene(id int) *Scene {
	seed := c.Seed<<32 + uint64(id)
	objects := 0
	if id%emptyEvery != 0 {
		const stream = 1<<32 + 1 // DrawScene uses the one before
		objects = 1 + rand.New(rand.NewPCG(seed, stream)).IntN(c.Objects)
	}
	return DrawScene(objects, seed, c.Scene)
}

func (c *COCO) annotations(first int, scenes []*Scene) *cocoFile {
	f := &cocoFile{Images: []cocoImage{}, Annotations: []cocoAnnotation{}}
	ids := map[int]int{} // of the categories
	for class, name := range Names {
		if c.Scene.Classes == nil || slices.Contains(c.Scene.Classes, class) {
			ids[class] = len(ids) + 1
			f.Categories = append(f.Categories, cocoCategory{ids[class], name})
		}
	}
	for i, s := range scenes {
		size := s.Image.Rect.Size()
		f.Images = append(f.Images, cocoImage{first + i, size.X, size.Y, fileName(first + i)})
		for _, o := range s.Objects {
			counts, area := runLengths(o.Mask)
			f.Annotations = append(f.Annotations, cocoAnnotation{
				ID: len(f.Annotations) + 1, ImageID: first + i, CategoryID: ids[o.Class],
				BBox: [4]int{o.Box.Min.X, o.Box.Min.Y, o.Box.Dx(), o.Box.Dy()}, Area: area,
				Segmentation: cocoLengths{[2]int{size.Y, size.X}, counts},
			})
		}
	}
	return f
}

// runLengths are the lengths of the runs of 0 and 1, which take turns from 0 on, and the
// number of ones.
func runLengths(mask []byte) (counts []int, ones int) {
	counts = []int{0}
	for _, v := range mask {
		if int(v) != (len(counts)-1)%2 {
			counts = append(counts, 0)
		}
		counts[len(counts)-1]++
		ones += int(v)
	}
	return counts, ones
}
