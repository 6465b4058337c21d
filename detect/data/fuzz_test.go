package data_test

import (
	"errors"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
)

// checkOpened opens a set of any contents. Either it is refused as unusable, or
// what it holds is as package data promises.
func checkOpened(t *testing.T, set files) {
	s, err := data.OpenFiles(t.Context(), set)
	if err != nil {
		if !errors.Is(err, featurize.ErrData) {
			t.Fatal(err)
		}
		return
	}
	defer s.Close()
	for _, img := range s.Images {
		if img.Width < 0 || img.Height < 0 {
			t.Errorf("%q: %dx%d", img.Name, img.Width, img.Height)
		}
		for _, o := range img.Objects {
			if !(o.Box[0] < o.Box[2] && o.Box[1] < o.Box[3] && o.Area >= 0) || math.IsInf(o.Area, 0) || o.Class < 0 || o.Class >= len(s.Classes) {
				t.Errorf("%q: %+v", img.Name, o)
			}
			if img.Width > 0 && img.Height > 0 && (o.Box[0] < -.02 || o.Box[2] > float64(img.Width)+.02 || o.Box[1] < -.02 || o.Box[3] > float64(img.Height)+.02) {
				t.Errorf("%q: %v in %dx%d", img.Name, o.Box, img.Width, img.Height)
			}
			if o.Mask == nil || img.Width == 0 || img.Height == 0 || img.Width*img.Height > 1<<20 {
				continue
			}
			if m, err := o.Mask.Runs(img.Height, img.Width); err != nil {
				t.Error(err)
			} else if err := m.Validate(); err != nil || m.W != img.Width || m.H != img.Height {
				t.Errorf("%q: %dx%d, %v", img.Name, m.W, m.H, err)
			}
		}
	}
	for _, split := range append(s.Splits(), "") {
		d, err := s.COCO(t.Context(), split, false)
		if err != nil {
			t.Fatal(err)
		}
		images, objects := map[int64]bool{}, map[int64]bool{}
		for _, i := range d.Images {
			images[i.ID] = true
		}
		for _, a := range d.Annotations {
			objects[a.ID] = true
			if a.ID < 1 || !images[a.ImageID] {
				t.Errorf("%+v", a)
			}
		}
		if len(images) != len(d.Images) || len(objects) != len(d.Annotations) {
			t.Errorf("split %q: ids are repeated", split)
		}
	}
}

// fuzz runs with other contents of one file of a set.
func fuzz(f *testing.F, set files, name string) {
	f.Fuzz(func(t *testing.T, content []byte) { checkOpened(t, set.with(files{name: string(content)})) })
}

func FuzzCOCO(f *testing.F) {
	name := "annotations/instances_train.json"
	for _, c := range broken {
		if content, ok := c.set[name]; ok {
			f.Add([]byte(content))
		}
	}
	f.Add([]byte(asStudio(true)))
	f.Add([]byte(asStudio(false)))
	fuzz(f, cocoOf(goodImage, goodObject, goodCategories), name)
}

func FuzzVOC(f *testing.F) {
	for _, c := range broken {
		if content, ok := c.set["Annotations/a.xml"]; ok {
			f.Add([]byte(content))
		}
	}
	f.Add([]byte(asVOC(2)))
	f.Add([]byte(`<?xml version="1.0" encoding="latin1"?><annotation><object><name>a</name><robndbox><cx>9</cx><cy>9</cy><w>4</w><h>3</h><angle>.3</angle></robndbox><polygon><pt><x>1</x><y>2</y></pt><pt><x>5</x><y>2</y></pt><pt><x>5</x><y>9</y></pt></polygon></object></annotation>`))
	fuzz(f, vocOf(), "Annotations/a.xml")
}

func FuzzYOLO(f *testing.F) {
	for _, c := range broken {
		if content, ok := c.set["labels/a.txt"]; ok {
			f.Add([]byte(content))
		}
	}
	f.Add([]byte(asYOLO(2)))
	fuzz(f, yoloOf(""), "labels/a.txt")
}

func FuzzYAML(f *testing.F) {
	for _, set := range layouts() {
		for _, name := range []string{"data.yaml", "set.yaml"} {
			if content, ok := set[name]; ok {
				f.Add([]byte(content))
			}
		}
	}
	f.Add([]byte("names: {0: a, 3: ~, 4: true}\nnc: 3\nkpt_shape: [17, 3]\ntrain: [images, .]\nval: images.txt\n"))
	fuzz(f, yoloOf("0 .5 .5 .2 .2\n1 .1 .1 .2 .2 .3 .1\n").with(files{"images.txt": "a.png\n"}), "data.yaml")
}
