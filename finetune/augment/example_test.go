package augment_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// A batch of three images from class folders: as they are, and augmented. A flip of
// probability 1 makes the result certain.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "photos")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, left := range map[string]color.RGBA{ // right pixels are black
		"blue/0.png": {0, 0, 255, 255}, "red/0.png": {255, 0, 0, 255}, "red/1.png": {51, 0, 0, 255},
	} {
		if err := writeImage(filepath.Join(dir, name), left); err != nil {
			log.Fatal(err)
		}
	}

	listing, err := featurize.Source(ctx, dir, featurize.SourceConfig{})
	if err != nil {
		log.Fatal(err)
	}
	transform := featurize.Transform{Geometry: pixels.Geometry{Width: 2, Height: 1}}
	data, err := augment.Open(ctx, listing, transform, augment.Config{
		Policy:      augment.Policy{Flip: 1},
		ValFraction: -1, // all rows train
	})
	if err != nil {
		log.Fatal(err)
	}
	defer data.Close()

	for _, epoch := range []int{-1, 0} { // -1: not augmented
		batch := finetune.NewBatch(0, 1, 2)
		if err := data.Load(ctx, augment.Training, epoch, batch); err != nil {
			log.Fatal(err)
		}
		fmt.Println("epoch", epoch)
		for i, label := range batch.Truth {
			planes := batch.Inputs[graph.Images][i*6:][:6] // [3,1,2]
			fmt.Println(data.Classes()[label.(int)], "red", planes[:2], "green", planes[2:4], "blue", planes[4:])
		}
	}
	// Output:
	// epoch -1
	// blue red [0 0] green [0 0] blue [1 0]
	// red red [1 0] green [0 0] blue [0 0]
	// red red [0.2 0] green [0 0] blue [0 0]
	// epoch 0
	// blue red [0 0] green [0 0] blue [0 1]
	// red red [0 1] green [0 0] blue [0 0]
	// red red [0 0.2] green [0 0] blue [0 0]
}

// writeImage writes an image of two pixels, of which the right one is black.
func writeImage(name string, left color.RGBA) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	m := image.NewRGBA(image.Rect(0, 0, 2, 1))
	m.Set(0, 0, left)
	m.Set(1, 0, color.Black)
	return png.Encode(f, m)
}
