package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/robust-transfer/rtx/featurize/output"
)

// linesState is the file in which a job keeps what it has found so far, a line for
// each image, so that the same command goes on where an earlier one was ended.
type linesState[T any] struct {
	file *os.File
	seen []T // by earlier commands
}

// stateOf reads a file of the state of a folder that was begun. A line that was cut off
// is dropped.
func stateOf[T any](f *output.Folder, name string) (*linesState[T], error) {
	file, err := f.OpenState(name)
	if err != nil {
		return nil, err
	}
	s := &linesState[T]{file: file}
	whole := int64(0)
	r := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			file.Close()
			return nil, fmt.Errorf("output: %w", err)
		}
		var one T
		if err != nil || json.Unmarshal(line, &one) != nil {
			break
		}
		whole += int64(len(line))
		s.seen = append(s.seen, one)
	}
	if err := errors.Join(file.Truncate(whole), seekEnd(file)); err != nil {
		file.Close()
		return nil, fmt.Errorf("output: %w", err)
	}
	return s, nil
}

func seekEnd(file *os.File) error { _, err := file.Seek(0, io.SeekEnd); return err }

// add appends an image.
func (s *linesState[T]) add(one T) error {
	line, err := json.Marshal(one)
	if err != nil {
		return err
	}
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}
