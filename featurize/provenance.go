package featurize

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/robust-transfer/rtx/onnx"
)

// Provenance is the run.json of a feature set: what the set was made of, how,
// and what came out. A folder that has one holds a whole set, since it is the
// last file to be written.
type Provenance struct {
	Schema   string    `json:"schema"` // rtx.run/1
	Verb     string    `json:"verb"`   // featurize or merge
	Status   string    `json:"status"` // done
	Version  string    `json:"rtx"`    // of the program
	Finished time.Time `json:"finished"`
	Shards   []string  `json:"shards,omitempty"` // what was merged

	Model        ModelFile      `json:"model"`
	Data         string         `json:"data"`          // where the images are
	Spec         string         `json:"spec"`          // "model", or "assumed" where the model has no Spec
	ResolvedSpec onnx.Spec      `json:"resolved_spec"` // what the images were prepared by
	Config       map[string]any `json:"config"`        // of the Job
	Listing      Identity       `json:"listing"`
	Shard        *Shard         `json:"shard"`      // nil: all images
	ShardFrom    string         `json:"shard_from"` // the flag or variable that chose the shard

	Library         Library        `json:"onnxruntime"`
	Device          string         `json:"device"`
	DeviceWhy       string         `json:"device_why"` // why it is not a GPU
	Decoder         Decoder        `json:"decoder"`
	Counts          Counts         `json:"counts"`
	ImagesPerSecond float64        `json:"images_per_second"` // of the new rows; 0: none, or merged
	DecoderWarnings map[string]int `json:"decoder_warnings"`  // images by warning
	Warnings        []string       `json:"warnings"`
}

// ModelFile is the model that features are of.
type ModelFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// Library is the onnxruntime that computed.
type Library struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Source  string `json:"source"` // how it was found
}

// Decoder is what decoded JPEG files.
type Decoder struct {
	JPEG    string `json:"jpeg"`
	Version string `json:"version"`
}

// Counts are numbers of images, and of classes.
type Counts struct {
	Samples int `json:"samples"` // with a row
	Skipped int `json:"skipped"` // without one
	Reused  int `json:"reused"`  // rows that were there already
	New     int `json:"new"`     // rows computed
	Classes int `json:"classes"`
}

// ReadProvenance reads the run.json of a feature set. The error is fs.ErrNotExist
// where there is none and ErrFormat where it is of something else.
func ReadProvenance(dir string) (*Provenance, error) {
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, err
	}
	p := &Provenance{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("run.json: %w: %w", err, ErrFormat)
	}
	if p.Config == nil || p.Listing.SHA256 == "" {
		return nil, fmt.Errorf("run.json has no config or listing: %w", ErrFormat)
	}
	return p, nil
}

// encode is the text of run.json.
func (p *Provenance) encode() ([]byte, error) {
	p.Schema, p.Status, p.Finished = "rtx.run/1", "done", time.Now().UTC().Truncate(time.Second)
	text, err := json.MarshalIndent(p, "", "  ")
	return append(text, '\n'), err
}

// mergedProvenance is that of a set whose shards are parts: what they have in
// common is told by the first, and counts add up.
func mergedProvenance(parts []part, format string) *Provenance {
	p := *parts[0].Provenance
	p.Verb, p.Version, p.Shard, p.ShardFrom, p.ImagesPerSecond = "merge", "", nil, "", 0
	p.Counts, p.DecoderWarnings, p.Warnings = Counts{Classes: len(parts[0].set.Classes)}, map[string]int{}, []string{}
	p.Config = map[string]any{}
	for key, v := range parts[0].Config {
		p.Config[key] = v
	}
	p.Config["format"] = format
	for _, one := range parts {
		p.Counts.Samples += one.Counts.Samples
		p.Counts.Skipped += one.Counts.Skipped
		p.Counts.Reused += one.Counts.Reused
		p.Counts.New += one.Counts.New
		for text, n := range one.DecoderWarnings {
			p.DecoderWarnings[text] += n
		}
		for _, text := range one.Warnings {
			if !slices.Contains(p.Warnings, text) {
				p.Warnings = append(p.Warnings, text)
			}
		}
	}
	return &p
}
