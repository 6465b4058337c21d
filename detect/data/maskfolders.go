package data

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// findMasks finds folders of one image each, in images/, and of a file in masks/ for each
// object.
func findMasks(t *tree) *source {
	images, masks := map[string]int{}, map[string]bool{}
	for _, p := range t.paths {
		if !featurize.IsImageName(p) {
			continue
		}
		dir := path.Dir(p)
		switch path.Base(dir) {
		case "images":
			images[path.Dir(dir)]++
		case "masks":
			masks[path.Dir(dir)] = true
		}
	}
	one := 0
	for dir, n := range images {
		if n == 1 && masks[dir] {
			one++
		}
	}
	if one == 0 || 2*one < len(images) {
		return nil
	}
	var files []string
	for _, p := range t.paths {
		if featurize.IsImageName(p) && path.Base(path.Dir(p)) == "images" {
			files = append(files, p)
		}
	}
	return &source{format: Masks, files: files}
}

// readMasks reads the masks of all images, of which there is one file an object.
func (s *Set) readMasks(ctx context.Context, files []string) error {
	s.Classes = []Class{{ID: 1, Name: "object"}}
	masks := map[string][]featurize.File{}
	for _, p := range s.tree.paths {
		if dir := path.Dir(p); path.Base(dir) == "masks" && featurize.IsImageName(p) {
			f, _ := s.tree.file(p)
			masks[path.Dir(dir)] = append(masks[path.Dir(dir)], f)
		}
	}
	owner := map[string]string{}
	for _, p := range files {
		_, split := splitOfPath(path.Dir(p))
		if words := strings.Split(p, "/"); split == "" && strings.HasPrefix(words[0], "stage1_") {
			split = splitOf(strings.TrimPrefix(words[0], "stage1_"))
		}
		dir := path.Dir(path.Dir(p))
		if other, again := owner[dir]; again {
			return fmt.Errorf("data: %q and %q lie beside the same masks, expected one image a folder: %w", other, p, featurize.ErrData)
		}
		owner[dir] = p
		img := Image{ID: int64(len(s.Images) + 1), Name: path.Base(p), Split: split}
		f, _ := s.tree.file(p)
		img.setFile(f)
		s.Images = append(s.Images, img)
	}
	parts := make([]maskPart, len(s.Images))
	each(ctx, len(s.Images), func(i int) {
		img := &s.Images[i]
		parts[i].read(img, masks[path.Dir(path.Dir(img.Path))])
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range parts {
		s.addMasks(&s.Images[i], &parts[i])
	}
	return nil
}

// maskPart is the masks of an image as they are read.
type maskPart struct {
	masks    []maskFile
	unread   string
	overlaps []string
}

type maskFile struct {
	name string
	rle  *mask.RLE
	err  error
}

// read reads the masks of an image and its size.
func (p *maskPart) read(img *Image, files []featurize.File) {
	var err error
	if img.Width, img.Height, _, err = img.fileSize(); err != nil {
		p.unread = fmt.Sprintf("%q: %v", img.Path, err)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var all []byte
	var data []byte
	for _, f := range files {
		m := maskFile{name: f.Path}
		if data, m.err = readFile(data[:0], f.Open, maxImage); m.err == nil {
			var columns []byte
			var w, h int
			if columns, w, h, m.err = bitmap(data, d); m.err == nil {
				m.rle, m.err = mask.FromBitmap(columns, h, w)
				if all == nil {
					all = make([]byte, len(columns))
				}
				if len(all) == len(columns) && join(all, columns) {
					p.overlaps = append(p.overlaps, f.Path)
				}
			}
		}
		p.masks = append(p.masks, m)
	}
}

// join adds pixels to others, and reports whether they meet.
func join(all, pix []byte) (meet bool) {
	for i, v := range pix {
		if v != 0 {
			meet = meet || all[i] != 0
			all[i] = 1
		}
	}
	return meet
}

// addMasks makes the objects of an image.
func (s *Set) addMasks(img *Image, p *maskPart) {
	if p.unread != "" {
		s.find.add(ImageUnread, "%s", p.unread)
	}
	for _, name := range p.overlaps {
		s.find.add(MaskOverlap, "%s", name)
	}
	for _, m := range p.masks {
		switch {
		case m.err != nil:
			s.find.add(FileUnread, "%s: %v", m.name, m.err)
			continue
		case img.Width > 0 && (m.rle.W != img.Width || m.rle.H != img.Height):
			s.find.add(MaskSize, "%s: %dx%d for an image of %dx%d", m.name, m.rle.W, m.rle.H, img.Width, img.Height)
			continue
		case m.rle.Area() == 0:
			s.find.add(MaskEmpty, "%s", m.name)
			continue
		}
		o := Object{Mask: &Mask{RLE: m.rle}, Area: float64(m.rle.Area())}
		o.Box, _ = o.Mask.bounds()
		img.Objects = append(img.Objects, o)
	}
}
