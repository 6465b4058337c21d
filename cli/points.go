package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/robust-transfer/rtx/finetune/probe"
)

// points keeps finished grid points in a file, so that an interrupted probe goes
// on where it stopped.
type points struct {
	file  *os.File
	done  map[string]probe.Point // by pointKey, of an earlier run
	n     int                    // points of this run
	added func(n int)            // is told of each
}

// openPoints reads what an earlier run has finished, and goes on behind its last
// whole line.
func openPoints(name string) (*points, error) {
	p := &points{done: map[string]probe.Point{}}
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("output: %w", err)
	}
	whole := 0
	for _, line := range bytes.SplitAfter(text, []byte("\n")) {
		var k struct {
			Seed uint64
			probe.Point
		}
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &k) != nil {
			break
		}
		p.done[pointKey(k.Seed, k.Place)] = k.Point
		whole += len(line)
	}
	if p.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666); err == nil {
		if err = p.file.Truncate(int64(whole)); err == nil {
			_, err = p.file.Seek(int64(whole), io.SeekStart)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return p, nil
}

func pointKey(seed uint64, at probe.Place) string { return fmt.Sprint(seed, at) }

// Known returns a point of an earlier run.
func (p *points) Known(seed uint64, at probe.Place) (probe.Point, bool) {
	pt, ok := p.done[pointKey(seed, at)]
	return pt, ok
}

// Add keeps a point.
func (p *points) Add(seed uint64, pt probe.Point) error {
	p.n++
	p.added(p.n)
	line, err := json.Marshal(struct {
		Seed uint64 `json:"seed"`
		probe.Point
	}{seed, pt})
	if err != nil {
		return err
	}
	if _, err := p.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

func (p *points) close() { p.file.Close() }
