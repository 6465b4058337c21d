package catalogue

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrUnavailable is wrapped where a host cannot be reached, or refuses to
	// give a file.
	ErrUnavailable = errors.New("it cannot be had from there")
	// ErrRefused is wrapped where what came is not the file that was wanted.
	ErrRefused = errors.New("it was not kept")
)

// MissingError says that a model has a name, and its file is not in the folder.
type MissingError struct{ Model *Model }

func (e *MissingError) Error() string {
	if e.Model.Added {
		return fmt.Sprintf("the copy of %s (from %s) is not in the cache any more", e.Model.Name, e.Model.Kept.Source)
	}
	return fmt.Sprintf("the checkpoint %s is not in the cache", e.Model.Name)
}

// UnknownError says that there is no file and no model of a name.
type UnknownError struct {
	Name string
	// Model is the model that has the name but for an extension, nil for none:
	// the name is that of a file then, which does not exist.
	Model *Model
}

func (e *UnknownError) Error() string {
	if e.Model != nil {
		return fmt.Sprintf("there is no file %q", e.Name)
	}
	return fmt.Sprintf("there is no file and no model %q", e.Name)
}

// TakenError says that a file cannot have a name, since another model has it.
type TakenError struct {
	Model *Model // which has the name
	File  Record // of the file that was to get it
	Same  bool   // the files are equal, and their descriptions differ
}

func (e *TakenError) Error() string {
	switch m := e.Model; {
	case m.Bundled:
		return m.Name + " is the name of a bundled backbone, and this is another file"
	case !m.Added:
		return m.Name + " is the name of a released checkpoint"
	case e.Same:
		return m.Name + " is there with another description"
	default:
		return fmt.Sprintf("%s is the name of another file, of SHA-256 %.12s, and this one has %.12s", m.Name, m.Kept.Model.SHA256, e.File.Model.SHA256)
	}
}

// TemporaryError is a failure that another attempt may not have.
type TemporaryError struct {
	Err   error
	After time.Duration // how long the host asks to wait
}

func (e *TemporaryError) Error() string { return e.Err.Error() }

func (e *TemporaryError) Unwrap() error { return e.Err }
