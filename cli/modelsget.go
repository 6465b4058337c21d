package cli

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cli "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

func (e *env) modelsGet(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return &usageError{msg: "no model is named", hint: "rtx models get NAME; rtx models lists the names"}
	}
	all, err := e.openCatalogue()
	if err != nil {
		return err
	}
	var wanted []*entry
	for _, name := range c.Args().Slice() {
		m := all.find(name)
		if m == nil {
			return all.unknown(name)
		}
		wanted = append(wanted, m)
	}
	from := c.String("from")
	if len(wanted) > 1 && from != "" && isOneFile(from) {
		return &usageError{msg: fmt.Sprintf("--from %q is one file for %d names", shown(from), len(wanted)), hint: "--from takes the folder or the URL that they are in"}
	}
	status, out, list := "cached", all.dir, []object{}
	for _, m := range wanted {
		got, path, err := e.get(c.Context, all, m, from)
		var sig signalled
		if errors.As(err, &sig) || errors.Is(err, context.Canceled) {
			return partial{fmt.Errorf("%w", context.Cause(c.Context)), e.result("rtx.models.get/1", "interrupted", all.dir, object{{"models", list}})}
		}
		if err != nil {
			return err
		}
		if !e.json {
			fmt.Fprintln(e.stdout, path)
		}
		if got == "done" {
			status = got
		}
		if len(wanted) == 1 {
			out = path
		}
		list = append(list, append(object{{"status", got}}, all.object(m)...))
	}
	if e.json {
		e.print(e.result("rtx.models.get/1", status, out, object{{"models", list}}))
	}
	return nil
}

// isOneFile tells a file, or the address of one, from a place that has many.
func isOneFile(from string) bool {
	if isURL(from) {
		u, err := url.Parse(from)
		return err == nil && slices.Contains(modelKinds, path.Ext(u.Path))
	}
	info, err := os.Stat(from)
	return err == nil && !info.IsDir()
}

// get brings a model into the cache and returns its path.
func (e *env) get(ctx context.Context, all *catalogue, m *entry, from string) (status, path string, err error) {
	if m.Bundled {
		path, err := all.unpack(m)
		return "cached", path, err
	}
	if all.have(m) {
		return "cached", all.path(m), nil
	}
	if from == "" {
		from = m.URL
	}
	if from == "" {
		return "", "", all.missing(m)
	}
	if !isURL(from) {
		if from, err = filepath.Abs(from); err != nil {
			return "", "", err
		}
	}
	if err := os.MkdirAll(all.dir, 0o777); err != nil {
		return "", "", err
	}
	unlock, err := e.lock(ctx, filepath.Join(all.dir, "."+m.Name+".lock"))
	if err != nil {
		return "", "", err
	}
	defer unlock()
	if now, err := e.openCatalogue(); err == nil {
		if other := now.find(m.Name); other != nil && now.have(other) { // another process was faster
			*m = *other
			return "cached", all.path(m), nil
		}
	}
	return "done", all.path(m), e.bring(ctx, all, m, from)
}

// bring fetches a model whose lock is held.
func (e *env) bring(ctx context.Context, all *catalogue, m *entry, from string) error {
	part, announced := filepath.Join(all.dir, "."+m.File+".part"), ""
	var err error
	if isURL(from) {
		if !isOneFile(from) {
			if from, err = url.JoinPath(from, m.File); err != nil {
				return &usageError{msg: fmt.Sprintf("--from: %v", err)}
			}
		}
		p := newProgress(e)
		p.noun = "MB"
		announced, err = newFetcher(func(done, total int64) { p.update(int(done/1e6), int(total/1e6)) }).fetch(ctx, from, part, m.Size)
		p.end()
	} else {
		if !isOneFile(from) {
			from = filepath.Join(from, m.File)
		}
		os.Remove(noteOf(part))
		err = copyFile(ctx, from, part)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	r, err := checked(m.Checkpoint, part, announced)
	if errors.Is(err, errRefused) {
		os.Remove(noteOf(part))
		os.Remove(part)
	}
	if err != nil {
		return fmt.Errorf("%s from %s: %w", m.Name, shown(from), err)
	}
	r.Source, r.Added = shown(from), m.added
	if err := all.keep(m, part, r); err != nil {
		return err
	}
	os.Remove(noteOf(part))
	against := map[string]string{"sha256": "as the catalogue has it", "sha256_prefix": "begins as the catalogue has it", "host": "as the host announced it"}[r.Verified]
	if against == "" {
		against = "nothing is known to compare it with"
	}
	e.note("%s: %d bytes, SHA-256 %s (%s)", m.Name, r.Model.Size, r.Model.SHA256, against)
	return nil
}

// lock waits until no other process has the file locked.
func (e *env) lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", file, err)
		}
		if !waited {
			e.note("waiting for another process that fetches the same")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// checked compares a file with what is known of it.
func checked(c assets.Checkpoint, file, announced string) (record, error) {
	if err := checkFile(file, filepath.Ext(c.File)); err != nil {
		return record{}, fmt.Errorf("%w: %w", err, errRefused)
	}
	size := sizeOf(file)
	if c.Size > 0 && size != c.Size {
		return record{}, fmt.Errorf("it has %d bytes, expected %d: %w", size, c.Size, errRefused)
	}
	sum, err := fileSum(file)
	if err != nil {
		return record{}, err
	}
	for _, known := range []string{c.SHA256, announced} {
		if !strings.HasPrefix(sum, known) {
			return record{}, fmt.Errorf("its SHA-256 is %s, expected %s: %w", sum, known, errRefused)
		}
	}
	r := record{}
	switch {
	case c.SHA256 == sum:
		r.Verified = "sha256"
	case announced != "":
		r.Verified = "host"
	case c.SHA256 != "":
		r.Verified = "sha256_prefix"
	}
	r.Model, r.Model.SHA256, r.Model.Size = c, sum, size
	return r, nil
}

// checkFile looks whether a file is of the kind that its name says, and whole
// where that shows.
func checkFile(file, ext string) error {
	kind, err := checkpoint.KindOf(file)
	if err != nil {
		return err
	}
	switch safetensors := kind == checkpoint.Safetensors; {
	case ext == ".onnx":
		_, err := onnx.Load(file)
		return err
	case ext == ".safetensors" && !safetensors:
		return fmt.Errorf("it is %s, expected a %s", kind, checkpoint.Safetensors)
	case ext != ".safetensors" && (safetensors || !kind.Checkpoint()):
		return fmt.Errorf("it is %s, expected a %s", kind, checkpoint.Legacy)
	}
	if kind == checkpoint.Zip {
		z, err := zip.OpenReader(file)
		if err != nil {
			return fmt.Errorf("it is damaged or cut off: %w", err)
		}
		return z.Close()
	}
	return nil
}

// keep moves a file to its place in the cache, the record first.
func (c *catalogue) keep(m *entry, file string, r record) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r.Time = info.ModTime().UnixNano()
	if err := writeJSON(filepath.Join(c.dir, m.Name+".json"), r); err != nil {
		return err
	}
	m.kept = &r
	return os.Rename(file, c.path(m))
}

// copyFile copies a file, in pieces between which it can be interrupted.
func copyFile(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUnavailable)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := io.CopyN(out, in, 32<<20); err == io.EOF {
			return out.Close()
		} else if err != nil {
			return err
		}
	}
}
