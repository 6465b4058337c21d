package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize/output"
)

// writeFile makes a file of what write writes; a signal ends it and leaves no
// file.
func writeFile(ctx context.Context, name string, write func(io.Writer) error) error {
	return nothingWritten(output.WriteFile(ctx, name, write))
}

// nothingWritten gives its hint where a signal ended the writing of files that
// appear when they are whole.
func nothingWritten(err error) error {
	if errors.As(err, new(signalled)) {
		return hinted{err, "nothing was written; the same command starts over"}
	}
	return err
}

// spared refuses a flag's file to write that is one of those that the command
// reads or writes besides.
func spared(flag, name string, others ...string) error {
	for _, other := range others {
		a, err1 := os.Stat(name)
		b, err2 := os.Stat(other)
		if filepath.Clean(name) == filepath.Clean(other) || err1 == nil && err2 == nil && os.SameFile(a, b) {
			return &usageError{msg: fmt.Sprintf("--%s %q is the same file as %q", flag, name, other), hint: "name a new file"}
		}
	}
	return nil
}
