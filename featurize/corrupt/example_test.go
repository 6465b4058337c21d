package corrupt_test

import (
	"fmt"

	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

func Example() {
	img := &pixels.Image{Width: 2, Height: 1, Pix: []uint8{100, 100, 100, 20, 40, 60}}
	c := corrupt.Corruption{Kind: corrupt.Brightness, Severity: 3, Table: corrupt.TableFor(224, 224)}
	if err := c.Apply(img, "images/cat.jpg"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Table, img.Pix)
	// Output: ImageNet-C [176 176 176 45 91 136]
}
