package checkpoint

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// Checkpoint is an open checkpoint and the one network that was chosen in it.
type Checkpoint struct {
	File    *torch.File    // its format, its entries beside the tensors, and the classes that it names
	Network *torch.Network // its tensors under the names that the network's code gives them

	// Networks lists the networks of the checkpoint where it holds several, or others
	// beside the one at Index, which was chosen; else it is nil, or has one element.
	// Import may look for them.
	Networks []Place
	Index    int
	Head     []string // keys of a head that the network's own layers do not include, and that was left out

	within *arch.Network // the one that was chosen; nil: all of its state_dict

	path string
	hash *os.File
	sum  func() (string, error)
}

// Open opens a checkpoint and finds the network in it. Of several networks it
// takes the index-th, from 0 on; -1 stands for the only one, or for the one whose
// key says that it is the network. Otherwise the error wraps [torch.ErrIndex].
//
// Tensors may lie beside a network, and one state_dict may hold several networks,
// each behind a prefix: the two encoders of MoCo, a student and its teacher, a
// network and its moving average. Then -1 takes the first in the file that is no
// copy of another by its name (momentum, target, ema, encoder_k and the like). Of a
// teacher and a student it takes the teacher where both are of one architecture, as
// in self-distillation, else the student.
//
// The file is hashed in the background from then on, for [Checkpoint.SHA256].
func Open(path string, index int) (*Checkpoint, error) {
	f, err := torch.Open(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{File: f, path: path}
	if err := c.startHash(); err != nil {
		c.Close()
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if err := c.choose(index); err != nil {
		c.Close()
		return nil, fmt.Errorf("checkpoint: %q: %w", path, err)
	}
	return c, nil
}

// Close closes the file and ends its hashing. The weights of models that were
// made of the checkpoint cannot be read any more.
func (c *Checkpoint) Close() error {
	if c.hash != nil {
		c.hash.Close()
	}
	return c.File.Close()
}

// startHash begins to hash the file. Closing c.hash ends it early.
func (c *Checkpoint) startHash() (err error) {
	if c.hash, err = os.Open(c.path); err != nil {
		return err
	}
	type result struct {
		sum string
		err error
	}
	done := make(chan result, 1)
	go func() {
		h := sha256.New()
		_, err := io.Copy(h, c.hash)
		done <- result{hex.EncodeToString(h.Sum(nil)), err}
	}()
	c.sum = sync.OnceValues(func() (string, error) { r := <-done; return r.sum, r.err })
	return nil
}

// SHA256 waits for the digest of the file, in hexadecimal.
func (c *Checkpoint) SHA256() (string, error) {
	sum, err := c.sum()
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	return sum, nil
}

// source is what the Spec says of the file.
func (c *Checkpoint) source() (*onnx.Source, error) {
	sum, err := c.SHA256()
	s := &onnx.Source{File: filepath.Base(c.path), SHA256: sum, Computed: len(c.Network.Computed)}
	if len(c.Networks) > 1 {
		s.Network = c.Networks[c.Index].Where
	}
	for _, g := range c.Beside() {
		s.LeftOut += g.Tensors
	}
	return s, err
}

// WriteKeyMap writes a CSV table of the network's tensors and their keys in the
// checkpoint, and of the keys that were left out and why: columns name, key and
// left_out, of which the first or the last is empty.
func (c *Checkpoint) WriteKeyMap(w io.Writer) error {
	rows := [][]string{{"name", "key", "left_out"}}
	for _, t := range c.Network.Tensors {
		rows = append(rows, []string{t.Name, c.Network.Keys[t.Name], ""})
	}
	for _, d := range c.Network.Dropped {
		rows = append(rows, []string{"", d.Key, d.Why})
	}
	return csv.NewWriter(w).WriteAll(rows)
}
