package output

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/robust-transfer/rtx/onnx"
)

// Run is what every run.json begins with: what was computed, from what, and with
// which settings. Jobs embed it and add their own results.
type Run[S any] struct {
	Schema   string    `json:"schema"` // rtx.run/1
	Verb     string    `json:"verb"`   // the job: featurize, merge or finetune
	Status   string    `json:"status"` // done
	Version  string    `json:"rtx"`    // of the program
	Finished time.Time `json:"finished"`

	Model        ModelFile `json:"model"`
	Data         string    `json:"data"`          // where the images are
	Spec         string    `json:"spec"`          // "model", or "assumed" where the model has no Spec
	ResolvedSpec onnx.Spec `json:"resolved_spec"` // what the images were prepared by
	Config       S         `json:"config"`        // the settings
	Key          string    `json:"key"`           // theirs, see Key
}

// ModelFile is the model that a job took.
type ModelFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// Finish fills in what holds for a job that is done now.
func (r *Run[S]) Finish(verb string, settings S) error {
	r.Schema, r.Verb, r.Status, r.Finished = "rtx.run/1", verb, "done", time.Now().UTC().Truncate(time.Second)
	var err error
	r.Config = settings
	r.Key, err = Key(settings)
	return err
}

// RunFile is the name of the file that holds a Run and what was added to it.
const RunFile = "run.json"

// ReadRun decodes the run.json of a folder. The error is fs.ErrNotExist where there
// is none.
func ReadRun(dir string, to any) error {
	text, err := os.ReadFile(filepath.Join(dir, RunFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%s: %w", RunFile, err)
	}
	return nil
}

// JSON writes a value as indented JSON, for WriteFile and Content.
func JSON(v any) func(io.Writer) error {
	return func(w io.Writer) error {
		text, err := json.MarshalIndent(v, "", "  ")
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	}
}
