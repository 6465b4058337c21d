package shapes_test

import (
	"bytes"
	"fmt"
	"image/png"
	"log"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// Three labelled images, encoded as files.
func Example() {
	for i := range 3 {
		img := shapes.Draw(i, 1, shapes.Config{Size: 32})
		var file bytes.Buffer
		if err := png.Encode(&file, img); err != nil {
			log.Fatal(err)
		}
		again := shapes.Draw(i, 1, shapes.Config{Size: 32})
		fmt.Println(shapes.Names[i], img.Bounds().Size(), bytes.HasPrefix(file.Bytes(), []byte("\x89PNG")), bytes.Equal(img.Pix, again.Pix))
	}
	// Output:
	// arrow (32,32) true true
	// crescent (32,32) true true
	// cross (32,32) true true
}
