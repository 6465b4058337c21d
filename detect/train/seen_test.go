package train_test

import (
	"image/color"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// TestSeen draws two rows of a batch, and finds the pixels of each image, the boxes in the
// colours of their classes, and the mask, at their places on the canvas.
func TestSeen(t *testing.T) {
	const h, w = 32, 64
	values := make([]float32, 2*3*h*w)
	for i := range h * w {
		values[i] = .2                // blue of the first row
		values[3*h*w+2*h*w+i] = 1.004 // red of the second, a little too bright
	}
	b := finetune.NewBatch(7, 3, 5)
	b.Inputs[graph.Images] = values
	inside := &train.Bitmap{X: 40, Y: 10, W: 3, H: 2, Pixels: []bool{true, true, false, false, true, true}}
	b.Truth = []any{
		&train.Target{Canvas: detect.Size{H: h, W: w}, Size: detect.Size{H: 30, W: 60}, Given: detect.Size{H: 15, W: 30}, Flipped: true, Boxes: []box.Box{{4, 5, 20, 25}}, Labels: []int{1}},
		&train.Target{Canvas: detect.Size{H: h, W: w}, Size: detect.Size{H: h, W: w}, Given: detect.Size{H: h, W: w}, Boxes: []box.Box{{36, 6, 50, 20}, {2, 2, 4, 4}}, Labels: []int{0, 0}, Masks: []*train.Bitmap{inside, nil}},
		nil, // a row that could not be read
	}
	spec := &onnx.Spec{Channels: "bgr", Detect: &onnx.Detect{Classes: []onnx.DetectClass{{ID: 4, Name: "cat"}, {ID: 9, Name: "dog"}}}}
	colours := draw.NewColours("cat", "dog")
	cells, err := train.Seen(b, spec, draw.Config{Colours: colours, Side: w, NoLabels: true})
	if err != nil || len(cells) != 2 {
		t.Fatal(len(cells), err)
	}
	if cells[0].Caption != "30x15 as 60x30 in 64x32, mirrored" || cells[1].Caption != "64x32" {
		t.Errorf("captions %q, %q", cells[0].Caption, cells[1].Caption)
	}
	blue, red := color.RGBA{0, 0, 51, 255}, color.RGBA{255, 0, 0, 255}
	for _, c := range []struct {
		row, x, y int
		want      color.RGBA
	}{
		{0, 0, 0, blue}, {0, 12, 15, blue}, {0, 63, 31, blue}, {0, 4, 15, colours.Of("dog")}, {0, 12, 5, colours.Of("dog")}, {0, 19, 15, colours.Of("dog")}, {0, 12, 24, colours.Of("dog")},
		{1, 0, 0, red}, {1, 36, 12, colours.Of("cat")}, {1, 49, 12, colours.Of("cat")}, {1, 40, 10, colours.Of("cat")}, {1, 42, 11, colours.Of("cat")}, {1, 42, 10, red}, {1, 40, 11, red}, {1, 39, 10, red},
	} {
		if got := cells[c.row].Picture.RGBAAt(c.x, c.y); got != c.want {
			t.Errorf("row %d: pixel %d,%d is %v, want %v", c.row, c.x, c.y, got, c.want)
		}
	}
	b.Truth[1] = 5
	if _, err := train.Seen(b, spec, draw.Config{}); err == nil {
		t.Error("a truth that is no Target")
	}
}
