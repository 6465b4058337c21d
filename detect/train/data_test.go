package train_test

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// drawing is an image of rectangles of colours that tell them apart, on black.
type drawing struct {
	name   string
	split  string
	w, h   int
	shapes []image.Rectangle // that do not meet
	class  []int
}

// paint is the colour of the i-th shape of a drawing.
func paint(i int) color.NRGBA {
	return color.NRGBA{R: uint8(80 + 20*i), G: uint8(250 - 20*i), B: 200, A: 255}
}

// drawings makes images of several shapes; classes are 0 and 1.
func drawings(n int) (all []drawing) {
	r := rand.New(rand.NewPCG(7, 0))
	for i := range n {
		d := drawing{name: fmt.Sprintf("%03d.png", i), w: 40 + r.IntN(50), h: 40 + r.IntN(50), split: "train"}
		if i%4 == 3 {
			d.split = "val"
		}
		for at, corner := range []image.Point{{1, 2}, {d.w / 2, 3}, {2, d.h / 2}, {d.w/2 + 1, d.h / 2}}[:1+i%4] {
			d.shapes = append(d.shapes, image.Rect(0, 0, 5+r.IntN(d.w/2-7), 5+r.IntN(d.h/2-7)).Add(corner))
			d.class = append(d.class, (i+at)%2)
		}
		all = append(all, d)
	}
	return all
}

func (d drawing) file(t testing.TB, name string) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, d.w, d.h))
	for y := range d.h {
		for x := range d.w {
			m.SetNRGBA(x, y, color.NRGBA{A: 255})
			for i, s := range d.shapes {
				if (image.Point{x, y}).In(s) {
					m.SetNRGBA(x, y, paint(i))
				}
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, text string, name ...string) {
	t.Helper()
	file := filepath.Join(name...)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

type object = map[string]any

// cocoFolder writes drawings as a COCO set, with the shapes' corners as polygons. change
// may change an annotation.
func cocoFolder(t testing.TB, all []drawing, change func(annotation object)) string {
	t.Helper()
	root := t.TempDir()
	splits := map[string][2][]object{}
	for i, d := range all {
		d.file(t, filepath.Join(root, d.split, d.name))
		lists := splits[d.split]
		lists[0] = append(lists[0], object{"id": 10 + i, "file_name": d.name, "width": d.w, "height": d.h})
		for k, s := range d.shapes {
			a := object{"id": 1 + 100*i + k, "image_id": 10 + i, "category_id": 3 + 4*d.class[k], "iscrowd": 0, "area": s.Dx() * s.Dy(),
				"bbox":         []int{s.Min.X, s.Min.Y, s.Dx(), s.Dy()},
				"segmentation": [][]int{{s.Min.X, s.Min.Y, s.Max.X, s.Min.Y, s.Max.X, s.Max.Y, s.Min.X, s.Max.Y}}}
			if change != nil {
				change(a)
			}
			lists[1] = append(lists[1], a)
		}
		splits[d.split] = lists
	}
	for split, lists := range splits {
		text, err := json.Marshal(object{"images": lists[0], "annotations": lists[1], "categories": []object{{"id": 3, "name": "cup"}, {"id": 7, "name": "hat"}}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, string(text), root, split, "_annotations.coco.json")
	}
	return root
}

// vocFolder writes drawings as a VOC set.
func vocFolder(t testing.TB, all []drawing) string {
	t.Helper()
	root := t.TempDir()
	lists := map[string]string{}
	for _, d := range all {
		d.file(t, filepath.Join(root, "JPEGImages", d.name))
		text := fmt.Sprintf("<annotation><filename>%s</filename><size><width>%d</width><height>%d</height></size>", d.name, d.w, d.h)
		for k, s := range d.shapes {
			text += fmt.Sprintf("<object><name>%s</name><difficult>%d</difficult><bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>",
				[]string{"cup", "hat"}[d.class[k]], k%2, s.Min.X+1, s.Min.Y+1, s.Max.X, s.Max.Y)
		}
		stem := d.name[:len(d.name)-4]
		write(t, text+"</annotation>", root, "Annotations", stem+".xml")
		lists[d.split] += stem + "\n"
	}
	for split, list := range lists {
		write(t, list, root, "ImageSets", "Main", split+".txt")
	}
	return root
}

// yoloFolder writes drawings as a YOLO set.
func yoloFolder(t testing.TB, all []drawing) string {
	t.Helper()
	root := t.TempDir()
	for _, d := range all {
		d.file(t, filepath.Join(root, d.split, "images", d.name))
		text := ""
		for k, s := range d.shapes {
			w, h := float64(d.w), float64(d.h)
			text += fmt.Sprintf("%d %.9f %.9f %.9f %.9f\n", d.class[k], float64(s.Min.X+s.Max.X)/2/w, float64(s.Min.Y+s.Max.Y)/2/h, float64(s.Dx())/w, float64(s.Dy())/h)
		}
		write(t, text, root, d.split, "labels", d.name[:len(d.name)-4]+".txt")
	}
	write(t, "train: train/images\nval: val/images\nnames: [cup, hat]\n", root, "data.yaml")
	return root
}

// core is that of a detector of cups and hats.
func core(t testing.TB, change func(*onnx.Spec)) *onnx.Model {
	t.Helper()
	m, err := arch.Synthetic("resnet8", 10)
	if err != nil {
		t.Fatal(err)
	}
	classes := []onnx.DetectClass{{ID: 1, Name: "hat"}, {ID: 2, Name: ""}, {ID: 3, Name: "cup"}}
	if m, err = arch.NewDetector(m, arch.FasterRCNN, classes, arch.DetectorConfig{Channels: 8, Hidden: 8, MinSize: 96, MaxSize: 160}); err != nil {
		t.Fatal(err)
	}
	if change == nil {
		return m
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	change(&spec)
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	return m
}

func openData(t testing.TB, root string, m *onnx.Model, c train.DataConfig) *train.Data {
	t.Helper()
	set, err := data.Open(context.Background(), root, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	d, err := train.OpenData(context.Background(), set, m, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func load(t testing.TB, d *train.Data, s finetune.Split, epoch int, rows ...int) *finetune.Batch {
	t.Helper()
	b := finetune.NewBatch(rows...)
	if err := d.Load(context.Background(), s, epoch, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// sights are the images of a batch and what is to be learned of them.
func sights(t testing.TB, b *finetune.Batch) (targets []*train.Target, images [][]float32) {
	t.Helper()
	for i := range b.Rows {
		target, ok := b.Truth[i].(*train.Target)
		if !ok {
			t.Fatalf("row %d: the truth is %T", b.Rows[i], b.Truth[i])
		}
		n := 3 * target.Canvas.H * target.Canvas.W
		if len(b.Inputs[graph.Images]) != n*len(b.Rows) {
			t.Fatalf("%d values of %d images on %v", len(b.Inputs[graph.Images]), len(b.Rows), target.Canvas)
		}
		targets, images = append(targets, target), append(images, b.Inputs[graph.Images][i*n:][:n])
	}
	return targets, images
}

// TestDrawnShapes finds each drawn rectangle where the target says: just the pixels are of
// its colour whose centres are in the box, and the mask has just these.
func TestDrawnShapes(t *testing.T) {
	all := drawings(13)
	for _, set := range []struct {
		name, root string
		masks      bool
	}{{"coco", cocoFolder(t, all, nil), true}, {"voc", vocFolder(t, all), false}, {"yolo", yoloFolder(t, all), false}} {
		for _, c := range []train.DataConfig{
			{Size: 96, Flip: true, Workers: 2}, {Size: 64, Flip: true}, {Flip: true}, {MinSizes: []int{48, 71, 96}, MaxSize: 140, Flip: true, Workers: 3}, {Canvases: 1},
		} {
			for _, antialias := range []bool{false, true} {
				if !set.masks && (c.Size == 0 || antialias) {
					continue // as with COCO
				}
				c.Masks = set.masks
				t.Run(fmt.Sprintf("%s of %d or %v, %v", set.name, c.Size, c.MinSizes, antialias), func(t *testing.T) {
					m := core(t, func(s *onnx.Spec) { s.Detect.Images.Antialias = antialias })
					d := openData(t, set.root, m, c)
					if d.Len(finetune.Training) != 10 || d.Rows(finetune.Validation) != 3 || d.HeldOut() {
						t.Fatalf("%d and %d rows", d.Len(finetune.Training), d.Rows(finetune.Validation))
					}
					padding, err := detect.Padding(m)
					if err != nil {
						t.Fatal(err)
					}
					flipped := 0
					for epoch := -1; epoch < 3; epoch++ {
						for _, s := range []finetune.Split{finetune.Training, finetune.Validation} {
							for row := range d.Len(s) {
								targets, images := sights(t, load(t, d, s, epoch, row))
								checkSight(t, all, d, s, row, targets[0], images[0], padding)
								if plain := detect.Scaled(d.Images(), targets[0].Given); (s != finetune.Training || epoch < 0) && targets[0].Size != plain {
									t.Errorf("%v is scaled to %v without need, not to %v", targets[0].Given, targets[0].Size, plain)
								}
								if targets[0].Flipped {
									flipped++
									if s != finetune.Training || epoch < 0 {
										t.Error("mirrored without need")
									}
								}
							}
						}
					}
					if c.Flip != (flipped > 5 && flipped < 25) {
						t.Errorf("%d of 30 images are mirrored", flipped)
					}
				})
			}
		}
	}
}

// checkSight compares an image and its target with the drawing.
func checkSight(t *testing.T, all []drawing, d *train.Data, s finetune.Split, row int, target *train.Target, pixels []float32, padding [3]float32) {
	t.Helper()
	name := filepath.Base(d.Image(s, row).Path)
	drawn := all[slices.IndexFunc(all, func(d drawing) bool { return d.name == name })]
	canvas := target.Canvas
	if !slices.Contains(d.Canvases(), canvas) || canvas.H%32+canvas.W%32 != 0 || target.Size.H > canvas.H || target.Size.W > canvas.W {
		t.Fatalf("%v on the canvas %v of %v", target.Size, canvas, d.Canvases())
	}
	if target.Row != row || target.Given != (detect.Size{H: drawn.h, W: drawn.w}) || len(target.Boxes) != len(drawn.shapes) {
		t.Fatalf("%+v of %+v", target, drawn)
	}
	n := canvas.H * canvas.W
	for i, b := range target.Boxes {
		if want := []int{2, 0}[drawn.class[i]]; target.Labels[i] != want {
			t.Errorf("shape %d has label %d, want %d", i, target.Labels[i], want)
		}
		at := int((b[1]+b[3])/2)*canvas.W + int((b[0]+b[2])/2)
		for c, want := range []uint8{paint(i).R, paint(i).G, paint(i).B} {
			if got := pixels[c*n+at]; math.Abs(float64(got)-float64(want)/255) > 1e-6 {
				t.Errorf("%s, shape %d: channel %d is %v at %v, want %v", name, i, c, got, b, want)
			}
		}
		checkMask(t, target, i)
	}
	for y := range canvas.H {
		for x := range canvas.W {
			at := y*canvas.W + x
			if x >= target.Size.W || y >= target.Size.H {
				if got := [3]float32{pixels[at], pixels[n+at], pixels[2*n+at]}; got != padding {
					t.Fatalf("%s: the padding is %v at (%d,%d), want %v", name, got, x, y, padding)
				}
				continue
			}
			if slices.ContainsFunc(target.Boxes, func(b box.Box) bool { return undecided(b, x, y) }) {
				continue
			}
			bright := pixels[2*n+at] > 100./255
			if inside := slices.ContainsFunc(target.Boxes, func(b box.Box) bool { return within(b, x, y) }); bright != inside {
				t.Fatalf("%s: pixel (%d,%d) is of a shape: %v; the boxes are %v in %v", name, x, y, bright, target.Boxes, target.Size)
			}
		}
	}
}

// within tells whether the centre of a pixel is in a box.
func within(b box.Box, x, y int) bool {
	cx, cy := float32(x)+.5, float32(y)+.5
	return cx > b[0] && cx < b[2] && cy > b[1] && cy < b[3]
}

// undecided tells whether a pixel is near a corner of a box, where interpolation rounds it,
// or has its centre on an edge.
func undecided(b box.Box, x, y int) bool {
	near := func(at int, v float32, d float64) bool { return math.Abs(float64(at)+.5-float64(v)) < d }
	sides := func(d float64) (horizontal, vertical bool) {
		return near(x, b[0], d) || near(x, b[2], d), near(y, b[1], d) || near(y, b[3], d)
	}
	corner, other := sides(2)
	edge, or := sides(1e-4)
	return corner && other || edge || or
}

// checkMask compares the mask of a rectangle with its box: no pixel's nearer corner is
// outside.
func checkMask(t *testing.T, target *train.Target, i int) {
	t.Helper()
	if target.Masks == nil {
		return
	}
	b, m := target.Boxes[i], target.Masks[i]
	if m == nil || len(m.Pixels) != m.W*m.H || m.X < 0 || m.Y < 0 || m.X+m.W > target.Size.W || m.Y+m.H > target.Size.H {
		t.Fatalf("mask %+v in %v", m, target.Size)
	}
	if slices.Contains(m.Pixels, false) {
		t.Errorf("the mask %+v of a rectangle has holes", m)
	}
	for k, d := range []float32{float32(m.X) - b[0], float32(m.Y) - b[1], float32(m.X+m.W) - b[2], float32(m.Y+m.H) - b[3]} {
		if d <= -1.001 || d >= 1.001 {
			t.Errorf("side %d of the mask %d,%d,%d,%d is %v off the box %v", k, m.X, m.Y, m.W, m.H, d, b)
		}
	}
}

func decoded(t testing.TB, img *data.Image) *pixels.Image {
	t.Helper()
	file, err := img.Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	out := &pixels.Image{}
	if _, err := d.Decode(out, file); err != nil {
		t.Fatal(err)
	}
	return out
}
