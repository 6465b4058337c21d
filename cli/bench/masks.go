package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
)

//go:embed masks.py
var masksScript string

// canvas is the polygons that masks.py writes, and what is made of them.
type canvas struct {
	H, W, GT int
	Polygons [][]float64
	Strings  []string // of masks of noise

	masks  []*mask.RLE
	noise  []*mask.RLE
	pixels [][]byte
	boxes  struct {
		Boxes  []box.Box
		Scores []float32
	}
}

// masks compares what is computed of masks with the C code of pycocotools, and NMS with
// torchvision's, in CPU seconds.
func (b *bench) masks(ctx context.Context) error {
	peer, err := b.peer(ctx, masksScript, "pycocotools and torchvision", b.dir)
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	c, err := newCanvas(b.dir)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		what, name string
		times      int
		run        func() error
	}{
		{"polygons of 40 corners to masks", "polygon", 10, c.polygons},
		{"masks of noise to strings", "string", 10, c.write},
		{"strings to masks of noise", "parse", 10, c.read},
		{"bitmaps of 480x640 to masks", "encode", 1, c.encode},
		{"masks to bitmaps", "bitmap", 1, c.bitmaps},
		{"IoU of 400 masks with 40", "overlaps", 10, c.overlaps},
		{"unions of 4 masks", "union", 40, c.unions},
		{"areas and bounds", "areas_and_bounds", 40, c.measures},
		{"NMS of 2,000 boxes", "nms", 5, c.nms},
	} {
		var ours, theirs, ratios []float64
		for range max(b.rounds, 7) {
			if _, err := fmt.Fprintln(peer.in, m.name, m.times); err != nil {
				return err
			}
			var seconds float64
			if _, err := fmt.Fscanln(peer.out, &seconds); err != nil {
				return err
			}
			runtime.GC()
			start := cpu()
			for range m.times {
				if err := m.run(); err != nil {
					return err
				}
			}
			own := (cpu() - start) / float64(m.times)
			ours, theirs, ratios = append(ours, own), append(theirs, seconds), append(ratios, seconds/own)
		}
		name := "C of pycocotools"
		if m.name == "nms" {
			name = "torchvision"
		}
		b.rows = append(b.rows, row{m.what, fmt.Sprintf("%.3f CPU-ms", 1e3*median(ours)), fmt.Sprintf("%.3f, %s", 1e3*median(theirs), name), median(ratios), ">= 1"})
	}
	b.notes = append(b.notes, "  masks: 400 of 480x640; "+peer.about)
	return nil
}

func newCanvas(dir string) (*canvas, error) {
	var c canvas
	for file, v := range map[string]any{"polygons.json": &c, "boxes.json": &c.boxes} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(content, v); err != nil {
			return nil, err
		}
	}
	for _, xy := range c.Polygons {
		m, err := mask.FromPolygon(xy, c.H, c.W)
		if err != nil {
			return nil, err
		}
		c.masks = append(c.masks, m)
		c.pixels = append(c.pixels, m.Bitmap())
	}
	for _, s := range c.Strings {
		m, err := mask.Parse(s, c.H, c.W)
		if err != nil {
			return nil, err
		}
		c.noise = append(c.noise, m)
	}
	return &c, nil
}

func (c *canvas) polygons() error {
	for _, xy := range c.Polygons {
		if _, err := mask.FromPolygon(xy, c.H, c.W); err != nil {
			return err
		}
	}
	return nil
}

func (c *canvas) write() error {
	for i, m := range c.noise {
		c.Strings[i] = m.String()
	}
	return nil
}

func (c *canvas) read() error {
	for _, s := range c.Strings {
		if _, err := mask.Parse(s, c.H, c.W); err != nil {
			return err
		}
	}
	return nil
}

func (c *canvas) encode() error {
	for _, pix := range c.pixels {
		if _, err := mask.FromBitmap(pix, c.H, c.W); err != nil {
			return err
		}
	}
	return nil
}

func (c *canvas) bitmaps() error {
	for i, m := range c.masks {
		c.pixels[i] = m.Bitmap()
	}
	return nil
}

func (c *canvas) overlaps() error {
	mask.IoU(nil, c.masks, c.masks[:c.GT], nil)
	return nil
}

func (c *canvas) unions() error {
	for i := 0; i < len(c.masks); i += 4 {
		if _, err := mask.Union(c.masks[i : i+4]...); err != nil {
			return err
		}
	}
	return nil
}

func (c *canvas) measures() error {
	for _, m := range c.masks {
		if m.Bounds()[2] != 0 && m.Area() == 0 {
			return fmt.Errorf("a mask of no area has bounds %v", m.Bounds())
		}
	}
	return nil
}

func (c *canvas) nms() error {
	if kept := box.NMS(c.boxes.Boxes, c.boxes.Scores, .7); len(kept) == 0 {
		return fmt.Errorf("NMS keeps no box")
	}
	return nil
}
