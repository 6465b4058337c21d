package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
)

func (e *env) modelsAdd(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return &usageError{msg: fmt.Sprintf("models add takes one file, found %d", c.NArg()), hint: "rtx models add FILE --name NAME"}
	}
	file := c.Args().First()
	model, err := described(c, file)
	if err != nil {
		return err
	}
	all, err := e.openCatalogue()
	if err != nil {
		return err
	}
	m := &entry{Checkpoint: model, added: true}
	status, err := e.add(c, all, m, file)
	if err != nil {
		return err
	}
	if e.json {
		e.print(e.result("rtx.models.add/1", status, all.path(m), object{{"model", all.object(m)}}))
		return nil
	}
	if status == "done" {
		e.note("%s: SHA-256 %s; the copy in the cache is used from now on", m.Name, m.kept.Model.SHA256)
	}
	fmt.Fprintln(e.stdout, all.path(m))
	return nil
}

// described is what the flags and the file say of a model.
func described(c *cli.Context, file string) (assets.Checkpoint, error) {
	ext := filepath.Ext(file)
	m := assets.Checkpoint{Name: c.String("name"), Arch: c.String("arch")}
	if m.Name == "" {
		m.Name = strings.TrimSuffix(filepath.Base(file), ext)
	}
	if err := checkName(m.Name); err != nil {
		return m, err
	}
	if !slices.Contains(modelKinds, ext) {
		return m, &usageError{msg: fmt.Sprintf("%q does not end like a model", file), hint: "the endings are " + strings.Join(modelKinds, ", ")}
	}
	m.File = m.Name + ext
	if text := c.String("eps"); text != "" {
		var err error
		if m.Norm, m.Eps, err = parseEps(text); err != nil {
			return m, err
		}
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return m, &usageError{msg: fmt.Sprintf("there is no file %q", file)}
	}
	if ext != ".onnx" {
		return m, nil
	}
	loaded, err := onnx.Load(file)
	if err != nil {
		return m, err
	}
	spec, _, err := loaded.Spec()
	if err != nil && !errors.Is(err, onnx.ErrNoImageInput) {
		return m, err
	}
	if err := claimOf(&m).Check(spec.Arch, 0); err != nil {
		return m, hinted{err, "leave out --arch: the file says what it holds"}
	}
	m.Arch = spec.Arch
	if r := spec.Robustness; r != nil && m.Norm == "" {
		m.Norm, m.Eps = r.Norm, r.Eps
	}
	return m, nil
}

// add copies a file into the cache and gives it a name, unless that has
// another one.
func (e *env) add(c *cli.Context, all *catalogue, m *entry, file string) (status string, err error) {
	if err := os.MkdirAll(all.dir, 0o777); err != nil {
		return "", err
	}
	unlock, err := e.lock(c.Context, filepath.Join(all.dir, "."+m.Name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	copied := filepath.Join(all.dir, "."+m.Name+".add"+filepath.Ext(file))
	defer os.Remove(copied)
	if err := copyFile(c.Context, file, copied); err != nil {
		return "", err
	}
	r, err := checked(m.Checkpoint, copied, "")
	if errors.Is(err, os.ErrNotExist) {
		return "", hinted{fmt.Errorf("%q keeps weights in other files: %w", file, onnx.ErrFormat), "a name stands for one file; the path of the model works as it is"}
	}
	if err != nil {
		return "", hinted{fmt.Errorf("%q: %w", file, err), ""}
	}
	if r.Source, err = filepath.Abs(file); err != nil {
		return "", err
	}
	r.Added = true
	old := all.find(m.Name)
	if old != nil {
		same, err := all.settled(old, r, c.Bool("overwrite"))
		if same && old.Bundled {
			_, err = all.unpack(old)
		}
		if err != nil || same {
			*m = *old
			return "cached", err
		}
	}
	if err := all.keep(m, copied, r); err != nil {
		return "", err
	}
	if old != nil && old.File != m.File {
		os.Remove(all.path(old))
	}
	return "done", nil
}

// settled tells whether a name has this very file, and refuses another one.
func (c *catalogue) settled(old *entry, r record, overwrite bool) (bool, error) {
	same := c.have(old) && old.kept.Model.SHA256 == r.Model.SHA256
	if old.Bundled {
		sum, _ := bundledSum(old)
		same = sum == r.Model.SHA256
	}
	switch {
	case !old.added && same:
		return true, nil
	case old.Bundled:
		return false, &usageError{msg: old.Name + " is the name of a bundled backbone, and this is another file", hint: "choose another --name"}
	case !old.added:
		return false, &usageError{msg: old.Name + " is the name of a released checkpoint",
			hint: "choose another --name; if this is it, rtx models get " + old.Name + " --from " + r.Source}
	case same && old.kept.Model == r.Model:
		return true, nil
	case overwrite:
		return false, nil
	case same:
		return false, &usageError{msg: fmt.Sprintf("%s is there with another description", old.Name), hint: "--overwrite replaces it"}
	}
	return false, &usageError{
		msg:  fmt.Sprintf("%s is the name of another file, of SHA-256 %.12s, and this one has %.12s", old.Name, old.kept.Model.SHA256, r.Model.SHA256),
		hint: "choose another --name, or --overwrite",
	}
}

// parseEps reads NORM:EPS: the norm and radius of an adversary in units of
// [0,1] pixels, such as l2:0.5 or linf:4/255.
func parseEps(text string) (norm string, eps float64, err error) {
	norm, number, _ := strings.Cut(text, ":")
	above, below, fraction := strings.Cut(number, "/")
	eps, err = strconv.ParseFloat(above, 64)
	if fraction && err == nil {
		var d float64
		d, err = strconv.ParseFloat(below, 64)
		eps /= d
	}
	switch {
	case norm != "l2" && norm != "linf" || err != nil || !(eps >= 0 && eps < 1e6):
		return "", 0, &usageError{msg: fmt.Sprintf("%q is no norm and radius", text), hint: "l2:0.5 and linf:4/255 are"}
	case norm == "linf" && eps > 1:
		return "", 0, &usageError{msg: fmt.Sprintf("%q is more than the range of pixels, which is [0,1]", text), hint: "did you mean linf:" + number + "/255"}
	}
	return norm, eps, nil
}
