package data_test

import (
	"fmt"
	"image"
	"image/color"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
)

// The set of these tests, in all forms. Sizes are powers of two, so that fractions of them
// are exact.
type drawn struct {
	class   string
	box     [4]int // x1, y1, x2, y2
	polygon []int
}

var pictures = []struct {
	split, name string
	w, h        int
	objects     []drawn
}{
	{"train", "a one.png", 64, 32, []drawn{{"traffic light", [4]int{8, 4, 16, 20}, nil}, {"cat", [4]int{0, 0, 64, 32}, nil}}},
	{"train", "b.v2.png", 32, 32, nil},
	{"val", "c.png", 128, 64, []drawn{{"cat", [4]int{10, 10, 30, 20}, []int{10, 10, 30, 10, 30, 20, 10, 20}}}},
}

// want is what every form of the set holds.
const want = `train a one.png 64x32
  traffic light [8 4 16 20]
  cat [0 0 64 32]
train b.v2.png 32x32
val c.png 128x64
  cat [10 10 30 20]
`

// summary is what is in a set, whatever its form. With masks, they are in it too.
func summary(t testing.TB, s *data.Set, masks bool) string {
	t.Helper()
	var b strings.Builder
	for _, img := range s.Images {
		fmt.Fprintf(&b, "%s %s %dx%d\n", img.Split, filepath.Base(strings.ReplaceAll(img.Name, `\`, "/")), img.Width, img.Height)
		if img.Read == nil {
			t.Errorf("%s: lost", img.Name)
			continue
		}
		if data, err := img.Read(nil); err != nil || string(data) != picture(img.Width, img.Height) {
			t.Errorf("%s: %d bytes, %v", img.Name, len(data), err)
		}
		for _, o := range img.Objects {
			fmt.Fprint(&b, "  ", s.Classes[o.Class].Name, " ", o.Box)
			if masks && o.Mask != nil {
				m, err := o.Mask.Runs(img.Height, img.Width)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(&b, " mask ", m.Area(), m.Bounds())
			}
			fmt.Fprintln(&b)
		}
	}
	return b.String()
}

// asCOCO is the JSON file of some pictures.
func asCOCO(split string, name func(string) string) string {
	var images, objects []string
	for i, p := range pictures {
		if split != "" && p.split != split {
			continue
		}
		images = append(images, fmt.Sprintf(`{"id": %d, "file_name": %q, "width": %d, "height": %d}`, i+1, name(p.name), p.w, p.h))
		for j, o := range p.objects {
			segmentation := "[]"
			if o.polygon != nil {
				segmentation = "[" + strings.ReplaceAll(fmt.Sprint(o.polygon), " ", ", ") + "]"
			}
			w, h := o.box[2]-o.box[0], o.box[3]-o.box[1]
			class := map[string]int{"traffic light": 2, "cat": 1}[o.class]
			objects = append(objects, fmt.Sprintf(`{"id": %d, "image_id": %d, "category_id": %d, "bbox": [%d, %d, %d, %d], "area": %d, "iscrowd": 0, "segmentation": %s}`,
				10*i+j+1, i+1, class, o.box[0], o.box[1], w, h, w*h, segmentation))
		}
	}
	return fmt.Sprintf(`{"info": {}, "images": [%s], "annotations": [%s], "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "traffic light"}]}`,
		strings.Join(images, ",\n"), strings.Join(objects, ",\n"))
}

// asVOC is the XML file of a picture.
func asVOC(i int) string {
	p := pictures[i]
	var b strings.Builder
	fmt.Fprintf(&b, "<annotation verified=\"yes\">\n<folder>x</folder><filename>%s</filename>\n<size><width>%d</width><height>%d</height><depth>3</depth></size>\n", p.name, p.w, p.h)
	for _, o := range p.objects {
		polygon := ""
		for i := 0; i+1 < len(o.polygon); i += 2 {
			polygon += fmt.Sprintf("<x%d>%d</x%[1]d><y%[1]d>%[3]d</y%[1]d>", i/2+1, o.polygon[i], o.polygon[i+1])
		}
		if polygon != "" {
			polygon = "<polygon>" + polygon + "</polygon>"
		}
		fmt.Fprintf(&b, "<object><name>%s</name><truncated>0</truncated><difficult>0</difficult><bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox>%s</object>\n",
			o.class, o.box[0]+1, o.box[1]+1, o.box[2], o.box[3], polygon)
	}
	return b.String() + "</annotation>\n"
}

// asYOLO is the text file of a picture.
func asYOLO(i int) string {
	p := pictures[i]
	var b strings.Builder
	for _, o := range p.objects {
		class := map[string]int{"cat": 0, "traffic light": 1}[o.class]
		w, h := float64(p.w), float64(p.h)
		if o.polygon != nil {
			fmt.Fprint(&b, class)
			for i := 0; i+1 < len(o.polygon); i += 2 {
				fmt.Fprint(&b, " ", float64(o.polygon[i])/w, " ", float64(o.polygon[i+1])/h)
			}
			fmt.Fprintln(&b)
			continue
		}
		x1, y1, x2, y2 := float64(o.box[0]), float64(o.box[1]), float64(o.box[2]), float64(o.box[3])
		fmt.Fprintln(&b, class, (x1+x2)/2/w, (y1+y2)/2/h, (x2-x1)/w, (y2-y1)/h)
	}
	return b.String()
}

// asStudio is Label Studio's file of the pictures.
func asStudio(min bool) string {
	var tasks []string
	for i, p := range pictures {
		var results []string
		for _, o := range p.objects {
			w, h := float64(p.w)/100, float64(p.h)/100
			value := fmt.Sprintf(`"x": %v, "y": %v, "width": %v, "height": %v, "rotation": 0, "rectanglelabels": [%q]`,
				float64(o.box[0])/w, float64(o.box[1])/h, float64(o.box[2]-o.box[0])/w, float64(o.box[3]-o.box[1])/h, o.class)
			kind := "rectanglelabels"
			if o.polygon != nil {
				var points []string
				for i := 0; i+1 < len(o.polygon); i += 2 {
					points = append(points, fmt.Sprintf("[%v, %v]", float64(o.polygon[i])/w, float64(o.polygon[i+1])/h))
				}
				value = fmt.Sprintf(`"points": [%s], "polygonlabels": [%q]`, strings.Join(points, ", "), o.class)
				kind = "polygonlabels"
			}
			if min {
				results = append(results, fmt.Sprintf(`{%s, "original_width": %d, "original_height": %d}`, value, p.w, p.h))
			} else {
				results = append(results, fmt.Sprintf(`{"type": %q, "original_width": %d, "original_height": %d, "value": {%s}}`, kind, p.w, p.h, value))
			}
		}
		address := "/data/upload/1/" + strings.ReplaceAll(p.name, " ", "%20")
		if min {
			tasks = append(tasks, fmt.Sprintf(`{"id": %d, "picture": %q, "label": [%s], "annotator": 1, "created_at": "2024"}`, i+1, address, strings.Join(results, ", ")))
		} else {
			tasks = append(tasks, fmt.Sprintf(`{"id": %d, "data": {"picture": %q}, "annotations": [{"id": 5, "was_cancelled": false, "result": [%s]}]}`, i+1, address, strings.Join(results, ", ")))
		}
	}
	return "[" + strings.Join(tasks, ",\n") + "]"
}

// layouts are the set as programs write it. Those whose names begin with ! have no splits.
func layouts() map[string]files {
	same := func(name string) string { return name }
	all := map[string]files{
		"coco":           {"annotations/instances_train2017.json": asCOCO("train", same), "annotations/instances_val2017.json": asCOCO("val", same)},
		"coco roboflow":  {"README.roboflow.txt": "x", "train/_annotations.coco.json": asCOCO("train", same), "valid/_annotations.coco.json": asCOCO("val", same)},
		"coco flat":      {"train.json": asCOCO("train", same), "val.json": asCOCO("val", same)},
		"!coco cvat":     {"annotations/instances_default.json": asCOCO("", same)},
		"!coco studio":   {"result.json": asCOCO("", func(name string) string { return `images\` + name })},
		"!coco windows":  {"x.json": asCOCO("", func(name string) string { return `D:\pictures\` + name })},
		"voc":            {"ImageSets/Main/train.txt": "a one\nb.v2\n", "ImageSets/Main/val.txt": "c\n", "ImageSets/Main/trainval.txt": "a one\nb.v2\nc\n", "ImageSets/Main/cat_train.txt": "a one  1\nb.v2 -1\n"},
		"voc roboflow":   {},
		"!voc labelimg":  {"classes.txt": "cat\ntraffic light\n"},
		"yolo":           {"data.yaml": "path: ../datasets/set\ntrain: images/train  # relative\nval: images/val\ntest:\nnames:\n  0: cat\n  1: traffic light\n"},
		"yolo roboflow":  {"data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cat', 'traffic light']\nroboflow:\n  workspace: x\n"},
		"yolo lists":     {"set.yaml": "train: [train.txt]\nval: val.txt\nnames: [cat, traffic light]\n", "train.txt": "./images/a one.png\n./images/b.v2.png\n", "val.txt": "/elsewhere/set/images/c.png\n"},
		"!yolo studio":   {"classes.txt": "cat\ntraffic light\n", "notes.json": `{"categories": [{"id": 0, "name": "cat"}]}`},
		"!yolo darknet":  {"obj.names": "cat\ntraffic light\n"},
		"!labelstudio":   {"project.json": asStudio(false)},
		"!labelstudio m": {"project.json": asStudio(true)},
	}
	for i, p := range pictures {
		split := map[string]string{"train": "train", "val": "valid"}[p.split]
		name := strings.TrimSuffix(p.name, filepath.Ext(p.name))
		for layout, put := range map[string][3]string{
			"coco": {p.split + "2017/", "", ""}, "coco roboflow": {split + "/", "", ""}, "coco flat": {p.split + "/", "", ""},
			"!coco cvat": {"images/default/", "", ""}, "!coco studio": {"images/", "", ""}, "!coco windows": {"pictures/", "", ""},
			"voc": {"JPEGImages/", "Annotations/", ".xml"}, "voc roboflow": {split + "/", split + "/", ".xml"}, "!voc labelimg": {"", "", ".xml"},
			"yolo": {"images/" + p.split + "/", "labels/" + p.split + "/", ".txt"}, "yolo roboflow": {split + "/images/", split + "/labels/", ".txt"},
			"yolo lists": {"images/", "labels/", ".txt"}, "!yolo studio": {"images/", "labels/", ".txt"}, "!yolo darknet": {"obj_data/", "obj_data/", ".txt"},
			"!labelstudio": {"", "", ""}, "!labelstudio m": {"images/", "", ""},
		} {
			all[layout][put[0]+p.name] = picture(p.w, p.h)
			switch put[2] {
			case ".xml":
				all[layout][put[1]+name+".xml"] = asVOC(i)
			case ".txt":
				all[layout][put[1]+name+".txt"] = asYOLO(i)
			}
		}
	}
	return all
}

// TestLayouts reads the same set in every layout, from folders and archives.
func TestLayouts(t *testing.T) {
	quiet := map[data.Kind]bool{data.ImageNoObjects: true, data.ClassOneSplit: true, data.PathMoved: true, data.PathMissing: true, data.MaskMissing: true}
	for name, f := range layouts() {
		for kind, at := range map[string]string{"folder": f.folder(t), "tar": f.archive(t, ".tar", "top/"), "zip": f.archive(t, ".zip", "")} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				s := open(t, at)
				wanted, form := want, strings.TrimPrefix(name, "!")
				if strings.HasPrefix(name, "!") {
					wanted = strings.NewReplacer("train ", " ", "val ", " ").Replace(want)
				}
				if got := summary(t, s, false); got != wanted {
					t.Errorf("%s\nwant\n%s", got, wanted)
				}
				if form, _, _ = strings.Cut(form, " "); s.Format != form {
					t.Errorf("form %q", s.Format)
				}
				for _, f := range s.Findings {
					if !quiet[f.Kind] {
						t.Error(f)
					}
				}
				if got, err := data.Format(t.Context(), at); got != form || err != nil {
					t.Errorf("Format: %q, %v", got, err)
				}
				last := s.Images[len(s.Images)-1].Objects[0]
				if last.Mask == nil || last.Area != 200 {
					t.Fatalf("the last object: %+v", last)
				}
				if m, err := last.Mask.Runs(64, 128); err != nil || m.Area() != 200 || m.Bounds() != [4]float64{10, 10, 20, 10} {
					t.Errorf("its mask: %+v, %v", m, err)
				}
			})
		}
	}
}

// TestShapes reads the masks of VOC's SegmentationObject, whose numbers are those of the
// objects, and finds them by their boxes where they are not.
func TestShapes(t *testing.T) {
	for name, numbers := range map[string][2]uint8{"in order": {1, 2}, "otherwise": {7, 3}} {
		m := image.NewPaletted(image.Rect(0, 0, 64, 32), make(color.Palette, 256))
		for i := range m.Palette {
			m.Palette[i] = color.Gray{uint8(i)}
		}
		for y := range 32 {
			for x := range 64 {
				switch {
				case x >= 8 && x < 16 && y >= 4 && y < 20:
					m.SetColorIndex(x, y, numbers[0])
				case x > 60:
					m.SetColorIndex(x, y, 255)
				case x+y > 3:
					m.SetColorIndex(x, y, numbers[1])
				}
			}
		}
		s := open(t, layouts()["voc"].with(files{"SegmentationObject/a one.png": encode(m)}).folder(t))
		for i, area := range []int{8 * 16, 61*32 - 8*16 - 10} {
			got, err := s.Images[0].Objects[i].Mask.Runs(32, 64)
			if err != nil || got.Area() != area {
				t.Errorf("%s, object %d: area %d, %v, want %d", name, i, got.Area(), err, area)
			}
		}
	}
}

// TestYAML opens a data.yaml, whose images may be in another folder.
func TestYAML(t *testing.T) {
	f := layouts()["yolo"]
	root := f.folder(t)
	beside := files{"set.yaml": strings.Replace(f["data.yaml"], "../datasets/set", root, 1)}.folder(t)
	for _, name := range []string{filepath.Join(root, "data.yaml"), filepath.Join(beside, "set.yaml")} {
		if got := summary(t, open(t, name), false); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestTwoForms reads a set in two forms in the first, and says so.
func TestTwoForms(t *testing.T) {
	all := layouts()
	s := open(t, all["voc"].with(all["!yolo studio"]).folder(t))
	if s.Format != data.VOC || len(s.Notes) == 0 || !strings.Contains(s.Notes[0], "a set of the form yolo too") {
		t.Errorf("%s, %q", s.Format, s.Notes)
	}
}

// TestYears keeps the splits of two years apart.
func TestYears(t *testing.T) {
	f := cocoSet.with(files{"annotations/instances_train2014.json": cocoSet["annotations/instances_train2017.json"]})
	s := open(t, f.folder(t))
	if got := fmt.Sprint(s.Splits()); got != "[val train2014 train2017]" {
		t.Error(got)
	}
}
