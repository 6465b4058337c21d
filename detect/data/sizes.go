package data

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// fileSize reads the size of an image's file, and its EXIF orientation.
func (img *Image) fileSize() (width, height, orientation int, err error) {
	if img.open == nil {
		return 0, 0, 0, os.ErrNotExist
	}
	r, err := img.open()
	if err != nil {
		return 0, 0, 0, err
	}
	defer r.Close()
	head := make([]byte, pixels.SizeBytes)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, 0, err
	}
	width, height, orientation, err = pixels.Size(head[:n])
	if err == nil || n < len(head) {
		return width, height, orientation, err
	}
	rest, rerr := io.ReadAll(io.LimitReader(r, maxImage))
	if rerr != nil {
		return 0, 0, 0, rerr
	}
	return pixels.Size(append(head, rest...))
}

// known gives an image whose size the data do not say that of its file.
func (s *Set) known(img *Image, where string) {
	if img.Width > 0 && img.Height > 0 {
		return
	}
	declared := [2]int{img.Width, img.Height}
	img.Width, img.Height = 0, 0
	s.find.add(ImageSize, "%s: %q is %dx%d", where, img.Name, declared[0], declared[1])
	w, h, _, err := img.fileSize()
	switch {
	case err == nil:
		img.Width, img.Height = w, h
	case img.open != nil:
		s.find.add(ImageUnread, "%q: %v", img.Path, err)
	}
}

// CheckSizes reads the sizes of all image files and compares them with what the data say.
// Images whose sizes are equal once they are turned as EXIF asks become Turned. What it
// finds is added to Findings and Notes.
func (s *Set) CheckSizes(ctx context.Context) error {
	for _, k := range []Kind{ImageSizeDiffers, ImageTurned, ImageUnread} {
		delete(s.find, k)
	}
	for i := range s.Images {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.checkSize(&s.Images[i])
	}
	s.finish()
	return nil
}

func (s *Set) checkSize(img *Image) {
	if img.open == nil {
		return
	}
	w, h, orientation, err := img.fileSize()
	turns := orientation >= 5
	switch {
	case err != nil:
		s.find.add(ImageUnread, "%q: %v", img.Path, err)
	case img.Turned || turns && w != h && img.Width == h && img.Height == w:
		img.Turned = true
		s.find.add(ImageTurned, "%q is %dx%d with the EXIF orientation %d", img.Path, w, h, orientation)
	case img.Width == 0 && img.Height == 0:
		img.Width, img.Height = w, h
	case img.Width != w || img.Height != h:
		s.find.add(ImageSizeDiffers, "%q is %dx%d, the data say %dx%d", img.Path, w, h, img.Width, img.Height)
	}
}
