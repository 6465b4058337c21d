package data

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// OpenFiles reads a set whose files are in memory.
func OpenFiles(ctx context.Context, files map[string]string) (*Set, error) {
	listed := &featurize.FileTree{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }
		listed.Files = append(listed.Files, featurize.File{Path: name, Open: open})
	}
	t := newTree("memory", listed)
	from, err := t.recognise()
	if err != nil {
		return nil, err
	}
	return newSet(ctx, t, from)
}
