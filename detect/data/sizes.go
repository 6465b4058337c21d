package data

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

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

// FileSize reads the size that the image's file says, before any turn, and its EXIF
// orientation, 1 to 8, or 0 for none. The error of a lost image wraps fs.ErrNotExist.
func (img *Image) FileSize() (width, height, orientation int, err error) { return img.fileSize() }

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

// readSizes gives all images the sizes of their files, turned as their EXIF orientation
// asks: so those who draw boxes on them see them. Images without a size are dropped.
func (s *Set) readSizes(ctx context.Context) error {
	type size struct {
		w, h, orientation int
		err               error
	}
	sizes := make([]size, len(s.Images))
	each(ctx, len(s.Images), func(i int) {
		z := &sizes[i]
		z.w, z.h, z.orientation, z.err = s.Images[i].fileSize()
	})
	kept := s.Images[:0]
	for i, img := range s.Images {
		z := sizes[i]
		if z.err != nil {
			s.find.add(ImageUnread, "%q: %v", img.Path, z.err)
			continue
		}
		img.Width, img.Height = z.w, z.h
		if z.orientation >= 5 && z.w != z.h {
			s.find.add(ImageTurned, "%q is %dx%d with the EXIF orientation %d", img.Path, z.w, z.h, z.orientation)
			img.Width, img.Height, img.Turned = z.h, z.w, true
		}
		kept = append(kept, img)
	}
	s.Images = kept
	return ctx.Err()
}

// each calls f for 0 to n-1, several at a time, until ctx ends.
func each(ctx context.Context, n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, 2*runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	all.Wait()
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
