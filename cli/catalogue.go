package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// catalogue is what has a name: the released checkpoints, the bundled
// backbones and what the user added. Its folder in the user's cache holds the
// files, NAME.json with what is known of each, and, hidden, parts and locks.
type catalogue struct {
	dir     string
	entries []entry
}

// entry is a model with a name.
type entry struct {
	assets.Checkpoint
	added bool    // by the user
	kept  *record // nil where nothing is in the cache
}

// record is NAME.json.
type record struct {
	Model  assets.Checkpoint `json:"model"` // with the whole SHA-256 and the size
	Source string            `json:"source"`
	Time   int64             `json:"mtime"` // of the file, ns
	Added  bool              `json:"added"`
	// Verified says against what the digest was: sha256, sha256_prefix, or
	// host for what the host announced; "" for nothing.
	Verified string `json:"verified"`
}

// errMissing says that a model has a name, and its file has to be fetched.
var errMissing = errors.New("not in the cache")

// modelKinds are the file names that are models.
var modelKinds = []string{".onnx", ".ckpt", ".pt", ".pth", ".th", ".safetensors"}

// checkpointDir is beside the installed libraries.
func checkpointDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the folder of checkpoints: %w", err)
	}
	return filepath.Join(dir, "rtx", "checkpoints"), nil
}

// openCatalogue reads the records. Those that cannot be read are as if they
// were not there, which a warning says.
func (e *env) openCatalogue() (*catalogue, error) {
	dir, err := checkpointDir()
	if err != nil {
		return nil, err
	}
	c := &catalogue{dir: dir}
	for _, known := range assets.Checkpoints() {
		c.entries = append(c.entries, entry{Checkpoint: known})
	}
	files, err := filepath.Glob(filepath.Join(dir, "[^.]*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var r record
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); err != nil || r.Model.Name != name || filepath.Base(r.Model.File) != r.Model.File {
			e.warn("%s is no record of a model; remove it", file)
			continue
		}
		if known := c.find(r.Model.Name); known != nil {
			known.kept = &r
		} else if r.Added {
			c.entries = append(c.entries, entry{r.Model, true, &r})
		}
	}
	return c, nil
}

// find ignores case, as some file systems do.
func (c *catalogue) find(name string) *entry {
	for i := range c.entries {
		if strings.EqualFold(c.entries[i].Name, name) {
			return &c.entries[i]
		}
	}
	return nil
}

func (c *catalogue) names() []string {
	var names []string
	for _, m := range c.entries {
		names = append(names, m.Name)
	}
	return names
}

// unknown is the error for a name that nothing has.
func (c *catalogue) unknown(name string) error {
	return &usageError{msg: fmt.Sprintf("there is no file and no model %q", name), hint: suggest(name, c.names(), "rtx models lists the names that a model can have")}
}

func (c *catalogue) path(m *entry) string { return filepath.Join(c.dir, m.File) }

// have tells whether the file of a model is in the cache as its record says.
func (c *catalogue) have(m *entry) bool {
	if m.kept == nil {
		return false
	}
	info, err := os.Stat(c.path(m))
	if err != nil || info.Size() != m.kept.Model.Size {
		return false
	}
	if info.ModTime().UnixNano() == m.kept.Time {
		return true
	}
	sum, err := fileSum(c.path(m))
	return err == nil && sum == m.kept.Model.SHA256
}

func (c *catalogue) state(m *entry) string {
	switch {
	case m.Bundled:
		return "bundled"
	case c.have(m):
		return "in cache"
	}
	return "not fetched"
}

// bundledSum is the SHA-256 of a bundled backbone, and its size.
func bundledSum(m *entry) (string, int64) {
	data, _ := assets.Backbones.ReadFile("backbones/" + m.File)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), int64(len(data))
}

// unpack writes a bundled backbone into the cache, where it is not there, and
// returns its path.
func (c *catalogue) unpack(m *entry) (string, error) {
	want, err := assets.Backbones.ReadFile("backbones/" + m.File)
	if err != nil {
		return "", err
	}
	path := c.path(m)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
		return path, nil
	}
	if err := os.MkdirAll(c.dir, 0o777); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(c.dir, ".unpack-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(want); err != nil {
		f.Close()
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

// modelFile finds the file of a MODEL: a file that exists, or the one in the
// cache that belongs to a name, whose entry it returns, too.
func (e *env) modelFile(model string) (string, *assets.Checkpoint, error) {
	_, err := os.Stat(model)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(model, filepath.Separator) {
		return model, nil, nil
	}
	c, err := e.openCatalogue()
	if err != nil {
		return "", nil, err
	}
	m := c.find(strings.TrimSuffix(model, filepath.Ext(model)))
	if slices.Contains(modelKinds, filepath.Ext(model)) {
		if m != nil {
			return "", nil, &usageError{msg: fmt.Sprintf("there is no file %q", model), hint: "did you mean the model " + m.Name}
		}
		return model, nil, nil
	}
	if m = c.find(model); m == nil {
		return "", nil, c.unknown(model)
	}
	if m.Bundled {
		path, err := c.unpack(m)
		return path, &m.Checkpoint, err
	}
	if !c.have(m) {
		return "", nil, c.missing(m)
	}
	return c.path(m), &m.Checkpoint, nil
}

// missing is the error for a name whose file is not in the cache.
func (c *catalogue) missing(m *entry) error {
	if m.added {
		return hinted{fmt.Errorf("the copy of %s (from %s) is %w any more", m.Name, m.kept.Source, errMissing), "rtx models add FILE --name " + m.Name + " --overwrite"}
	}
	return hinted{fmt.Errorf("the checkpoint %s is %w", m.Name, errMissing), "rtx models get " + m.Name}
}

// modelKind finds the file of a MODEL and says what it looks like.
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

// loadModel reads a MODEL: an ONNX file, or a checkpoint, which becomes one.
func (e *env) loadModel(model string) (*onnx.Model, error) {
	path, claim, kind, err := e.modelKind(model)
	if err != nil {
		return nil, err
	}
	if kind.Checkpoint() {
		return e.importedModel(path, claim)
	}
	return onnx.Load(path)
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)

// checkName refuses names that could not be told from files or flags.
func checkName(name string) error {
	if !goodName.MatchString(name) || slices.Contains(modelKinds, filepath.Ext(name)) {
		return &usageError{msg: fmt.Sprintf("%q cannot be a model's name", name), hint: "letters, digits and . _ + - make a name, without " + strings.Join(modelKinds, ", ") + " at its end"}
	}
	return nil
}
