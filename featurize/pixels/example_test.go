package pixels_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// An image file becomes one row of a network's input, as by torchvision's
// Resize(256) and CenterCrop(224).
func Example() {
	photo := image.NewRGBA(image.Rect(0, 0, 340, 300))
	for y := range 300 {
		for x := range 340 {
			photo.Set(x, y, color.RGBA{uint8(x * 255 / 339), uint8(y * 255 / 299), 128, 255})
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, photo); err != nil {
		log.Fatal(err)
	}

	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var img pixels.Image
	info, err := d.Decode(&img, file.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	var r pixels.Resampler
	dst := make([]uint8, 224*224*3) // [224,224,3]
	if err := r.Apply(dst, &img, pixels.Geometry{Resize: 256, CropCenter: true, Width: 224, Height: 224}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Format, info.Width, info.Height)
	for _, y := range []int{0, 112, 223} {
		fmt.Println("row", y, "begins with", dst[y*224*3:][:3])
	}
	// Output:
	// png 340 300
	// row 0 begins with [29 16 128]
	// row 112 begins with [29 127 128]
	// row 223 begins with [29 238 128]
}

// An augmentation: a random box, enlarged, mirrored and made brighter.
func ExampleResampler_ResizedCrop() {
	img := &pixels.Image{Width: 4, Height: 2, Pix: []uint8{
		10, 0, 0, 20, 0, 0, 30, 0, 0, 40, 0, 0,
		50, 0, 0, 60, 0, 0, 70, 0, 0, 80, 0, 0,
	}}
	var r pixels.Resampler
	dst := make([]uint8, 2*2*3)
	if err := r.ResizedCrop(dst, 2, 2, img, image.Rect(2, 0, 4, 2), pixels.Bilinear); err != nil {
		log.Fatal(err)
	}
	pixels.Flip(dst, 2)
	pixels.Brightness(dst, 1.5)
	fmt.Println(dst)
	// Output:
	// [60 0 0 45 0 0 120 0 0 105 0 0]
}
