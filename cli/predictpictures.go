package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize/output"
)

// picture draws an image with the objects that were found, if pictures are asked for.
func (p *predictingObjects) picture(ctx context.Context, one detected) error {
	if !p.o.Draw || one.Error != "" {
		return nil
	}
	var objects []draw.Object
	for _, o := range one.Objects {
		if o.Score >= p.drawn {
			objects = append(objects, draw.Object{Box: o.Box, Mask: o.Mask, Class: p.class(o.Class), Number: o.Class, Score: o.Score})
		}
	}
	m, err := draw.Objects(one.image, objects, draw.Config{Colours: p.colours})
	if err != nil {
		return fmt.Errorf("%q: %w", one.Path, err)
	}
	if err := os.MkdirAll(p.folder.Path("pictures", ".rtx"), 0o777); err != nil { // by which --overwrite knows the folder
		return fmt.Errorf("output: %w", err)
	}
	file := output.Content{Name: path.Join("pictures", p.names[string(one.Path)]+".jpg"), Write: func(w io.Writer) error { return draw.JPEG(w, m) }}
	return p.folder.Write(ctx, file)
}
