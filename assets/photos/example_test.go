package photos_test

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"log"

	"github.com/robust-transfer/rtx/assets/photos"
)

// A file of the size of ImageNet's, to measure a decoder with.
func Example() {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, photos.Draw(1, 500, 375), &jpeg.Options{Quality: 90}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("between 40 and 200 kB:", file.Len() > 40_000 && file.Len() < 200_000)
	img, err := jpeg.Decode(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(img.Bounds().Size())
	// Output:
	// between 40 and 200 kB: true
	// (500,375)
}
