package torch

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/robust-transfer/rtx/onnx"
)

// identify says, from its first bytes, what a file is that is not a checkpoint.
func identify(head []byte) string {
	exact, lower := string(head), strings.ToLower(string(head))
	switch {
	case len(head) == 0:
		return "the file is empty"
	case strings.HasPrefix(lower, "<!doctype html") || strings.HasPrefix(lower, "<html"):
		return "this is an HTML page, not a checkpoint (a failed download?)"
	case strings.HasPrefix(lower, "version https://git-lfs"):
		return "this is a Git LFS pointer, not the file itself"
	case strings.HasPrefix(exact, "\x93NUMPY"):
		return "this is a numpy array (.npy)"
	case strings.HasPrefix(exact, "\x89HDF"):
		return "this is an HDF5 file (Keras?)"
	case onnx.Compression(head) != "":
		return "this is compressed by " + onnx.Compression(head) + "; decompress it first"
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return "this is a tar archive, as PyTorch 0.1.10 and older wrote; load and save it with a newer PyTorch"
	case isONNX(head):
		return "this is an ONNX model, no checkpoint of PyTorch"
	case isText(head):
		return "this is text"
	}
	return "neither a zip archive, nor a pickle of PyTorch, nor safetensors"
}

// isONNX looks for the first fields of a ModelProto: ir_version, followed by
// producer_name, graph or opset_import.
func isONNX(head []byte) bool {
	return len(head) > 3 && head[0] == 0x08 && head[1] > 0 && head[1] < 32 && bytes.IndexByte([]byte{0x12, 0x3a, 0x42}, head[2]) >= 0
}

func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax || r < ' ' && !strings.ContainsRune("\t\r\n", r) {
			return false
		}
		b = b[n:]
	}
	return true
}
