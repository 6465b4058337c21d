package cli

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
)

// features are a feature set in memory, and what is known of its making.
type features struct {
	*probe.Set
	path   string
	paths  []string // by row
	splits []string // by row, "" without one
	id     string   // of all that a probe sees
	run    *featurizeRun
}

// featurizeRun is what run.json tells of a set that rtx made.
type featurizeRun struct {
	Model        modelFile `json:"model"`
	ResolvedSpec onnx.Spec `json:"resolved_spec"`
	Config       struct {
		Layer      string `json:"layer"`
		Pool       string `json:"pool"`
		PreResize  string `json:"pre_resize"`
		Statistics string `json:"statistics"` // of batch norms adapted to the images; "": the model's
	} `json:"config"`
}

// readFeatures reads a feature set: a folder of featurize, or arrays that
// others made, whose labels may lie in a file of their own.
func readFeatures(path, labels string, p probe.Products) (*features, error) {
	s, err := openFeatures(path, labels)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--data names a folder of rtx featurize, or an .npy, .npz or .safetensors file"}
	case errors.Is(err, featurize.ErrLabels):
		return nil, hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--labels names an .npy file of integers"}
	case err != nil:
		return nil, err
	}
	defer s.Close()
	d := probe.Data{N: s.Len(), D: 1, Classes: s.Classes}
	for _, n := range s.Dims {
		d.D *= n
	}
	d.X = make([]float32, d.N*d.D)
	if err := s.Read(d.X, 0); err != nil {
		return nil, err
	}
	f := &features{path: path}
	grouped := false
	for _, r := range s.Records {
		if r.Row < 0 {
			continue
		}
		d.Y, d.Groups = append(d.Y, r.Label), append(d.Groups, r.Group)
		f.paths, f.splits = append(f.paths, r.Path), append(f.splits, r.Split)
		grouped = grouped || r.Group != ""
	}
	if !grouped {
		d.Groups = nil
	}
	f.id = f.identity(d)
	if f.run, err = readRun(path); err != nil {
		return nil, err
	}
	if f.Set, err = probe.NewSet(d, p); err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return f, nil
}

func openFeatures(path, labels string) (*featurize.Set, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return featurize.OpenArrays(path, labels)
	}
	if labels != "" {
		return nil, &usageError{msg: fmt.Sprintf("--labels goes with a file of features, and %q is a folder, which has them", path)}
	}
	return featurize.OpenSet(path)
}

// identity is a digest of the features and all that belongs to their rows.
func (f *features) identity(d probe.Data) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %q\n", d.N, d.D, d.Classes)
	for i := range d.Y {
		group := ""
		if d.Groups != nil {
			group = d.Groups[i]
		}
		fmt.Fprintf(h, "%q %d %q %q\n", f.paths[i], d.Y[i], f.splits[i], group)
	}
	writeFloats(h, d.X)
	return fmt.Sprintf("%d x %d, %s", d.N, d.D, hex.EncodeToString(h.Sum(nil))[:16])
}

// readRun reads the run.json of a feature set, nil where there is none.
func readRun(dir string) (*featurizeRun, error) {
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, nil // another program's
	}
	var r featurizeRun
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%q: run.json: %w: %w", dir, err, featurize.ErrFormat)
	}
	return &r, nil
}

// writeFloats writes the bytes of x, little-endian.
func writeFloats(w io.Writer, x []float32) {
	var b [1 << 16]byte
	for len(x) > 0 {
		n := min(len(x), len(b)/4)
		for i, v := range x[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
		w.Write(b[:4*n])
		x = x[n:]
	}
}
