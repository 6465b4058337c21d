package catalogue

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Options of Get, Add and Remove. The zero value works.
type Options struct {
	Agent     string                  // of HTTP requests; "" is Go's own
	Progress  func(done, total int64) // bytes of a download; total is 0 where not known
	Waiting   func()                  // another process is fetching or adding the same
	Overwrite bool                    // Add replaces another file of the name
}

// Get brings the file of a model into the folder, unless it is there, and reports
// whether it had to. from is a folder, a file, the URL of either, or "" for the
// address that the catalogue has. m.Kept describes the file then.
//
// Errors wrap ErrUnavailable or ErrRefused, or are a *TemporaryError, after
// which another call continues the download, or a *MissingError where nobody
// publishes the file.
func (c *Catalogue) Get(ctx context.Context, m *Model, from string, o Options) (fetched bool, err error) {
	if m.Bundled {
		return false, c.unpack(m)
	}
	if c.Has(m) {
		return false, nil
	}
	if from == "" {
		from = m.URL
	}
	if from == "" {
		return false, &MissingError{m}
	}
	if !isURL(from) {
		if from, err = filepath.Abs(from); err != nil {
			return false, err
		}
	}
	unlock, err := c.lock(ctx, m.Name, o.Waiting)
	if err != nil {
		return false, err
	}
	defer unlock()
	if now, err := Open(c.Dir); err == nil {
		if other := now.Find(m.Name); other != nil && now.Has(other) { // another process was faster
			*m = *other
			return false, nil
		}
	}
	return true, c.bring(ctx, m, from, o)
}

// partOf is the file of what has come of a download.
func (c *Catalogue) partOf(m *Model) string { return filepath.Join(c.Dir, "."+m.File+".part") }

// bring fetches a model whose lock is held.
func (c *Catalogue) bring(ctx context.Context, m *Model, from string, o Options) error {
	part := c.partOf(m)
	from, announced, err := c.transfer(ctx, m, from, part, o)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	r, err := examine(m.Checkpoint, part, announced)
	if errors.Is(err, ErrRefused) {
		os.Remove(noteOf(part))
		os.Remove(part)
	}
	if err != nil {
		return fmt.Errorf("%s from %s: %w", m.Name, Redacted(from), err)
	}
	r.Source, r.Added = Redacted(from), m.Added
	if err := c.keep(m, part, r); err != nil {
		return err
	}
	os.Remove(noteOf(part))
	return nil
}

// transfer downloads or copies the file of a model to part. It returns where the
// file came from, and the SHA-256 that the host announced.
func (c *Catalogue) transfer(ctx context.Context, m *Model, from, part string, o Options) (source, announced string, err error) {
	if !isURL(from) {
		if !IsSingle(from) {
			from = filepath.Join(from, m.File)
		}
		os.Remove(noteOf(part))
		return from, "", copyFile(ctx, from, part)
	}
	if !IsSingle(from) {
		if from, err = url.JoinPath(from, m.File); err != nil {
			return "", "", fmt.Errorf("%q: %w: %w", from, err, ErrUnavailable)
		}
	}
	announced, err = newFetcher(o.Agent, o.Progress).fetch(ctx, from, part, m.Size)
	return from, announced, err
}

// IsSingle tells a file, or the URL of one, from a place that has many.
func IsSingle(from string) bool {
	if isURL(from) {
		u, err := url.Parse(from)
		return err == nil && slices.Contains(Extensions, path.Ext(u.Path))
	}
	info, err := os.Stat(from)
	return err == nil && !info.IsDir()
}
