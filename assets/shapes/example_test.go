package shapes_test

import (
	"bytes"
	"fmt"
	"image/png"
	"log"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// Three labelled images, as PNG files in memory.
func Example() {
	var files [][]byte
	for class := range 3 {
		img := shapes.Draw(class, 1, shapes.Config{Size: 32})
		var file bytes.Buffer
		if err := png.Encode(&file, img); err != nil {
			log.Fatal(err)
		}
		files = append(files, file.Bytes())
		fmt.Println(shapes.Names[class], img.Bounds().Size())
	}
	// Output:
	// arrow (32,32)
	// crescent (32,32)
	// cross (32,32)
}
