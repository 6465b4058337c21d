package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"strconv"

	"github.com/robust-transfer/rtx/featurize/output"
)

// yoloFiles writes labels/NAME.txt for every image that could be used: a line for each
// object, class cx cy w h conf, in fractions of the image. The class is the place
// in classes.txt, from 0 on.
func (p *predictingObjects) yoloFiles() ([]output.Content, error) {
	var classes bytes.Buffer
	place := map[int]int{} // of the detector's classes in the file
	for i, c := range p.detector.Classes() {
		if c.Name != "" {
			place[i] = len(place)
			fmt.Fprintln(&classes, c.Name)
		}
	}
	if err := os.MkdirAll(p.folder.Path("labels", ".rtx"), 0o777); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	for _, one := range p.results {
		if one.Error != "" {
			continue
		}
		file := output.Content{Name: path.Join("labels", p.names[string(one.Path)]+".txt"), Write: output.Bytes(yoloLines(one, place))}
		if err := p.folder.Write(context.Background(), file); err != nil {
			return nil, err
		}
	}
	return []output.Content{{Name: "classes.txt", Write: output.Bytes(classes.Bytes())}}, nil
}

// yoloLines are the lines of an image. The arithmetic is in float64; numbers have the
// digits of a float32.
func yoloLines(one detected, place map[int]int) []byte {
	var b []byte
	number := func(x float64) { b = append(append(b, ' '), strconv.FormatFloat(x, 'g', -1, 32)...) }
	for _, o := range one.Objects {
		class, named := place[o.Class]
		if !named {
			continue
		}
		b = strconv.AppendInt(b, int64(class), 10)
		x1, y1, x2, y2 := float64(o.Box[0]), float64(o.Box[1]), float64(o.Box[2]), float64(o.Box[3])
		w, h := float64(one.Width), float64(one.Height)
		for _, x := range []float64{(x1 + x2) / 2 / w, (y1 + y2) / 2 / h, (x2 - x1) / w, (y2 - y1) / h, float64(o.Score)} {
			number(x)
		}
		b = append(b, '\n')
	}
	return b
}
