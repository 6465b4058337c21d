package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/cli/catalogue"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// openCatalogue opens the catalogue in the user's cache, and warns of records
// that cannot be read.
func (e *env) openCatalogue() (*catalogue.Catalogue, error) {
	dir, err := catalogue.DefaultDir()
	if err != nil {
		return nil, err
	}
	c, err := catalogue.Open(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range c.Unreadable {
		e.warn("%s is no record of a model; remove it", file)
	}
	return c, nil
}

// unknownModel is the error for a name that nothing has, with the names that were
// probably meant.
func unknownModel(c *catalogue.Catalogue, err *catalogue.UnknownError) error {
	if err.Model != nil {
		return &usageError{msg: err.Error(), hint: "did you mean the model " + err.Model.Name}
	}
	return &usageError{msg: err.Error(), hint: nearNames(c, err.Name)}
}

// nearNames is a hint with the names that a wrong one was probably meant for: those
// that begin with it, else those that hold it, else the one with the fewest letters
// changed.
func nearNames(c *catalogue.Catalogue, name string) string {
	const most = 20
	if ext := filepath.Ext(name); slices.Contains(catalogue.Extensions, ext) {
		name = strings.TrimSuffix(name, ext)
	}
	word := strings.ToLower(name)
	var begin, hold []string
	for _, n := range c.Names() {
		switch lower := strings.ToLower(n); {
		case strings.HasPrefix(lower, word):
			begin = append(begin, n)
		case strings.Contains(lower, word):
			hold = append(hold, n)
		}
	}
	if len(begin) == 0 {
		begin = hold
	}
	switch more := len(begin) - most; {
	case len(begin) == 0:
		return suggest(name, c.Names(), "rtx models lists the names that a model can have")
	case more > 0:
		return fmt.Sprintf("did you mean %s or one of the %d others that rtx models lists", strings.Join(begin[:most], ", "), more)
	case len(begin) > 1:
		return "did you mean one of " + strings.Join(begin, ", ")
	}
	return "did you mean " + begin[0]
}

// modelFile finds the file of a MODEL: a file that exists, or the one in the
// cache that belongs to a name. It also returns what the catalogue says of it.
func (e *env) modelFile(model string) (string, *assets.Checkpoint, error) {
	if file := modelOfFolder(model); file != "" {
		return file, nil, nil
	}
	if catalogue.IsFile(model) {
		return model, nil, nil
	}
	c, err := e.openCatalogue()
	if err != nil {
		return "", nil, err
	}
	path, m, err := c.Locate(model)
	var unknown *catalogue.UnknownError
	if errors.As(err, &unknown) {
		err = unknownModel(c, unknown)
	}
	if err != nil || m == nil {
		return path, nil, err
	}
	return path, &m.Checkpoint, nil
}

// modelOfFolder is the model in an output folder: of a training run, a comparison or
// a probe; "" where there is none.
func modelOfFolder(dir string) string {
	for _, name := range []string{finetune.BestFile, "best.onnx", "classifier.onnx"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

// modelKind finds the file of a MODEL and tells its format.
func (e *env) modelKind(model string) (path string, claim *assets.Checkpoint, kind checkpoint.Kind, err error) {
	if path, claim, err = e.modelFile(model); err != nil {
		return "", nil, "", err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "", nil, "", fmt.Errorf("%q is a folder: %w", path, onnx.ErrFormat)
	}
	kind, err = checkpoint.KindOf(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = hinted{&usageError{msg: err.Error()}, "a model is an ONNX file, a PyTorch checkpoint or a name that rtx models lists"}
	}
	return path, claim, kind, err
}

// loadModel reads a MODEL: an ONNX file, or a checkpoint, which is imported.
func (e *env) loadModel(model string) (*onnx.Model, error) {
	path, claim, kind, err := e.modelKind(model)
	if err != nil {
		return nil, err
	}
	var m *onnx.Model
	if kind.Checkpoint() {
		m, err = e.importedModel(path, claim)
	} else {
		m, err = onnx.Load(path)
	}
	if err == nil && (kind.Checkpoint() || claim != nil) { // it lies in the cache
		m = m.WithName(model)
	}
	return m, err
}
