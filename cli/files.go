package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
)

// target is a file that a flag names, for a verb to write. Verbs create such files
// by its methods alone, which never replace a file that the command reads, and
// another one only under --overwrite.
type target struct {
	flag, name string
	overwrite  bool
	inputs     []string // files that the command reads; "": none
}

// check looks at what has the name now. Verbs call it before they begin to work;
// create calls it again.
func (t target) check() error {
	if err := t.spare(t.inputs...); err != nil {
		return err
	}
	info, err := os.Lstat(t.name)
	if err != nil {
		return nil // nothing is there, or create tells why that is not known
	}
	if at, err := os.Stat(t.name); err == nil {
		info = at
	}
	switch {
	case info.IsDir():
		return &usageError{msg: fmt.Sprintf("--%s %q is a folder, expected a file", t.flag, t.name)}
	case !info.Mode().IsRegular() && info.Mode()&os.ModeSymlink == 0:
		return fmt.Errorf("--%s %q: %w", t.flag, t.name, output.ErrIrregular)
	case !t.overwrite:
		return &usageError{msg: fmt.Sprintf("--%s %q is there", t.flag, t.name), hint: fmt.Sprintf("choose another --%s, or --overwrite", t.flag)}
	}
	return nil
}

// spare refuses the target where it is one of some files that the command reads.
func (t target) spare(inputs ...string) error {
	for _, input := range inputs {
		if input != "" && sameFile(t.name, input) {
			return &usageError{msg: fmt.Sprintf("--%s %q is the same file as %q", t.flag, t.name, input), hint: "name a new file"}
		}
	}
	return nil
}

// spareImages refuses the target where it is an image of the listing, or one of its
// archives.
func (t target) spareImages(l *featurize.Listing) error {
	if _, err := os.Stat(t.name); err != nil {
		return nil
	}
	if err := t.spare(l.Archives...); err != nil {
		return err
	}
	for _, s := range l.Samples {
		if err := t.spare(s.File); err != nil {
			return err
		}
	}
	return nil
}

// sameFile reports whether two names are of one file, or would be.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// create begins the file. Whatever has the name stays until the file is committed.
func (t target) create() (*output.File, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.overwrite {
		return output.Create(t.name)
	}
	return output.New(t.name)
}

// write makes the file of what write writes; a signal ends it and leaves no file.
func (t target) write(ctx context.Context, write func(io.Writer) error) error {
	f, err := t.create()
	if err != nil {
		return err
	}
	return nothingWritten(f.Finish(ctx, write))
}

// holds reports whether the file is there with just what write would write.
func (t target) holds(write func(io.Writer) error) bool {
	f, err := os.Open(t.name)
	if err != nil {
		return false
	}
	defer f.Close()
	same := &matching{f}
	if write(same) != nil {
		return false
	}
	n, _ := f.Read(make([]byte, 1))
	return n == 0
}

// matching is a writer that fails where what is written is not what r holds.
type matching struct{ r io.Reader }

var errDiffers = errors.New("the contents differ")

func (c *matching) Write(b []byte) (int, error) {
	there := make([]byte, len(b))
	if _, err := io.ReadFull(c.r, there); err != nil || !bytes.Equal(b, there) {
		return 0, errDiffers
	}
	return len(b), nil
}

// replaceFile gives a file in an output folder that this process has locked new
// contents, or leaves the old ones.
func replaceFile(ctx context.Context, name string, write func(io.Writer) error) error {
	return nothingWritten(output.WriteFile(ctx, name, write))
}

// nothingWritten gives its hint where a signal ended the writing of files that
// appear when they are whole.
func nothingWritten(err error) error {
	if errors.As(err, new(signalled)) {
		return hinted{err, startsOver}
	}
	return err
}
