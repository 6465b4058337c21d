package checkpoint

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// Kind says in words what a file looks like.
type Kind string

// The kinds that are checkpoints.
const (
	Zip         Kind = "PyTorch checkpoint (zip)"
	Legacy      Kind = "PyTorch checkpoint" // a pickle
	Safetensors Kind = "safetensors file"
	Gzip        Kind = "PyTorch checkpoint, compressed by gzip" // or a safetensors file
)

// Unknown is the kind of a file that is none of the others. ONNX models are of
// this kind: nothing in their first bytes tells them from other files.
const Unknown Kind = "something else"

// Checkpoint tells whether files of the kind are checkpoints.
func (k Kind) Checkpoint() bool { return k == Zip || k == Legacy || k == Safetensors || k == Gzip }

// KindOf judges a file by its first bytes, and one that is compressed by gzip by the
// first bytes that it holds.
func KindOf(path string) (Kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", err
	}
	if onnx.Compression(head[:n]) != "gzip" {
		return kindOf(head[:n]), nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return Unknown, nil
	}
	n, _ = io.ReadFull(z, head) // however much there is
	if n > 0 && kindOf(head[:n]).Checkpoint() {
		return Gzip, nil
	}
	return Unknown, nil
}

func kindOf(head []byte) Kind {
	text := strings.ToLower(strings.TrimLeft(string(head), "\ufeff \t\r\n"))
	switch n := len(head); {
	case n == 0:
		return "an empty file"
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return "an HTML page"
	case strings.HasPrefix(text, "version https://git-lfs"):
		return "a Git LFS pointer, not the file itself"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return Zip
	case n > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5: // a pickle of that protocol
		return Legacy
	case n > 8 && head[8] == '{' && bytes.Equal(head[4:8], make([]byte, 4)): // after the length of a JSON header
		return Safetensors
	}
	return Unknown
}
