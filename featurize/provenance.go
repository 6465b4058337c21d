package featurize

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// Provenance is the run.json of a feature set: what the set was made of, how,
// and what came out. A folder that has one holds a whole set, since it is the
// last file to be written.
type Provenance struct {
	output.Run[Settings]
	Shards    []string `json:"shards,omitempty"` // what was merged
	Listing   Identity `json:"listing"`
	Shard     *Shard   `json:"shard"`      // nil: all images
	ShardFrom string   `json:"shard_from"` // the flag or variable that chose the shard

	Library         Library        `json:"onnxruntime"`
	Device          string         `json:"device"`
	DeviceWhy       string         `json:"device_why"` // why it is not a GPU
	Decoder         Decoder        `json:"decoder"`
	Counts          Counts         `json:"counts"`
	ImagesPerSecond float64        `json:"images_per_second"` // of the new rows; 0: none, or merged
	DecoderWarnings map[string]int `json:"decoder_warnings"`  // images by warning
	Warnings        []string       `json:"warnings"`
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
	p := &Provenance{}
	err := output.ReadRun(dir, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", err, ErrFormat)
	case p.Listing.SHA256 == "":
		return nil, fmt.Errorf("%s is not of a feature set: %w", output.RunFile, ErrFormat)
	}
	return p, nil
}

// mergedProvenance is that of a set whose shards are parts: what they have in
// common is told by the first, and counts add up.
func mergedProvenance(parts []part) *Provenance {
	p := *parts[0].Provenance
	p.Version, p.Shard, p.ShardFrom, p.ImagesPerSecond = "", nil, "", 0
	p.Counts, p.DecoderWarnings, p.Warnings = Counts{Classes: len(parts[0].set.Classes)}, map[string]int{}, []string{}
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
