package draw_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

func ExampleObjects() {
	img := &pixels.Image{Width: 640, Height: 480, Pix: make([]uint8, 640*480*3)}
	picture, err := draw.Objects(img, []draw.Object{
		{Box: box.Box{20, 30, 220, 190}, Class: "cat", Score: .93},
		{Box: box.Box{300, 60, 500, 400}, Class: "dog", Kind: draw.Missed}, // a true object that was not predicted
	}, draw.Config{Colours: draw.NewColours("cat", "dog")})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := os.Create(filepath.Join(os.TempDir(), "rtx-example.jpg"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	fmt.Println(picture.Rect.Max, draw.JPEG(f, picture))
	// Output: (640,480) <nil>
}
