package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// addOptions are the flags of rtx models add.
type addOptions struct {
	Name      string `flag:"name"` // "": the file's
	Arch      string `flag:"arch"`
	Eps       string `flag:"eps"`
	Overwrite bool   `flag:"overwrite"`
}

func (e *env) modelsAdd(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return &usageError{msg: fmt.Sprintf("models add takes one file, found %d", c.NArg()), hint: "rtx models add FILE --name NAME"}
	}
	var flags addOptions
	readOptions(c, &flags)
	file := c.Args().First()
	description, err := flags.describe(file)
	if err != nil {
		return err
	}
	all, err := e.openCatalogue()
	if err != nil {
		return err
	}
	o := e.catalogueOptions()
	o.Overwrite = flags.Overwrite
	m, added, err := all.Add(c.Context, description, file, o)
	switch {
	case errors.Is(err, catalogue.ErrRefused):
		return hinted{err, ""}
	case errors.Is(err, onnx.ErrFormat):
		return hinted{err, "a name stands for one file; the path of the model works as it is"}
	case err != nil:
		return err
	}
	status := map[bool]string{true: "done", false: "cached"}[added]
	if e.json {
		e.print(e.result("rtx.models.add/1", status, all.Path(m), object{{"model", modelObject(all, m)}}))
		return nil
	}
	if added {
		e.note("%s: SHA-256 %s; the copy in the cache is used from now on", m.Name, m.Kept.Model.SHA256)
	}
	fmt.Fprintln(e.stdout, all.Path(m))
	return nil
}

// describe is what the flags and the file say of a model.
func (o *addOptions) describe(file string) (assets.Checkpoint, error) {
	ext := filepath.Ext(file)
	m := assets.Checkpoint{Name: o.Name, Arch: o.Arch}
	if m.Name == "" {
		m.Name = strings.TrimSuffix(filepath.Base(file), ext)
	}
	endings := strings.Join(catalogue.Extensions, ", ")
	if !catalogue.ValidName(m.Name) {
		return m, &usageError{msg: fmt.Sprintf("%q cannot be a model's name", m.Name), hint: "letters, digits and . _ + - make a name, without " + endings + " at its end"}
	}
	if !slices.Contains(catalogue.Extensions, ext) {
		return m, &usageError{msg: fmt.Sprintf("%q does not end like a model", file), hint: "the endings are " + endings}
	}
	m.File = m.Name + ext
	if o.Eps != "" {
		threat, err := parseThreat(o.Eps)
		if err != nil {
			return m, err
		}
		m.Norm, m.Eps = string(threat.Norm), threat.Eps
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return m, &usageError{msg: fmt.Sprintf("there is no file %q", file)}
	}
	m, err := catalogue.Describe(m, file)
	var claim *checkpoint.ClaimError
	if errors.As(err, &claim) {
		return m, hinted{err, "leave out --arch: the file says what it holds"}
	}
	return m, err
}

// takenHint is the advice where a name has another file.
func takenHint(e *catalogue.TakenError) string {
	switch {
	case e.Model.Bundled:
		return "choose another --name"
	case !e.Model.Added:
		return "choose another --name; if this is it, rtx models get " + e.Model.Name + " --from " + e.File.Source
	case e.Same:
		return "--overwrite replaces it"
	}
	return "choose another --name, or --overwrite"
}

// missingHint is the advice where the file of a name is not in the cache.
func missingHint(m *catalogue.Model) string {
	if m.Added {
		return "rtx models add FILE --name " + m.Name + " --overwrite"
	}
	return "rtx models get " + m.Name
}
