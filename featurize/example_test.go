package featurize_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// meanColour is a network of one output [n,3], the mean colour of each image. In its
// place stands, as a rule, a session of package onnx/runtime.
type meanColour struct{}

func (meanColour) Run(_ context.Context, n int, src []uint8, dst ...[]float32) error {
	clear(dst[0])
	size := len(src) / n // of an image [H,W,3]
	for i, v := range src {
		dst[0][i/size*3+i%3] += float32(v) / float32(size/3)
	}
	return nil
}

// Features of three images.
func Example() {
	ctx := context.Background()
	dir := classFolders() // red/0.png, red/1.png, blue/0.png
	defer os.RemoveAll(dir)

	listing, err := featurize.Source(ctx, dir, featurize.SourceConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer listing.Close()
	e := featurize.Extractor{
		Network:   meanColour{},
		Transform: featurize.Transform{Geometry: pixels.Geometry{Width: 32, Height: 32}},
		BatchSize: 2, RowSize: 3, Workers: 2,
	}
	err = e.Extract(ctx, listing.All(), func(batch []featurize.Result) error {
		for _, r := range batch {
			fmt.Println(r.Sample.Path, r.Sample.Label, r.Features, r.Err)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// blue/0.png 0 [0 0 200] <nil>
	// red/0.png 1 [200 0 0] <nil>
	// red/1.png 1 [100 0 0] <nil>
}

// A feature set in a folder, computed, then continued and opened.
func ExampleJob() {
	ctx := context.Background()
	dir := classFolders()
	defer os.RemoveAll(dir)

	job := featurize.Job{
		Out:     filepath.Join(dir, ".features"),
		RowDims: []int{3},
		Open: func(context.Context) (*featurize.Extractor, error) {
			return &featurize.Extractor{
				Network:   meanColour{},
				Transform: featurize.Transform{Geometry: pixels.Geometry{Width: 32, Height: 32}},
				BatchSize: 2, Workers: 2,
			}, nil
		},
	}
	for range 2 { // the second time there is nothing to do
		listing, err := featurize.Source(ctx, dir, featurize.SourceConfig{})
		if err != nil {
			log.Fatal(err)
		}
		job.Listing = listing
		sum, err := job.Run(ctx)
		listing.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(sum.Status, sum.New, "new,", sum.Reused, "reused")
	}

	set, err := featurize.OpenSet(job.Out)
	if err != nil {
		log.Fatal(err)
	}
	defer set.Close()
	x := make([]float32, set.Len()*3)
	if err := set.Read(x, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Dims, set.Classes, set.Labels, x)
	// Output:
	// done 3 new, 0 reused
	// cached 0 new, 3 reused
	// [3] [blue red] [0 1 1] [0 0 200 200 0 0 100 0 0]
}

// classFolders writes three small images into class folders.
func classFolders() (dir string) {
	dir, err := os.MkdirTemp("", "images")
	if err != nil {
		log.Fatal(err)
	}
	for name, c := range map[string]color.RGBA{
		"red/0.png": {200, 0, 0, 255}, "red/1.png": {100, 0, 0, 255}, "blue/0.png": {0, 0, 200, 255},
	} {
		img := image.NewRGBA(image.Rect(0, 0, 40, 30))
		draw.Draw(img, img.Rect, image.NewUniform(c), image.Point{}, draw.Src)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			log.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			log.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			log.Fatal(err)
		}
		if err := f.Close(); err != nil {
			log.Fatal(err)
		}
	}
	return dir
}
