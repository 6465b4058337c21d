package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize/output"
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

func pointsFile(dir string) string { return filepath.Join(dir, ".rtx", "points.jsonl") }

// openPoints reads what an earlier run with the same configuration finished;
// overwrite drops what one with another did.
func openPoints(dir string, config map[string]any, overwrite bool) (*points, error) {
	if err := os.MkdirAll(filepath.Dir(pointsFile(dir)), 0o777); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	p := &points{done: map[string]probe.Point{}}
	text, err := os.ReadFile(pointsFile(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("output: %w", err)
	}
	head, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	var old map[string]any
	if json.Unmarshal(lines[0], &old) == nil && old != nil {
		diff, err := output.Difference(old, config)
		switch {
		case err != nil:
			return nil, err
		case diff != "" && !overwrite:
			return nil, fmt.Errorf("output %q: %s: %w", dir, diff, output.ErrConfig)
		case diff != "":
			lines = lines[:1]
		}
		for _, l := range lines[1:] {
			var k struct {
				Seed uint64
				probe.Point
			}
			if json.Unmarshal(l, &k) == nil && bytes.HasSuffix(l, []byte("\n")) {
				p.done[pointKey(k.Seed, k.Place)] = k.Point
				head = append(append(head, '\n'), bytes.TrimSpace(l)...)
			}
		}
	}
	fresh := pointsFile(dir) + ".new"
	if err = os.WriteFile(fresh, append(head, '\n'), 0o666); err == nil {
		err = os.Rename(fresh, pointsFile(dir))
	}
	if err == nil {
		p.file, err = os.OpenFile(pointsFile(dir), os.O_WRONLY|os.O_APPEND, 0)
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

// remove takes the points away, once the result is there.
func (p *points) remove() error {
	p.file.Close()
	return os.RemoveAll(filepath.Dir(p.file.Name()))
}
