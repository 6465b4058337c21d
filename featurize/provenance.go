package featurize

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// Provenance is the run.json of a feature set: what the set was made from, how, and
// with what result. It is the last file to be written, so a folder that has one holds a
// complete set.
type Provenance struct {
	output.Run[Settings]
	Shards    []string `json:"shards,omitempty"` // the folders that were merged
	Listing   Identity `json:"listing"`
	Shard     *Shard   `json:"shard"`      // nil: all images
	ShardFrom string   `json:"shard_from"` // where the caller took the shard from

	Library         Library        `json:"onnxruntime"`
	Device          string         `json:"device"`
	DeviceWhy       string         `json:"device_why"` // why it is not a GPU; "" if it is
	Decoder         Decoder        `json:"decoder"`
	Counts          Counts         `json:"counts"`
	ImagesPerSecond float64        `json:"images_per_second"` // of new rows; 0 if there are none, or after a merge
	DecoderWarnings map[string]int `json:"decoder_warnings"`  // number of images, by warning
	Unread          map[string]int `json:"unread"`            // files that are no images, by kind: see Listing.Unread
	Lost            []string       `json:"lost_classes"`      // classes none of whose images can be used; not of a shard
	Warnings        []string       `json:"warnings"`
}

// Library is the onnxruntime library that computed the features.
type Library struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Source  string `json:"source"` // how it was found
}

// Decoder is the decoder of JPEG files: see pixels.JPEGDecoder.
type Decoder struct {
	JPEG    string `json:"jpeg"`
	Version string `json:"version"`
}

// Counts are numbers of images, and of classes.
type Counts struct {
	Samples int `json:"samples"` // with features
	Skipped int `json:"skipped"` // images without; other files are in unread
	Reused  int `json:"reused"`  // rows that former runs computed
	New     int `json:"new"`     // rows that this run computed
	Classes int `json:"classes"`
}

// ReadProvenance reads the run.json of the feature set in a folder. The error is
// ErrFormat if it does not decode, and an fs.PathError if it cannot be read.
func ReadProvenance(dir string) (*Provenance, error) {
	p := &Provenance{}
	err := output.ReadRun(dir, p)
	if err == nil {
		return p, nil
	}
	if unread := (*fs.PathError)(nil); !errors.As(err, &unread) {
		err = fmt.Errorf("%w: %w", err, ErrFormat)
	}
	return nil, err
}

// mergedProvenance is the provenance of a merged set: that of the first shard, with the
// counts and warnings of all.
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
