package catalogue

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/assets"
)

// Catalogue is a folder of models, and the names that models can have.
type Catalogue struct {
	Dir    string
	Models []Model // the released ones, the bundled ones, those that were added
	// Unreadable are files of the folder that have the name of a record and are
	// none.
	Unreadable []string
}

// Model is a model with a name. Its SHA-256 may be only the beginning of the
// digest, or empty.
type Model struct {
	assets.Checkpoint
	Added bool    // by the user
	Kept  *Record // nil where the folder has no file of it
}

// Record is what NAME.json says of a file in the folder.
type Record struct {
	Model  assets.Checkpoint `json:"model"` // with the whole SHA-256 and the size
	Source string            `json:"source"`
	Time   int64             `json:"mtime"` // when the file was last modified, in ns
	Added  bool              `json:"added"`
	// Verified says what the digest was compared with: "sha256" or
	// "sha256_prefix" of the catalogue, "host" for what the host announced, ""
	// for nothing.
	Verified string `json:"verified"`
}

// Extensions are those of files that are models.
var Extensions = []string{".onnx", ".ckpt", ".pt", ".pth", ".th", ".safetensors"}

// DefaultDir is the folder of checkpoints in the user's cache.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the folder of checkpoints: %w", err)
	}
	return filepath.Join(dir, "rtx", "checkpoints"), nil
}

// Open reads the records of a folder, which need not exist.
func Open(dir string) (*Catalogue, error) {
	c := &Catalogue{Dir: dir}
	for _, known := range assets.Checkpoints() {
		c.Models = append(c.Models, Model{Checkpoint: known})
	}
	files, err := filepath.Glob(filepath.Join(dir, "[^.]*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var r Record
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); err != nil || r.Model.Name != name || filepath.Base(r.Model.File) != r.Model.File {
			c.Unreadable = append(c.Unreadable, file)
			continue
		}
		if known := c.Find(r.Model.Name); known != nil {
			known.Kept = &r
		} else if r.Added {
			c.Models = append(c.Models, Model{r.Model, true, &r})
		}
	}
	return c, nil
}

// Find returns the model of a name, nil where there is none. It ignores case, as
// some file systems do.
func (c *Catalogue) Find(name string) *Model {
	for i := range c.Models {
		if strings.EqualFold(c.Models[i].Name, name) {
			return &c.Models[i]
		}
	}
	return nil
}

// Match returns the models whose name or architecture contains the pattern, or
// matches it as path.Match does. The empty pattern matches all.
func (c *Catalogue) Match(pattern string) (found []*Model) {
	for i := range c.Models {
		m := &c.Models[i]
		for _, text := range []string{m.Name, m.Arch} {
			if ok, err := path.Match(pattern, text); err == nil && ok || strings.Contains(text, pattern) {
				found = append(found, m)
				break
			}
		}
	}
	return found
}

// Names lists the names of all models.
func (c *Catalogue) Names() []string {
	var names []string
	for _, m := range c.Models {
		names = append(names, m.Name)
	}
	return names
}

// Path is where the file of a model is, or would be.
func (c *Catalogue) Path(m *Model) string { return filepath.Join(c.Dir, m.File) }

// Has reports whether the folder has the file of a model, as its record
// describes it. A file whose time has changed is hashed.
func (c *Catalogue) Has(m *Model) bool {
	if m.Kept == nil {
		return false
	}
	info, err := os.Stat(c.Path(m))
	if err != nil || info.Size() != m.Kept.Model.Size {
		return false
	}
	if info.ModTime().UnixNano() == m.Kept.Time {
		return true
	}
	sum, err := FileSHA256(c.Path(m))
	return err == nil && sum == m.Kept.Model.SHA256
}

// Digest is the SHA-256 of a model's file, in hex, and its size in bytes, as far
// as they are known: the digest may be only its beginning or empty, the size 0.
func (c *Catalogue) Digest(m *Model) (sum string, size int64) {
	switch {
	case m.Bundled:
		data, _ := assets.Backbones.ReadFile("backbones/" + m.File)
		digest := sha256.Sum256(data)
		return hex.EncodeToString(digest[:]), int64(len(data))
	case c.Has(m):
		return m.Kept.Model.SHA256, m.Kept.Model.Size
	}
	return m.SHA256, m.Size
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)

// ValidName reports whether a model can have the name: whether it cannot be
// mistaken for a file or a flag.
func ValidName(name string) bool {
	return validName.MatchString(name) && !slices.Contains(Extensions, filepath.Ext(name))
}

// FileSHA256 is the SHA-256 of a file, in hex.
func FileSHA256(file string) (string, error) {
	f, err := os.Open(file)
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
