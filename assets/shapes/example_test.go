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
	files := map[string][]byte{}
	for class, name := range shapes.Names[:3] {
		var file bytes.Buffer
		if err := png.Encode(&file, shapes.Draw(class, 1, shapes.Config{Size: 32})); err != nil {
			log.Fatal(err)
		}
		files[name] = file.Bytes()
	}
	for _, name := range []string{"arrow", "crescent", "cross"} {
		config, err := png.DecodeConfig(bytes.NewReader(files[name]))
		fmt.Println(name, config.Width, config.Height, err)
	}
	// Output:
	// arrow 32 32 <nil>
	// crescent 32 32 <nil>
	// cross 32 32 <nil>
}
