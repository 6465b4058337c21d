package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrBundled is wrapped where a model is part of the program, so that it cannot be
// removed.
var ErrBundled = errors.New("it is part of rtx")

// Remove deletes what the folder has of a model: its file, its record, and what has
// come of a download. It reports the bytes of these that were there; 0 means that
// there was nothing. A model that was added loses its name; m.Kept is nil
// afterwards. Of the options, Waiting counts. Errors wrap ErrBundled.
func (c *Catalogue) Remove(ctx context.Context, m *Model, o Options) (freed int64, err error) {
	if m.Bundled {
		return 0, fmt.Errorf("%s cannot be removed: %w", m.Name, ErrBundled)
	}
	if _, err := os.Stat(c.Dir); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	unlock, err := c.lock(ctx, m.Name, o.Waiting)
	if err != nil {
		return 0, err
	}
	defer unlock()
	record, part := filepath.Join(c.Dir, m.Name+".json"), c.partOf(m)
	for _, file := range []string{c.Path(m), part, noteOf(part), record} { // the record last: without its file it says nothing
		size := sizeOf(file)
		if err := os.Remove(file); err == nil {
			freed += size
		} else if !errors.Is(err, fs.ErrNotExist) {
			return freed, err
		}
	}
	m.Kept = nil
	return freed, nil
}
